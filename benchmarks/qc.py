"""Quality control without Scrublet, against scanpy's ``calculate_qc_metrics``.

Both read the same cells in memory, in turn; scanpy computes totals, genes detected and the three
percentages, we fit and apply the thresholds too. Memory is that of ``python -m cradle qc FILE``,
which reads and checks the file first, in a process of its own.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.screens import MB, least_seconds, measured, write
from cradle.data.qc import CRITERIA, apply_thresholds, cell_metrics, fit_thresholds, gene_classes

if TYPE_CHECKING:
    from anndata import AnnData

WITHOUT_DOUBLETS = tuple(name for name in CRITERIA if name != "doublet")
ROUNDS = 5


def measure(cells: int = 100_000, genes: int = 19_000) -> dict[str, dict[str, float]]:
    """Time both and weigh the command; returns ``figures`` and ``ratios``."""
    import anndata as ad

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "screen.h5ad"
        csr_mb = write(path, cells, genes)
        chosen = ",".join(WITHOUT_DOUBLETS)
        command = measured("-m", "cradle", "qc", str(path), "--criteria", chosen)
        adata = ad.read_h5ad(path)
    times = least_seconds(ROUNDS, ours=lambda: _ours(adata), scanpy=lambda: _scanpy(adata))
    return {
        "figures": {
            "seconds": times["ours"],
            "scanpy_seconds": times["scanpy"],
            "csr_mb": csr_mb,
            "peak_mb": command["peak_mb"],
            "command_seconds": command["wall_seconds"],
            "gb_over_csr": (command["peak_mb"] - csr_mb) * MB / 1e9,
        },
        "ratios": {"time_of_scanpy": times["ours"] / times["scanpy"]},
    }


def _ours(adata: "AnnData") -> None:
    metrics = cell_metrics(adata, doublets=False)
    apply_thresholds(metrics, fit_thresholds(adata, criteria=WITHOUT_DOUBLETS, metrics=metrics))


def _scanpy(adata: "AnnData") -> None:
    import scanpy as sc

    for name, mask in gene_classes(adata.var_names).items():
        adata.var[name] = mask
    classes = list(gene_classes(adata.var_names))
    sc.pp.calculate_qc_metrics(adata, qc_vars=classes, percent_top=None, log1p=False, inplace=False)

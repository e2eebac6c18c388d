"""Large screens to measure on: gamma-Poisson counts of which a tenth are above zero.

Speed and memory depend on how many counts there are and where, not on what they mean, so the
perturbations do nothing. A fifth of the cells are damaged: fewer counts, more of them
mitochondrial. The first ``DISTINCT`` cells are drawn, further ones repeat their counts in another
order, so that making a screen takes less time than measuring on it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.optimize import brentq

from cradle.data.qc_genes import HB_GENES, MT_GENES
from cradle.data.schema import SCHEMA_VERSION, row_sums

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.prediction import Predictor

NON_ZERO, INVERSE_DISPERSION, SPREAD = 0.1, 2.0, 1.5
DAMAGED, DEPTH_SD = 0.2, 0.3
DISTINCT, BLOCK = 16_384, 2_048
N_PERTURBATIONS = 100
N_RIBOSOMAL = 40
ROOT = Path(__file__).resolve().parents[1]
#: Of 10⁶ bytes, as everywhere in the reports.
MB = 1e6


def gene_names(n_genes: int) -> list[str]:
    """Genes of every class that quality control measures, then the perturbed ones and others."""
    classes = [*MT_GENES, *(f"RPL{i}" for i in range(1, N_RIBOSOMAL + 1)), *HB_GENES]
    return [*classes, *(f"GENE{i}" for i in range(n_genes - len(classes)))][:n_genes]


def mean_counts(rng: np.random.Generator, n_genes: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Log-normal means of genes, (n_genes,), of whose counts a tenth are above zero."""
    relative = rng.lognormal(0, SPREAD, n_genes)
    theta = INVERSE_DISPERSION

    def excess(scale: float) -> float:
        return float(np.mean(1 - (1 + scale * relative / theta) ** -theta)) - NON_ZERO

    return np.asarray(brentq(excess, 1e-9, 1e3) * relative)


def gamma_poisson(
    rng: np.random.Generator, mean: np.ndarray[Any, Any]
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Counts of these means, of any shape."""
    theta = INVERSE_DISPERSION
    return np.asarray(rng.poisson(rng.gamma(theta, mean / theta)), np.float32)


def blocks(n_cells: int, n_genes: int, seed: int = 0) -> Iterator[sp.csr_matrix]:
    """Counts of the screen, a block of cells at a time."""
    rng = np.random.default_rng(seed)
    genes, drawn = mean_counts(rng, n_genes), []
    mitochondrial = np.char.startswith(gene_names(n_genes), "MT-")
    for start in range(0, min(n_cells, DISTINCT), BLOCK):
        n = min(BLOCK, n_cells - start)
        damaged = rng.random((n, 1)) < DAMAGED
        depth = rng.lognormal(0, DEPTH_SD, (n, 1)) * np.where(damaged, 0.4, 1.15)
        share = np.where(damaged & mitochondrial, 5.0, 1.0)
        drawn.append(sp.csr_matrix(gamma_poisson(rng, depth * share * genes)))
        yield drawn[-1]
    for start in range(DISTINCT, n_cells, BLOCK):
        block = drawn[rng.integers(len(drawn))]
        yield block[rng.permutation(block.shape[0])[: n_cells - start]]


def annotations(n_genes: int, sizes: np.ndarray[Any, Any], seed: int = 0) -> dict[str, Any]:
    """``obs``, ``var`` and ``uns`` of a standard screen with these library sizes."""
    rng = np.random.default_rng([seed, 1])
    names, n_cells = gene_names(n_genes), len(sizes)
    labels = np.array(["control", *names[-N_PERTURBATIONS:]])
    obs = pd.DataFrame(
        {
            "perturbation": pd.Categorical(labels[rng.integers(0, len(labels), n_cells)]),
            "library_size": sizes,
        },
        index=[f"cell_{i}" for i in range(n_cells)],
    )
    record = {"schema_version": SCHEMA_VERSION, "name": "screen", "simulated": True}
    return {"obs": obs, "var": pd.DataFrame(index=names), "uns": {"cradle": record}}


def in_memory(n_cells: int, n_genes: int, seed: int = 0) -> AnnData:
    """A screen in standard form."""
    from anndata import AnnData

    counts = sp.vstack(list(blocks(n_cells, n_genes, seed)), format="csr")
    return AnnData(counts, **annotations(n_genes, row_sums(counts), seed))


def write(path: Path, n_cells: int, n_genes: int, seed: int = 0) -> float:
    """The same screen as a file, never held whole; returns the size of its CSR matrix, MB."""
    import anndata as ad
    import h5py

    sizes = []
    with h5py.File(path, "w") as file:
        for i, block in enumerate(blocks(n_cells, n_genes, seed)):
            if i == 0:
                ad.io.write_elem(file, "X", block)
                counts = ad.io.sparse_dataset(file["X"])
            else:
                counts.append(block)
            sizes.append(row_sums(block))
        n_values = file["X/data"].shape[0]
        for name, table in annotations(n_genes, np.concatenate(sizes), seed).items():
            ad.io.write_elem(file, name, table)
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for name in ("layers", "obsm", "varm", "obsp", "varp"):
            ad.io.write_elem(file, name, {})
    return (8 * n_values + 8 * (n_cells + 1)) / MB


def measured(*command: str) -> dict[str, float]:
    """Run Python with these arguments; ``wall_seconds`` and ``peak_mb`` of that process."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run(
            [sys.executable, "-m", "cradle.benchmark.measured", report, sys.executable, *command],
            check=True,
            stdout=sys.stderr,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        found: dict[str, float] = json.loads(report.read_text())
        return found


def seconds(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def least_seconds(rounds: int, **actions: Callable[[], object]) -> dict[str, float]:
    """Least seconds of each after one warm-up, in turn so that all see the same machine.

    The least, because whatever else the machine does can only add to it.
    """
    for action in actions.values():
        action()
    times = [{name: seconds(action) for name, action in actions.items()} for _ in range(rounds)]
    return {name: min(row[name] for row in times) for name in actions}


def predictor(n_genes: int, n_perturbations: int) -> Predictor:
    """CRADLE-VAE at its default size with random weights that make effects of about one."""
    import torch

    from cradle.batches import DataShape
    from cradle.data.dosage import Design
    from cradle.data.qc import cell_metrics, fit_thresholds
    from cradle.models.base import CountVAE
    from cradle.models.registry import model_spec
    from cradle.prediction import Predictor

    cells = in_memory(BLOCK, n_genes)
    share = torch.from_numpy(np.asarray(cells.X.sum(axis=0)).ravel() / cells.X.sum()).float()
    spec, genes = model_spec("cradle_vae"), gene_names(n_genes)
    assert spec.network is not None
    torch.manual_seed(0)
    ones = torch.ones(n_genes)
    network = spec.network(
        DataShape(n_genes, n_perturbations, ones, ones, 0.9 * share), spec.config()
    )
    assert isinstance(network, CountVAE)
    with torch.no_grad():
        for weight in network.linear_path.weights:
            weight.normal_(std=0.02)
    metrics = cell_metrics(cells, doublets=False)
    return Predictor(
        network.eval(),
        tuple(genes),
        Design.of(["control", *genes[-n_perturbations:]], additive=True),
        pd.DataFrame({"artifact": 0, "library_size": cells.obs["library_size"]}),
        fit_thresholds(cells, metrics=metrics),
        None,
        has_artifact=True,
    )

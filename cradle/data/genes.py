"""Which genes a model sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from cradle.data.cell_source import in_memory
from cradle.data.dosage import perturbed_genes
from cradle.data.qc_genes import gene_classes
from cradle.data.schema import PERTURBATION
from cradle.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

Mask = npt.NDArray[np.bool_]
NTopGenes = int | Literal["all"]

# With fewer points the trend's loess fails; with fewer than four it ends the process.
_FEWEST_GENES = 20


@dataclass(frozen=True)
class GeneSelection:
    """The genes that a model sees.

    Attributes
    ----------
    genes
        Names, (n_kept,), in the order of the dataset.
    record
        How they came about: method, n_top_genes, n_genes_before, n_genes, n_always_kept,
        fitted_on.
    """

    genes: pd.Index
    record: dict[str, str | int]


def select_genes(
    adata: AnnData, n_top_genes: NTopGenes, *, train: Mask | None = None
) -> GeneSelection:
    """Choose highly variable genes, the perturbed genes and the genes that quality control needs.

    Variable genes are scanpy's ``seurat_v3`` (Stuart et al. 2019) on the counts of the
    training cells. The perturbed genes of all labels and every MT, RPS, RPL and hemoglobin
    gene come on top of them.

    Parameters
    ----------
    adata
        Standard dataset; neither changed nor copied.
    n_top_genes
        How many highly variable genes, or ``"all"`` to keep every gene.
    train
        Training cells, (n_cells,) boolean; all cells when None, which the record says.

    Raises
    ------
    InputError
        When the number is not positive, or the cells are too few for the variance trend.
    """
    if n_top_genes != "all" and n_top_genes < 1:
        raise InputError(
            "The number of genes to keep is not possible.",
            f"{n_top_genes}.",
            "Use a positive number or 'all'.",
        )
    keep = np.ones(adata.n_vars, dtype=bool)
    always = always_kept(adata)
    if n_top_genes != "all" and n_top_genes < adata.n_vars:
        if not in_memory(adata.X):
            raise InputError(
                "Genes cannot be selected while the counts are on the disk.",
                f"{adata.n_vars} genes, of which {n_top_genes} are to be kept.",
                "Model all of them (--genes all), or write a file with the genes to model.",
            )
        keep = always | _highly_variable(adata, n_top_genes, train)
    record: dict[str, str | int] = {
        "method": "all" if keep.all() else "seurat_v3",
        "n_top_genes": n_top_genes,
        "n_genes_before": adata.n_vars,
        "n_genes": int(keep.sum()),
        "n_always_kept": int(always.sum()),
        "fitted_on": "all cells" if train is None else "training cells",
    }
    return GeneSelection(adata.var_names[keep], record)


def always_kept(adata: AnnData) -> Mask:
    """Perturbed genes and MT, RPS, RPL and hemoglobin genes, (n_genes,)."""
    classes = np.any([*gene_classes(adata.var_names).values()], axis=0)
    labels = adata.obs[PERTURBATION].astype(str) if PERTURBATION in adata.obs else []
    return np.asarray(classes | adata.var_names.isin(perturbed_genes(labels)), dtype=bool)


def _highly_variable(adata: AnnData, n_top_genes: int, train: Mask | None) -> Mask:
    # Imported here: scanpy takes seconds, and keeping all genes does not need it.
    import anndata
    import scanpy as sc

    counts = adata.X if train is None else adata.X[np.flatnonzero(train)]
    # A constant gene has no place on the trend.
    varying = (counts.max(axis=0) != counts.min(axis=0)).toarray().ravel()
    n_varying = int(varying.sum())
    if n_varying < _FEWEST_GENES:
        raise _no_trend(counts.shape[0], n_varying)
    try:
        table = sc.pp.highly_variable_genes(
            anndata.AnnData(X=counts[:, varying]),
            flavor="seurat_v3",
            n_top_genes=min(n_top_genes, n_varying),
            inplace=False,
        )
    except ValueError as error:
        raise _no_trend(counts.shape[0], n_varying) from error
    chosen = np.zeros(adata.n_vars, dtype=bool)
    chosen[varying] = table["highly_variable"].to_numpy(dtype=bool)
    return chosen


def _no_trend(n_cells: int, n_genes: int) -> InputError:
    return InputError(
        "Highly variable genes cannot be found.",
        f"{n_cells} cells in which {n_genes} genes vary, too few for the variance trend.",
        "Keep all genes (n_top_genes='all').",
    )

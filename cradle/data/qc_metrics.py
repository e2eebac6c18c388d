"""The six quality values of every cell, and where each of them comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cradle.data.cell_source import row_blocks, sums_of_rows
from cradle.data.doublets import call_doublets
from cradle.data.qc_genes import (
    CRITERIA,
    PERCENTAGES,
    HbGenes,
    gene_classes,
    lacking_genes,
    modelled_mask,
)
from cradle.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True)
class CellMetrics:
    """Quality values of cells.

    Attributes
    ----------
    values
        Indexed by cell, one column per criterion (counts, genes, percent of counts, 0/1) and
        `doublet_score`; NaN where not measurable.
    reasons
        Criterion to the reason why it is not measurable; measurable ones are absent.
    sources
        Criterion to where its values come from; only measurable ones.
    doublet_threshold
        Scrublet's score threshold where one run judged the reference cells, else None.
    """

    values: pd.DataFrame
    reasons: Mapping[str, str]
    sources: Mapping[str, str]
    doublet_threshold: float | None = None


def cell_metrics(
    adata: AnnData,
    *,
    doublets: bool = True,
    seed: int = 0,
    reference_cells: NDArray[np.bool_] | None = None,
    hb_genes: HbGenes = "listed",
) -> CellMetrics:
    """Measure the six criteria on observed cells.

    Totals are the library size. Genes detected and percentages come from
    `obs["full_<criterion>"]` where the file carried them; else genes detected are counted in X when
    X is the full transcriptome (training cells: row sums are library sizes); percentages are class
    counts over library size when X holds enough genes of the class (see `lacking_genes`).
    Percentages are computed in single precision, as scanpy's `calculate_qc_metrics` does on
    single-precision counts, so that both show the same digits.

    Parameters
    ----------
    adata
        Standard form, (n_cells, n_genes); perturbation labels are not needed.
    doublets
        Whether to run Scrublet; without it `doublet` is not measurable.
    seed
        For Scrublet.
    reference_cells
        Mask of training and validation cells, (n_cells,); see `call_doublets`.
    hb_genes
        Rule for hemoglobin genes; see `gene_classes`.

    Returns
    -------
    CellMetrics

    Raises
    ------
    InputError
        `library_size` is missing, not finite, or not positive.
    """
    library_size = _library_size(adata)
    counted = _count(adata, np.ones(adata.n_vars, dtype=bool), hb_genes)
    values = _unknown() | {"umi_counts": library_size}
    reasons: dict[str, str] = {}
    sources = {"umi_counts": "obs library_size"}
    missing = _unmeasured(adata, library_size, counted)
    for criterion in ("genes_detected", *PERCENTAGES):
        full = f"full_{criterion}"
        if full in adata.obs and np.isfinite(adata.obs[full]).all():
            values[criterion] = adata.obs[full].to_numpy(dtype=np.float64)
            sources[criterion] = f"obs {full}"
        elif criterion in missing:
            reasons[criterion] = missing[criterion]
        else:
            values[criterion] = _value(criterion, counted, library_size)
            sources[criterion] = _source(criterion, counted)
    threshold = None
    if doublets:
        calls = call_doublets(adata, seed=seed, reference_cells=reference_cells)
        if calls.reason:
            reasons["doublet"] = calls.reason
        else:
            values |= {name: calls.values[name] for name in ("doublet", "doublet_score")}
            sources["doublet"] = calls.source
            threshold = calls.thresholds[0] if len(calls.thresholds) == 1 else None
    else:
        reasons["doublet"] = "Doublets were not asked for."
    return CellMetrics(pd.DataFrame(values, adata.obs_names), reasons, sources, threshold)


def generable_metrics(
    adata: AnnData, *, genes: Sequence[str] | None = None, hb_genes: HbGenes = "listed"
) -> CellMetrics:
    """Measure what generated cells can show, on generated and observed cells alike.

    Genes detected are counted over the modelled genes, percentages are the counts of all modelled
    genes of the class over library size. Nothing is taken from the full-transcriptome columns.

    Parameters
    ----------
    adata
        Counts in `X`, (n_cells, n_genes), `library_size` in `obs`.
    genes
        The modelled genes; default: all of `adata`.
    hb_genes
        Rule for hemoglobin genes; see `gene_classes`.

    Returns
    -------
    CellMetrics
        `doublet` is never measurable, and `umi_counts` carries a reason although it has values:
        they are the library sizes that the cells were drawn with.

    Raises
    ------
    InputError
        A modelled gene is not in `adata`, or `library_size` cannot be used.
    """
    library_size = _library_size(adata)
    modelled = modelled_mask(adata.var_names, genes)
    counted = _count(adata, modelled, hb_genes)
    values = _unknown() | {"umi_counts": library_size}
    reasons = {
        "umi_counts": "UMI counts follow from the library size that a cell is drawn with.",
        "doublet": (
            "Scrublet scores cells only beside doublets simulated from the same cells: it cannot "
            "judge generated cells by the training cells' doublets."
        ),
        **lacking_genes(adata.var_names[modelled]),
    }
    sources = {}
    for criterion in ("genes_detected", *PERCENTAGES):
        if criterion not in reasons:
            values[criterion] = _value(criterion, counted, library_size)
            sources[criterion] = _source(criterion, counted)
    return CellMetrics(pd.DataFrame(values, adata.obs_names), reasons, sources)


@dataclass(frozen=True)
class _Counted:
    totals: NDArray[np.float64]  # (n_cells,), counts of the counted genes
    detected: NDArray[np.float64]  # (n_cells,), genes with a count
    classes: dict[str, NDArray[np.float64]]  # (n_cells,) each, counts
    n_genes: int
    n_class_genes: dict[str, int]


def _count(adata: AnnData, counted: NDArray[np.bool_], hb_genes: HbGenes) -> _Counted:
    """Sum counts and count genes in one pass over the rows, without a copy of X."""
    masks = {name: m & counted for name, m in gene_classes(adata.var_names, hb_genes).items()}
    totals, detected = np.empty(adata.n_obs), np.empty(adata.n_obs)
    classes = {name: np.empty(adata.n_obs) for name in masks}
    in_a_class = np.any([*masks.values()], axis=0)
    for rows, block in row_blocks(adata.X):
        values = block.data if counted.all() else block.data * counted[block.indices]
        totals[rows] = sums_of_rows(values, block.indptr)
        detected[rows] = sums_of_rows(values != 0, block.indptr)
        # few genes are in a class: only their counts are looked at class by class
        few = np.flatnonzero(in_a_class[block.indices])
        row = np.searchsorted(block.indptr, few, side="right") - 1
        for name, mask in masks.items():
            weights = values[few] * mask[block.indices[few]]
            classes[name][rows] = np.bincount(row, weights, minlength=block.shape[0])
    n_class_genes = {name: int(mask.sum()) for name, mask in masks.items()}
    return _Counted(totals, detected, classes, int(counted.sum()), n_class_genes)


def _library_size(adata: AnnData) -> NDArray[np.float64]:
    if "library_size" not in adata.obs:
        raise InputError(
            "The cells have no library size.",
            f"obs holds {', '.join(map(str, adata.obs.columns)) or 'no columns'}.",
            "Bring the data to the standard form first (cradle.data.standardize).",
        )
    library_size: NDArray[np.float64] = adata.obs["library_size"].to_numpy(dtype=np.float64)
    bad = ~(np.isfinite(library_size) & (library_size > 0))
    if bad.any():
        raise InputError(
            "Library sizes must be positive numbers.",
            f"{int(bad.sum())} of {len(bad)} cells have another value.",
            "Drop the cells without counts.",
        )
    return library_size


def _unmeasured(
    adata: AnnData, library_size: NDArray[np.float64], counted: _Counted
) -> dict[str, str]:
    """Criteria that X itself cannot measure, with the reason; test cells have no say in it."""
    reasons = lacking_genes(adata.var_names)
    asked = np.ones(adata.n_obs, dtype=bool)
    if "split" in adata.obs and (told := (adata.obs["split"] == "train").to_numpy()).any():
        asked = told
    if not np.array_equal(counted.totals[asked], library_size[asked]):
        reasons["genes_detected"] = (
            "X is not the full transcriptome (library sizes differ from its row sums), and obs "
            "holds no complete full_genes_detected."
        )
    return reasons


def _value(
    criterion: str, counted: _Counted, library_size: NDArray[np.float64]
) -> NDArray[np.float64]:
    if criterion == "genes_detected":
        return counted.detected
    share = counted.classes[criterion].astype(np.float32) / library_size.astype(np.float32)
    return np.asarray(share * np.float32(100), dtype=np.float64)


def _source(criterion: str, counted: _Counted) -> str:
    if criterion == "genes_detected":
        return f"counted over {counted.n_genes} genes"
    return f"{counted.n_class_genes[criterion]} genes over library_size"


def _unknown() -> dict[str, Any]:
    """The columns of the table; made from them at once, it holds nothing twice."""
    return dict.fromkeys([*CRITERIA, "doublet_score"], np.nan)

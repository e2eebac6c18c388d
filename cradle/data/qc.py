"""Quality control: fit thresholds on training cells, judge observed and generated cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cradle.data.cell_source import sharing_counts
from cradle.data.qc_biology import maybe_biology
from cradle.data.qc_genes import CRITERIA, HbGenes, gene_classes, modelled_mask, names_hash
from cradle.data.qc_judge import apply_thresholds, judge, judge_generated, passing
from cradle.data.qc_metrics import CellMetrics, cell_metrics, generable_metrics
from cradle.data.qc_thresholds import (
    QCThresholds,
    Threshold,
    check_criteria,
    check_positive,
    robust_threshold,
    unmeasurable,
)
from cradle.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = [
    "CRITERIA",
    "CellMetrics",
    "QCThresholds",
    "Threshold",
    "annotate",
    "apply_thresholds",
    "cell_metrics",
    "fit_thresholds",
    "gene_classes",
    "generable_metrics",
    "judge",
    "judge_generated",
    "maybe_biology",
    "passing",
]


def fit_thresholds(
    adata: AnnData,
    *,
    mad: float = 3.0,
    mad_scale: float = 1.0,
    criteria: Sequence[str] = CRITERIA,
    train: NDArray[np.bool_] | None = None,
    genes: Sequence[str] | None = None,
    metrics: CellMetrics | None = None,
    hb_genes: HbGenes = "listed",
    doublets: bool = True,
    seed: int = 0,
) -> QCThresholds:
    """Fit median ∓ k · MAD on the training cells, for observed and for generated cells.

    Parameters
    ----------
    adata
        Standard form, (n_cells, n_genes).
    mad
        k, positive.
    mad_scale
        Factor on the MAD; 1.4826 makes it match a standard deviation.
    criteria
        What counts as artifact.
    train
        Mask of the cells to fit on, (n_cells,). Default: `obs["split"] == "train"`, else all.
    genes
        The modelled genes; default: all of `adata`.
    metrics
        `cell_metrics(adata)` where already known; else measured here.
    hb_genes
        Rule for hemoglobin genes; see `gene_classes`.
    doublets, seed
        For `cell_metrics`, where it is called.

    Returns
    -------
    QCThresholds

    Raises
    ------
    InputError
        A factor is not positive, a criterion is unknown, or there is no training cell.
    """
    k, scale = check_positive("The number of MADs", mad), check_positive("The MAD scale", mad_scale)
    chosen = check_criteria(criteria)
    fitted, words = _training_cells(adata, train)
    if metrics is None:
        reference = train if "split" not in adata.obs else None
        metrics = cell_metrics(
            adata, doublets=doublets, seed=seed, reference_cells=reference, hb_genes=hb_genes
        )
    over_genes = generable_metrics(adata, genes=genes, hb_genes=hb_genes)
    modelled = adata.var_names[modelled_mask(adata.var_names, genes)]
    return QCThresholds(
        mad=k,
        mad_scale=scale,
        criteria=chosen,
        fitted_on=words,
        hb_genes=hb_genes,
        observed={c: _fit(c, metrics, fitted, k, scale) for c in CRITERIA},
        generated={c: _fit(c, over_genes, fitted, k, scale) for c in CRITERIA},
        genes_sha256=names_hash(modelled),
    )


def _training_cells(
    adata: AnnData, train: NDArray[np.bool_] | None
) -> tuple[NDArray[np.bool_], str]:
    if train is not None:
        mask = np.asarray(train, dtype=bool)
        words = f"{mask.sum():,} training cells"
    elif "split" in adata.obs:
        mask = (adata.obs["split"] == "train").to_numpy()
        words = f"{mask.sum():,} training cells"
    else:
        mask = np.ones(adata.n_obs, dtype=bool)
        words = f"all {mask.sum():,} cells (the data have no split)"
    if mask.shape != (adata.n_obs,) or not mask.any():
        raise InputError(
            "Thresholds need training cells.",
            f"a mask of {mask.size} for {adata.n_obs} cells, {int(mask.sum())} of them training.",
            "Give one mark per cell, with at least one training cell.",
        )
    return mask, words


def _fit(
    criterion: str, metrics: CellMetrics, fitted: NDArray[np.bool_], k: float, scale: float
) -> Threshold:
    values = metrics.values[criterion].to_numpy()[fitted]
    if criterion in metrics.reasons:
        return unmeasurable(criterion, metrics.reasons[criterion])
    source = metrics.sources[criterion]
    if criterion != "doublet":
        return robust_threshold(criterion, values, k, scale, source)
    if np.isnan(values).all():
        return unmeasurable(criterion, f"No training cell has a doublet call. {source}.")
    score = metrics.doublet_threshold
    return Threshold(criterion, score, "high", None, None, True, "", source)


def annotate(
    adata: AnnData, thresholds: QCThresholds, *, metrics: CellMetrics | None = None, seed: int = 0
) -> AnnData:
    """Return the dataset with its quality columns and thresholds; X is shared, not copied.

    Parameters
    ----------
    adata
        Standard form.
    thresholds
        Of `fit_thresholds`.
    metrics
        `cell_metrics(adata)` where already known.
    seed
        For Scrublet, where `metrics` are measured here.

    Returns
    -------
    AnnData
        `obs` gains the six criteria, `doublet_score`, `fails_<criterion>` and `qc_fail`;
        `uns["cradle"]["thresholds"]` holds the thresholds as JSON.
    """
    if metrics is None:
        metrics = cell_metrics(
            adata,
            doublets=thresholds["doublet"].measurable,
            seed=seed,
            hb_genes=thresholds.hb_genes,
        )
    flags = apply_thresholds(metrics, thresholds)
    kept = adata.obs.drop(columns=[*metrics.values, *flags], errors="ignore")
    record = {**adata.uns.get("cradle", {}), "thresholds": thresholds.to_json()}
    flagged = sharing_counts(adata, kept.assign(**metrics.values, **flags))
    flagged.uns["cradle"] = record
    return flagged

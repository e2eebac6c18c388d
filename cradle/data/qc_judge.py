"""Judge cells with fitted thresholds: observed cells, and generated ones by what they can show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cradle.data.qc_genes import CRITERIA, modelled_mask, names_hash
from cradle.data.qc_metrics import CellMetrics, generable_metrics
from cradle.data.qc_thresholds import QCThresholds, Threshold
from cradle.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData


def apply_thresholds(metrics: CellMetrics, thresholds: QCThresholds) -> pd.DataFrame:
    """Judge observed cells.

    Parameters
    ----------
    metrics
        Of `cell_metrics`.
    thresholds
        Of `fit_thresholds`.

    Returns
    -------
    DataFrame
        Indexed by cell: `fails_<criterion>` (0, 1, NaN where not measurable) for all six criteria,
        and `qc_fail` (bool): fails any selected, measurable criterion.
    """
    return _flags(metrics.values, thresholds.observed, thresholds.judged)


def judge(metrics: CellMetrics, thresholds: QCThresholds) -> pd.DataFrame:
    """Judge cells, generated or observed, by what the modelled genes show.

    Parameters
    ----------
    metrics
        Of `generable_metrics`.
    thresholds
        Of `fit_thresholds`; only the generable criteria make `qc_fail`.

    Returns
    -------
    DataFrame
        As `apply_thresholds`.
    """
    return _flags(metrics.values, thresholds.generated, thresholds.generable)


def passing(values: pd.DataFrame, thresholds: QCThresholds) -> NDArray[np.bool_]:
    """True for the cells that pass every generable criterion, (n_cells,), as `judge` says it.

    Parameters
    ----------
    values
        The criteria of `generable_metrics`, one row a cell.
    thresholds
        Of `fit_thresholds`.
    """
    failed = np.zeros(len(values), bool)
    for criterion in thresholds.generable:
        failed |= _fails(values[criterion].to_numpy(), thresholds.generated[criterion]) == 1
    return ~failed


def judge_generated(
    adata: AnnData, thresholds: QCThresholds, *, genes: Sequence[str] | None = None
) -> pd.DataFrame:
    """Measure and judge cells by the generable criteria.

    Parameters
    ----------
    adata
        Generated cells, or observed ones beside them: counts in `X`, `library_size` in `obs`.
    thresholds
        Of `fit_thresholds`.
    genes
        The modelled genes, where `adata` holds more of them.

    Returns
    -------
    DataFrame
        Indexed by cell: the six criteria (NaN where not measurable), `doublet_score`,
        `fails_<criterion>`, `qc_fail`.

    Raises
    ------
    InputError
        The genes are not those that the thresholds were fitted over.
    """
    modelled = adata.var_names[modelled_mask(adata.var_names, genes)]
    if names_hash(modelled) != thresholds.genes_sha256:
        raise InputError(
            "The cells do not hold the genes that the thresholds were fitted over.",
            f"{len(modelled)} other genes.",
            "Give the modelled genes of the run.",
        )
    metrics = generable_metrics(adata, genes=genes, hb_genes=thresholds.hb_genes)
    return pd.concat([metrics.values, judge(metrics, thresholds)], axis=1)


def _flags(
    values: pd.DataFrame, thresholds: Mapping[str, Threshold], counted: Iterable[str]
) -> pd.DataFrame:
    flags = pd.DataFrame(
        {f"fails_{c}": _fails(values[c].to_numpy(), thresholds[c]) for c in CRITERIA},
        index=values.index,
        copy=False,
    )
    flags["qc_fail"] = (flags == 1)[[f"fails_{c}" for c in counted]].any(axis=1)
    return flags


def _fails(values: NDArray[np.float64], threshold: Threshold) -> NDArray[np.float64]:
    if not threshold.measurable:
        return np.full(len(values), np.nan)
    if threshold.criterion == "doublet":  # already called, run by run
        return values.astype(np.float64)
    assert threshold.threshold is not None
    beyond = (
        values < threshold.threshold if threshold.side == "low" else values > threshold.threshold
    )
    return np.where(np.isnan(values), np.nan, beyond)

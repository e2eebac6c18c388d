"""Scores of Jiang et al. 2026 for perturbations never seen, and what keeps them honest.

Their RMSE compares predicted with observed cells that are not the same cells. Its square is the
squared error of the mean *plus both variances*, so it falls when a model predicts one cell over
and over. It is therefore given for the cells that a model draws and for its mean profile alone,
beside the share of the observed variance that the drawn cells have and a distance of distributions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cradle.evaluation.metrics import Metric

#: Most changed genes, by Welch's t of the observed cells against control.
N_TOP = 20
#: Variance of the drawn cells over that of the observed ones, summed over genes: 1 is right, more
#: is too much, near 0 is collapse.
VARIANCE = "variance_ratio"

FloatArray = npt.NDArray[np.floating]

_INFINITE = float("inf")
_CONSTANT = "the observed mean profile is the same for every gene"
_NOTHING = "there are no perturbations to compare"

_ROWS = (
    Metric(
        "cell_rmse", "RMSE of cells (Jiang 2026)", False, (0.0, _INFINITE), "of the signal",
        "means", "√(mean squared difference of drawn and observed cells / mean square of the "
        "observed ones), cells paired at random: the expectation over all pairs. It rewards cells "
        "that do not vary: a perfect sampler scores √2 times its perfect mean where means are "
        "small.", _NOTHING,
    ),
    Metric(
        "profile_rmse", "RMSE of the mean profile", False, (0.0, _INFINITE), "of the signal",
        "means", "The same with the model's mean profile in the place of every drawn cell, so that "
        "the spread of the cells plays no part.", _NOTHING,
    ),
    Metric(
        "profile_r2", "R² of means (Jiang 2026)", True, (-_INFINITE, 1.0), "share of variance",
        "means", "1 − squared error / variance over genes of the mean profile. Most of it says "
        "that highly expressed genes stay highly expressed: no change at all scores high.",
        _CONSTANT,
    ),
    Metric(
        "drawn_energy_distance", "Energy distance of drawn cells", False, (-_INFINITE, _INFINITE),
        "ln units", "distributions", "Energy distance of drawn and observed cells in the space of "
        "principal components, for models of counts and of expression alike.", _NOTHING,
    ),
)  # fmt: skip
_OF_TOP = ("cell_rmse", "profile_rmse", "profile_r2")


def _of_top(metric: Metric) -> Metric:
    words = f"{metric.explanation} Over the {N_TOP} genes that change most in the observed cells."
    return Metric(
        f"{metric.name}_top{N_TOP}", f"{metric.label}, top {N_TOP} genes",
        metric.higher_is_better, metric.range, metric.unit, metric.of, words, metric.undefined,
    )  # fmt: skip


UNPAIRED_METRICS: dict[str, Metric] = {
    metric.name: metric
    for row in _ROWS
    for metric in ([row, _of_top(row)] if row.name in _OF_TOP else [row])
}


@dataclass(frozen=True)
class Spread:
    """Mean and variance (about that mean, n in the denominator) of cells over genes, ln units."""

    mean: FloatArray
    variance: FloatArray

    @classmethod
    def of(cls, cells: FloatArray) -> Spread:
        """Of cells ``(n_cells, n_genes)``."""
        return cls(cells.mean(axis=0), cells.var(axis=0))


def unpaired_scores(
    observed: FloatArray, drawn: FloatArray, control: FloatArray
) -> dict[str, float]:
    """Every metric but the energy distance, and ``VARIANCE``, of one perturbation.

    Parameters
    ----------
    observed, drawn, control
        ln(1 + 1e4·x/ℓ) of cells, ``(n_cells, n_genes)``; the control decides the top genes.
    """
    seen, told = Spread.of(observed), Spread.of(drawn)
    everything = np.arange(observed.shape[1])
    found = _scores(seen, told, everything)
    top = _scores(seen, told, changed_genes(observed, control))
    found |= {f"{name}_top{N_TOP}": top[name] for name in _OF_TOP}
    total = float(seen.variance.sum())
    found[VARIANCE] = float(told.variance.sum()) / total if total else float("nan")
    return found


def changed_genes(observed: FloatArray, control: FloatArray) -> npt.NDArray[np.intp]:
    """The ``N_TOP`` genes with the largest |Welch t| of observed cells against control."""
    seen, there = Spread.of(observed), Spread.of(control)
    noise = np.sqrt(seen.variance / len(observed) + there.variance / len(control))
    difference = np.abs(seen.mean - there.mean)
    t = np.divide(difference, noise, out=np.zeros_like(difference), where=noise > 0)
    return np.argsort(-t, kind="stable")[:N_TOP]


def _scores(seen: Spread, told: Spread, genes: npt.NDArray[np.intp]) -> dict[str, float]:
    mean, variance = seen.mean[genes], seen.variance[genes]
    error = (told.mean[genes] - mean) ** 2
    size = float((mean**2 + variance).mean())
    about = float(((mean - mean.mean()) ** 2).sum())
    undefined = float("nan")
    return {
        "cell_rmse": float(np.sqrt((error + variance + told.variance[genes]).mean() / size))
        if size else undefined,
        "profile_rmse": float(np.sqrt((error + variance).mean() / size)) if size else undefined,
        "profile_r2": 1 - float(error.sum()) / about if about else undefined,
    }  # fmt: skip

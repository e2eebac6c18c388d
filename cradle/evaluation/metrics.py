"""Scores of predicted against observed effects, and the registry that the app explains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]


def ate_rho(observed: FloatArray, predicted: FloatArray, keep: BoolArray | None = None) -> float:
    """Pearson correlation over the flattened (perturbations, genes) matrix, log2 units.

    `keep` marks the entries that count. NaN where either side is constant.
    """
    o, p = _flat(observed, predicted, keep)
    if o.size < 2 or np.ptp(o) == 0 or np.ptp(p) == 0:
        return float("nan")
    o, p = o - o.mean(), p - p.mean()
    return float(o @ p / np.sqrt((o @ o) * (p @ p)))


def ate_r2(observed: FloatArray, predicted: FloatArray, keep: BoolArray | None = None) -> float:
    """1 − SS_res/SS_tot, SS_tot about the mean of the flattened observed matrix.

    NaN where the observed effects are constant. Below zero: worse than that mean.
    """
    o, p = _flat(observed, predicted, keep)
    total = sum_of_squares(o)
    return float(1.0 - ((o - p) ** 2).sum() / total) if total > 0 else float("nan")


def jaccard(
    observed: FloatArray, predicted: FloatArray, keep: BoolArray | None = None, *, top: int = 50
) -> float:
    """Mean over perturbations of |∩|/|∪| of the `top` genes by |effect|.

    A gene with an effect of exactly zero is never among the top, so "no change" scores 0.
    NaN where no row has an effect on either side.
    """
    a, b = _top(observed, keep, top), _top(predicted, keep, top)
    union = (a | b).sum(axis=1)
    common = (a & b).sum(axis=1)
    return float(np.mean(common[union > 0] / union[union > 0])) if union.any() else float("nan")


def sign_accuracy(
    observed: FloatArray, predicted: FloatArray, keep: BoolArray | None = None, *, top: int = 50
) -> float:
    """Share of the `top` observed genes of each perturbation that move as predicted.

    Mean over perturbations; a predicted effect of zero counts as wrong. NaN without a top gene.
    """
    chosen = _top(observed, keep, top)
    right = (np.sign(observed) == np.sign(predicted)) & chosen
    n = chosen.sum(axis=1)
    return float(np.mean(right.sum(axis=1)[n > 0] / n[n > 0])) if n.any() else float("nan")


def sum_of_squares(values: FloatArray) -> float:
    """Sum of squared deviations from the mean of all values."""
    return float(((values - values.mean()) ** 2).sum()) if values.size else 0.0


@dataclass(frozen=True)
class Metric:
    """One score: how it is called, which way it points, and what it means in plain words.

    `higher_is_better` is None where neither end is best.
    `of` says what it compares: effect matrices, function(observed, predicted, keep), or cells;
    for the metrics of the field, mean profiles or whole distributions.
    `undefined` is the reason given where the function returns NaN.
    """

    name: str
    label: str
    higher_is_better: bool | None
    range: tuple[float, float]
    unit: str
    of: Literal["effects", "cells", "means", "distributions"]
    explanation: str
    undefined: str
    function: Callable[..., float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Name, label, direction, unit and explanation, for tables and tooltips."""
        return {
            "name": self.name,
            "label": self.label,
            "higher_is_better": self.higher_is_better,
            "unit": self.unit,
            "explanation": self.explanation,
        }


_INFINITE = float("inf")
_CONSTANT = "one side has the same effect everywhere, so there is nothing to correlate"
_NO_EFFECT = "no gene has an effect other than zero"

_ROWS = (
    Metric(
        "ate_rho", "ATE-ρ", True, (-1.0, 1.0), "correlation", "effects",
        "Pearson correlation of predicted and observed effects over all perturbations and genes. "
        "It asks whether the pattern is right, not whether the size is.",
        _CONSTANT, ate_rho,
    ),
    Metric(
        "ate_r2", "ATE-R²", True, (-_INFINITE, 1.0), "share of variance", "effects",
        "1 − squared error / variance of the observed effects (about the mean of the whole "
        "matrix). It asks whether the size is right too; below zero is worse than one constant.",
        "the observed effects do not vary", ate_r2,
    ),
    Metric(
        "jaccard_50", "Jaccard-50", True, (0.0, 1.0), "share of genes", "effects",
        "Overlap of the 50 genes that change most, predicted and observed: common genes divided "
        "by genes in either list, averaged over perturbations. Two lists drawn at random from n "
        "genes share 50/(2n − 50) on average: 0.05 of 500 genes, 0.33 of 100.",
        _NO_EFFECT, partial(jaccard, top=50),
    ),
    Metric(
        "jaccard_20", "Jaccard-20", True, (0.0, 1.0), "share of genes", "effects",
        "The same overlap for the 20 genes that change most; by chance 0.02 of 500 genes, 0.11 of "
        "100.",
        _NO_EFFECT, partial(jaccard, top=20),
    ),
    Metric(
        "sign_accuracy", "Sign accuracy", True, (0.0, 1.0), "share of genes", "effects",
        "Of the 50 genes that change most in the observed cells, the share predicted to go the "
        "same way, averaged over perturbations.",
        _NO_EFFECT, partial(sign_accuracy, top=50),
    ),
    Metric(
        "qcpr", "QC pass rate", None, (0.0, 1.0), "share of cells", "cells",
        "Share of generated cells, artifact off, that pass every criterion that can be judged on "
        "generated cells, at the thresholds of the training cells. More than the rate of truly "
        "clean cells is not better: read it beside the distances.",
        "no criterion can be judged on generated cells",
    ),
    Metric(
        "wasserstein", "QC distance", False, (0.0, _INFINITE), "unit of the criterion", "cells",
        "Wasserstein distance between generated and observed QC-passing cells, one criterion at "
        "a time; also given in multiples of the criterion's MAD.",
        "there are no cells to compare",
    ),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ROWS}
EFFECT_METRICS: tuple[str, ...] = tuple(m.name for m in _ROWS if m.of == "effects")


def _flat(
    observed: FloatArray, predicted: FloatArray, keep: BoolArray | None
) -> tuple[FloatArray, FloatArray]:
    if keep is None:
        return observed.ravel(), predicted.ravel()
    return observed[keep], predicted[keep]


def _top(effects: FloatArray, keep: BoolArray | None, top: int) -> BoolArray:
    size = np.abs(effects) if keep is None else np.where(keep, np.abs(effects), 0.0)
    order = np.argsort(-size, axis=1, kind="stable")[:, :top]
    chosen = np.zeros(size.shape, dtype=bool)
    np.put_along_axis(chosen, order, True, axis=1)
    return chosen & (size > 0)

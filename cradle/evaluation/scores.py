"""Scores of one table of effects against another, as strictly valid JSON."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cradle.data.dosage import genes_of
from cradle.evaluation.effects import POSTERIOR_ALONE, Effects, Widening
from cradle.evaluation.metrics import EFFECT_METRICS, METRICS, sum_of_squares

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating]
LEVEL = 0.95
#: No interval is widened more: where one is so much too narrow, its width tells nothing.
MAX_FACTOR = 20.0
#: Log2 units; no effect is larger.
MAX_FLOOR = 20.0


def score(
    observed: Effects, predicted: Effects, *, per_perturbation: bool = False
) -> dict[str, Any] | None:
    """Every effect metric over the perturbations that both sides have.

    Parameters
    ----------
    observed, predicted
        Rows that are NaN on either side are left out; genes are matched by name.
    per_perturbation
        Whether to add the distribution: each perturbation by itself.

    Returns
    -------
    The metrics; `without_targets`, the same without each perturbation's own genes;
    `n_perturbations` and `n_genes`. An undefined metric is None and `undefined` says why.
    None when there is no row to score.
    """
    observed, predicted = matched(observed, predicted)
    if not observed.perturbations:
        return None
    keep = ~targeted(observed)
    result: dict[str, Any] = {
        **_values(observed.mean, predicted.mean, None),
        "n_perturbations": len(observed.perturbations),
        "n_genes": len(observed.genes),
        "without_targets": _values(observed.mean, predicted.mean, keep),
    }
    if per_perturbation:
        result["per_perturbation"] = {
            label: _one(observed, predicted, i) for i, label in enumerate(observed.perturbations)
        }
    return result


def ceiling(observed: Effects) -> dict[str, Any] | None:
    """Expected score of the true means: R²max = 1 − ΣSE²/SS_tot, ρmax = √R²max (SPEC 7).

    Perturbations without a sampling variance (a single cell) are left out. None without rows.
    """
    assert observed.se is not None, "the ceiling needs standard errors"
    usable = np.isfinite(observed.se).all(axis=1)
    rows = observed.rows([observed.perturbations[i] for i in np.flatnonzero(usable)])
    if not rows.perturbations:
        return None
    return {
        **_ceiling_values(rows, None),
        "n_perturbations": len(rows.perturbations),
        "without_targets": _ceiling_values(rows, ~targeted(rows)),
    }


def coverage(observed: Effects, predicted: Effects, level: float = LEVEL) -> dict[str, Any] | None:
    """Share of observed effects inside the predicted interval.

    `posterior`: inside the interval of the model alone, which knows nothing of the noise of the
    observed effect. `with_sampling_error`: inside the interval widened on each side to
    √(width² + (z·SE)²), which should reach `level`. Entries without a sampling variance, such as
    genes without a count, are left out. None without intervals or rows.
    """
    found = _deviations(observed, predicted, level)
    if found is None:
        return None
    return {
        "posterior": float((found.deviation <= found.half_width).mean()),
        "with_sampling_error": float((found.beyond_noise <= found.half_width).mean()),
        "level": level,
        "n": len(found.deviation),
        "n_left_out": found.n_left_out,
        "n_perturbations": found.n_perturbations,
    }


def widening(observed: Effects, predicted: Effects, level: float = LEVEL) -> Widening:
    """How much wider intervals have to be to hold ``level`` of the observed effects.

    The posterior of the shared variables alone knows nothing of how far the model is from the
    data. This is split conformal prediction (Lei et al., JASA 2018), twice: among the narrower
    half of the intervals the quantile of what each effect lies away, its sampling error taken
    off, is the floor; among the wider half the factor is what is needed beside it, between one,
    for intervals are not narrowed, and ``MAX_FACTOR``.

    Parameters
    ----------
    observed
        Effects in cells that trained nothing, with standard errors.
    """
    found = _deviations(observed, predicted, level)
    if found is None:
        return POSTERIOR_ALONE
    narrow = found.half_width <= np.median(found.half_width)
    floor = float(np.quantile(found.beyond_noise[narrow], level, method="higher"))
    if narrow.all():
        return Widening(floor=floor)
    left = np.sqrt(np.clip(found.beyond_noise[~narrow] ** 2 - floor**2, 0, None))
    needed = float(np.quantile(left / found.half_width[~narrow], level, method="higher"))
    return Widening(min(max(needed, 1.0), MAX_FACTOR), floor)


class _Deviations(NamedTuple):
    """Of each effect with a sampling error, log2 units."""

    deviation: FloatArray  # |observed − predicted|
    beyond_noise: FloatArray  # √(deviation² − (z·SE)²), or zero
    half_width: FloatArray  # of the predicted interval on that side
    n_left_out: int
    n_perturbations: int


def _deviations(observed: Effects, predicted: Effects, level: float) -> _Deviations | None:
    if predicted.lower is None or predicted.upper is None:
        return None
    observed, predicted = matched(observed, predicted)
    if not observed.perturbations:
        return None
    assert predicted.lower is not None
    assert predicted.upper is not None
    assert observed.se is not None
    measured = np.isfinite(observed.se) & (observed.se > 0)
    if not measured.any():
        return None
    away = (observed.mean - predicted.mean)[measured]
    below, above = predicted.mean - predicted.lower, predicted.upper - predicted.mean
    noise = NormalDist().inv_cdf((1 + level) / 2) * observed.se[measured]
    return _Deviations(
        np.abs(away),
        np.sqrt(np.clip(away**2 - noise**2, 0, None)),
        np.where(away < 0, below[measured], above[measured]),
        int((~measured).sum()),
        len(observed.perturbations),
    )


def matched(observed: Effects, predicted: Effects) -> tuple[Effects, Effects]:
    """Both tables on the rows that both can answer, in observed order, and the same genes."""
    answered = set(predicted.applicable)
    labels = [label for label in observed.applicable if label in answered]
    return observed.rows(labels), predicted.rows(labels).columns(observed.genes)


def targeted(effects: Effects) -> BoolArray:
    """True where the column is a gene that the row's perturbation targets; (rows, genes)."""
    genes = np.asarray(effects.genes)
    mask = np.zeros(effects.mean.shape, dtype=bool)
    for row, label in enumerate(effects.perturbations):
        mask[row] = np.isin(genes, genes_of(label))
    return mask


def _values(observed: FloatArray, predicted: FloatArray, keep: BoolArray | None) -> dict[str, Any]:
    functions = {name: METRICS[name].function for name in EFFECT_METRICS}
    found = {name: f(observed, predicted, keep) for name, f in functions.items() if f is not None}
    return as_json(found, {name: METRICS[name].undefined for name in found})


def as_json(found: dict[str, float], reasons: dict[str, str]) -> dict[str, Any]:
    """Undefined values as None, with the reasons beside them."""
    undefined = {name: reasons[name] for name, value in found.items() if not np.isfinite(value)}
    values: dict[str, Any] = {n: None if n in undefined else float(v) for n, v in found.items()}
    return {**values, "undefined": undefined} if undefined else values


def _one(observed: Effects, predicted: Effects, row: int) -> dict[str, Any]:
    values = _values(observed.mean[[row]], predicted.mean[[row]], None)
    n_cells = None if observed.n_cells is None else int(observed.n_cells[row])
    return {**values, "n_cells": n_cells}


def _ceiling_values(observed: Effects, keep: BoolArray | None) -> dict[str, Any]:
    chosen = np.ones(observed.mean.shape, dtype=bool) if keep is None else keep
    assert observed.se is not None
    total = sum_of_squares(observed.mean[chosen])
    noise = float((observed.se[chosen] ** 2).sum())
    r2 = 1 - noise / total if total > 0 else float("nan")
    rho = float(np.sqrt(r2)) if r2 >= 0 else float("nan")
    return as_json(
        {"ate_rho": rho, "ate_r2": r2},
        {
            "ate_rho": "the sampling noise exceeds the observed variance",
            "ate_r2": METRICS["ate_r2"].undefined,
        },
    )

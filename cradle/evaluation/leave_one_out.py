"""What a comparison rests on: ATE-R² of the model and of a rule, one gene or perturbation left out.

A sum of squares over all genes of all perturbations is made by the few largest effects. Where one
gene alone turns the order of a model and a rule, the order says more of that gene than of them.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from cradle.evaluation.effects import Effects
from cradle.evaluation.metrics import ate_r2
from cradle.evaluation.sections import SPLITS, Scoring

Of = Literal["gene", "perturbation"]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating]
_AXIS: dict[Of, int] = {"perturbation": 0, "gene": 1}


class Pair(NamedTuple):
    """ATE-R² of the model and of the rule, without the gene or perturbation of this name."""

    model: float
    rule: float
    left_out: str | None = None

    @property
    def ahead(self) -> int:
        """1 where the model is ahead, −1 where the rule is, 0 where they are level."""
        return int(np.sign(self.model - self.rule))


class Standing(NamedTuple):
    """The model beside the best rule, and what is left of that without the one gene, and the one
    perturbation, on which it rests most; None where there is no second one."""

    name: str  # of the rule
    everything: Pair
    without: dict[Of, Pair | None]

    def turned_by(self) -> list[tuple[Of, Pair]]:
        """Where leaving one out puts the other of the two ahead."""
        found = [(of, pair) for of, pair in self.without.items() if pair is not None]
        return [(of, pair) for of, pair in found if pair.ahead * self.everything.ahead < 0]


def r2_without_each(
    observed: FloatArray, predicted: FloatArray, of: Of, keep: BoolArray | None = None
) -> FloatArray:
    """ATE-R² with each column (gene) or row (perturbation) left out in turn.

    Parameters
    ----------
    observed, predicted
        ``(perturbations, genes)``, log2 units.
    of
        What is left out.
    keep
        Entries that count, all by default.

    Returns
    -------
    ``(genes,)`` or ``(perturbations,)``, as :func:`cradle.evaluation.metrics.ate_r2` of the rest;
    NaN where what is left is constant.
    """
    counts = np.ones(observed.shape, bool) if keep is None else keep
    along = 1 - _AXIS[of]

    def left(values: FloatArray) -> FloatArray:
        own = np.where(counts, values, 0.0).sum(axis=along)
        return np.asarray(own.sum() - own)

    # deviations from the mean of all: sums of squares about it lose no digits
    deviation = observed - observed[counts].mean() if counts.any() else observed
    n, error = left(np.ones(observed.shape)), left((observed - predicted) ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = left(deviation**2) - left(deviation) ** 2 / n
        return np.where(total > 1e-12 * n, 1 - error / total, np.nan)


def standing(
    observed: Effects, model: Effects, rules: dict[str, Effects], keep: BoolArray | None = None
) -> Standing | None:
    """The model beside the best of the rules that answer every row; None without one.

    Parameters
    ----------
    observed
        What is scored, ``(perturbations, genes)``.
    model, rules
        Predicted effects on the same rows and genes.
    keep
        Entries that count, all by default.
    """
    answering = {name: rule for name, rule in rules.items() if np.isfinite(rule.mean).all()}
    scores = {name: ate_r2(observed.mean, rule.mean, keep) for name, rule in answering.items()}
    own = ate_r2(observed.mean, model.mean, keep)
    if not scores or not np.isfinite([own, *scores.values()]).all():
        return None
    best = max(scores, key=scores.__getitem__)
    everything = Pair(own, scores[best])
    names: dict[Of, tuple[str, ...]] = {"gene": observed.genes,
                                        "perturbation": observed.perturbations}  # fmt: skip
    without = {
        of: _farthest(everything, names[of], *(
            r2_without_each(observed.mean, side.mean, of, keep) for side in (model, rules[best])
        ))
        for of in names
    }  # fmt: skip
    return Standing(best, everything, without)


def _farthest(
    everything: Pair, names: tuple[str, ...], model: FloatArray, rule: FloatArray
) -> Pair | None:
    """The one whose absence brings the one that is behind farthest."""
    gap = (model - rule) * (everything.ahead or 1)
    if len(names) < 2 or not np.isfinite(gap).any():
        return None
    i = int(np.nanargmin(gap))
    return Pair(float(model[i]), float(rule[i]), names[i])


def leave_one_out(scoring: Scoring) -> dict[str, Any]:
    """``standing`` in each split, as JSON; None where no rule answers what the model does."""
    fitted = scoring.baselines()
    found: dict[str, Any] = {}
    for split in SPLITS:
        observed = scoring.observed(split)
        rows = scoring.answered(split)
        if observed is None or not rows:
            found[split] = None
            continue
        observed = observed.rows(rows)
        model = scoring.predicted.rows(rows).columns(observed.genes)
        rules = {name: rule.treatment_effects(rows) for name, rule in fitted.items()}
        found[split] = _json(standing(observed, model, rules))
    return found


def _json(found: Standing | None) -> dict[str, Any] | None:
    if found is None:
        return None
    pairs: dict[str, Pair | None] = {"everything": found.everything}
    pairs |= {f"without_{of}": pair for of, pair in found.without.items()}
    return {"best_rule": found.name} | {
        name: None if pair is None else pair._asdict() for name, pair in pairs.items()
    }

"""The model beside the best simple rule in ATE-R², and how far to trust which of them is ahead.

A sum of squares over all genes of all perturbations is made by the few largest effects. Where one
gene alone turns the order of the two, the order says more of that gene than of them; where the
distance is within what another draw of as many cells would move it, it says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from cradle.evaluation.effects import Effects
from cradle.evaluation.metrics import ate_r2
from cradle.evaluation.moments import Moments, observed_effects
from cradle.evaluation.sections import SPLITS, Scoring, train_means
from cradle.models.baselines import Baseline, fit_baseline

Of = Literal["gene", "perturbation"]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating]
_AXIS: dict[Of, int] = {"perturbation": 0, "gene": 1}
N_RESAMPLES = 100
#: Where it is said who is ahead: splits with a standard error.
JUDGED = ("test", "all")
#: Means of groups of cells × genes; beyond it resampling would take too long and too much memory.
MAX_MEANS = 3 * 10**7
#: A distance in ATE-R² below which neither is ahead.
LEVEL = 0.005


class Pair(NamedTuple):
    """ATE-R² of the model and of the rule, without the gene or perturbation of this name."""

    model: float
    rule: float
    left_out: str | None = None

    @property
    def ahead(self) -> int:
        """1 where the model is ahead, −1 where the rule is, 0 where they are level."""
        gap = self.model - self.rule
        return 0 if abs(gap) < LEVEL else int(np.sign(gap))


class BesideRule(NamedTuple):
    """The model beside the best rule, and what is left of that without the one gene, and the one
    perturbation, on which it rests most; None where there is no second one."""

    rule: str
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


def beside_rule(
    observed: Effects, model: Effects, rules: dict[str, Effects], keep: BoolArray | None = None
) -> BesideRule | None:
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
    sides = (model.mean, rules[best].mean)

    def without(of: Of, names: tuple[str, ...]) -> Pair | None:
        """The one whose absence brings the side that is behind farthest."""
        each = [r2_without_each(observed.mean, side, of, keep) for side in sides]
        gap = (each[0] - each[1]) * (everything.ahead or 1)
        if len(names) < 2 or not np.isfinite(gap).any():
            return None
        i = int(np.nanargmin(gap))
        return Pair(float(each[0][i]), float(each[1][i]), names[i])

    left_out: dict[Of, Pair | None] = {
        "gene": without("gene", observed.genes),
        "perturbation": without("perturbation", observed.perturbations),
    }
    return BesideRule(best, everything, left_out)


def standard_errors(
    scoring: Scoring, rules: Mapping[str, str], seed: int = 0
) -> dict[str, float | None]:
    """How far another draw of as many cells would move model minus rule in ATE-R².

    Standard deviation over ``N_RESAMPLES`` draws of what was measured, the rule worked out anew
    from each. The mean of every group of cells is drawn about the measured one, normal, with what
    the genes of a cell have in common; the model is not trained anew.

    Parameters
    ----------
    rules
        Name of the rule in each split that is asked for.

    Returns
    -------
    By split; None where there are more than ``MAX_MEANS`` means, or a file of an earlier version
    does not tell what genes have in common.
    """
    if scoring.moments.mean.size > MAX_MEANS or scoring.moments.residuals is None:
        return dict.fromkeys(rules)
    rows = {split: scoring.answered(split) for split in rules}
    models = {split: scoring.predicted.rows(asked).columns(scoring.moments.genes)
              for split, asked in rows.items()}  # fmt: skip
    gaps: dict[str, list[float]] = {split: [] for split in rules}
    for moments in _resampled(scoring.moments, np.random.default_rng(seed)):
        train = train_means(moments, scoring.train_passing)
        fitted = {name: fit_baseline(name, train) for name in set(rules.values())}
        for split, rule in rules.items():
            observed = observed_effects(moments, split, scoring.side).rows(rows[split])
            told = fitted[rule].treatment_effects(rows[split]).mean
            own = models[split].mean
            gaps[split].append(ate_r2(observed.mean, own) - ate_r2(observed.mean, told))
    return {split: float(np.std(found, ddof=1)) for split, found in gaps.items()}


def _resampled(moments: Moments, rng: np.random.Generator) -> Iterator[Moments]:
    pooled = moments.pool()
    row = {label: i for i, label in enumerate(pooled.labels)}
    known = moments.groups["perturbation"].astype(str).map(row)
    variance = np.zeros(moments.mean.shape, np.float32)  # of groups that count in no split: none
    here = known.notna().to_numpy()
    variance[here] = np.nan_to_num(pooled.var[known[here].astype(int)])
    sizes = moments.groups["n_cells"].to_numpy(np.float32)[:, None]
    error = np.sqrt(variance / sizes)
    for _ in range(N_RESAMPLES):
        mean = moments.mean + error * moments.noise(len(error), rng)
        if moments.batches is not None:
            of_batch = np.sqrt(moments.batches.error)
            mean += (moments.batches.cells / sizes) @ (of_batch * moments.noise(len(of_batch), rng))
        yield replace(moments, mean=mean)


def rule_section(scoring: Scoring) -> dict[str, Any]:
    """``beside_rule`` in each split, as JSON, with a standard error in those of ``JUDGED``; None
    where no rule answers what the model does."""
    fitted = scoring.baselines()
    found = {split: _of_split(scoring, split, fitted) for split in SPLITS}
    rules = {split: one.rule for split in JUDGED if (one := found[split]) is not None}
    errors = standard_errors(scoring, rules)
    return {
        split: None if one is None else _json(one) | {"standard_error": errors.get(split)}
        for split, one in found.items()
    }


def _of_split(scoring: Scoring, split: str, fitted: Mapping[str, Baseline]) -> BesideRule | None:
    rows, observed = scoring.answered(split), scoring.observed(split)
    if observed is None or not rows:
        return None
    observed = observed.rows(rows)
    model = scoring.predicted.rows(rows).columns(observed.genes)
    rules = {name: rule.treatment_effects(rows) for name, rule in fitted.items()}
    return beside_rule(observed, model, rules)


def _json(found: BesideRule) -> dict[str, Any]:
    pairs: dict[str, Pair | None] = {"everything": found.everything}
    pairs |= {f"without_{of}": pair for of, pair in found.without.items()}
    return {"rule": found.rule} | {
        name: None if pair is None else pair._asdict() for name, pair in pairs.items()
    }

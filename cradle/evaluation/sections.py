"""The sections of an evaluation that need effects only: scores, floor, ceiling, replicate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cradle.data.dosage import genes_of
from cradle.data.schema import CONTROL
from cradle.evaluation.effects import Effects
from cradle.evaluation.moments import (
    MIN_CELLS,
    SCORED_SPLITS,
    Moments,
    Side,
    control_splits,
    observed_effects,
    pooled_control,
)
from cradle.evaluation.scores import ceiling, coverage, score
from cradle.models.baselines import BASELINES, Baseline, TrainMeans, fit_baseline

SPLITS = ("test", "val", "train", "all")
TRAIN_HALF, OBSERVED_HALF = 0, 1

JSON = dict[str, Any]


@dataclass(frozen=True)
class Scoring:
    """What is scored against what.

    Parameters
    ----------
    moments
        Of every cell of the screen, with its split.
    predicted
        Effects of the model, one row for each perturbation that it was asked for.
    perturbed_genes
        Genes that training cells carry; a perturbation with another gene is not scored.
    side
        Observed cells that count: all of them or the QC-passing ones.
    train_passing
        Whether the model was trained on QC-passing cells only; the baselines then are too.
    """

    moments: Moments
    predicted: Effects
    perturbed_genes: tuple[str, ...]
    side: Side = "all"
    train_passing: bool = False

    def observed(
        self, split: str, half: int | None = None, *, pooled_variance: bool = False
    ) -> Effects | None:
        """Observed effects of a split on the scored perturbations; None when it has none."""
        if not self.scored(split):
            return None
        found = observed_effects(
            self.moments, split, self.side, control_half=half, pooled_variance=pooled_variance
        )
        return found.rows(self.scored(split))

    def scored(self, split: str) -> list[str]:
        """Perturbations with cells in the split, all of whose genes were trained on."""
        known = set(self.perturbed_genes)
        return [p for p in self.labels(split) if known.issuperset(genes_of(p))]

    def answered(self, split: str) -> list[str]:
        """Scored perturbations that the model has an effect for; to the others it is not
        applicable."""
        told = set(self.predicted.applicable)
        return [p for p in self.scored(split) if p in told]

    def gene_never_seen(self) -> list[str]:
        """Perturbations with a gene that no training cell carries."""
        return [p for p in self.labels("all") if p not in set(self.scored("all"))]

    def labels(self, split: str) -> list[str]:
        """Perturbations with cells of the chosen side in the split; in that of the training cells
        only those that the model was trained on."""
        splits = SCORED_SPLITS if split == "all" else (split,)
        trained_on = split == "train" and self.train_passing
        found = self.moments.n_cells(splits, self.side == "passing" or trained_on)
        return [label for label in found if label != CONTROL]

    def baselines(self, control_half: int | None = None) -> dict[str, Baseline]:
        """Every baseline, fitted on the model's training cells (and half of the control)."""
        train = train_means(self.moments, self.train_passing, control_half)
        return {name: fit_baseline(name, train) for name in BASELINES}


def train_means(
    moments: Moments, passing_only: bool = False, control_half: int | None = None
) -> TrainMeans:
    """Mean profiles of the training cells, with one random half of the control if asked for."""
    pooled = moments.pool(["train"], passing_only=passing_only)
    means = pooled.mean.copy()
    if control_half is not None and CONTROL in pooled.labels:
        half = moments.pool(["train"], [control_half], passing_only, [CONTROL])
        means[pooled.labels.index(CONTROL)] = half.mean[0]
    return TrainMeans(pooled.labels, moments.genes, means)


def model_scores(scoring: Scoring, half: int | None = None, detail: bool = True) -> JSON:
    """Scores of the model in each split."""
    return _by_split(scoring, lambda o: score(o, scoring.predicted, per_perturbation=detail), half)


def floor(
    scoring: Scoring, train_half: int | None = None, observed_half: int | None = None
) -> JSON:
    """Scores of each baseline in each split.

    Where a baseline does not apply to every scored perturbation, `model_on_same_rows` holds
    the model's scores on those that it answers; where the model does not, `on_model_rows` holds
    the baseline's scores on those of the model.
    """
    fitted = scoring.baselines(train_half)
    return {
        name: _by_split(scoring, _against(scoring.predicted, baseline), observed_half)
        for name, baseline in fitted.items()
    }


def ceilings(scoring: Scoring, half: int | None = None) -> JSON:
    """The score of the true means in each split."""
    return _by_split(scoring, ceiling, half)


def coverages(scoring: Scoring) -> JSON:
    """Empirical coverage of the model's intervals in each split; held-out pairs are `test`."""
    observed = {split: scoring.observed(split, pooled_variance=True) for split in SPLITS}
    return {
        split: None if found is None else coverage(found, scoring.predicted)
        for split, found in observed.items()
    }


def replicate(scoring: Scoring) -> JSON:
    """One half of the observed cells as a prediction of the other; no cell is in both.

    Halves hold half of the cells, so the replicate is noisier than the data, and it is a
    single random draw: reported as it is.
    """
    possible = halves_have_control(scoring)
    return {split: _replicate(scoring, split) if possible else None for split in SPLITS}


def disjoint_control(scoring: Scoring) -> JSON | None:
    """Model, floor and ceiling where the observed effects use one half of the control.

    The baselines use the other half of the training control. The model was trained on both, and
    where there are batches, how far each lies from the others is taken from both (`batch_offsets`).
    None where a half would be without control cells.
    """
    if not halves_have_control(scoring):
        return None
    return {
        "model": model_scores(scoring, OBSERVED_HALF, detail=False),
        "floor": floor(scoring, TRAIN_HALF, OBSERVED_HALF),
        "ceiling": ceilings(scoring, OBSERVED_HALF),
    }


def halves_have_control(scoring: Scoring) -> bool:
    """Whether each half has control cells, among the training cells and among all."""
    passing = scoring.side == "passing" or scoring.train_passing
    return all(
        scoring.moments.pool(splits, [half], passing, [CONTROL]).labels
        for splits in (SCORED_SPLITS, ["train"])
        for half in (0, 1)
    )


def record(scoring: Scoring) -> JSON:
    """What was compared with what, and what to beware of."""
    present = [split for split in SPLITS if scoring.scored(split)]
    unanswered = {
        split: [p for p in scoring.scored(split) if p not in set(scoring.answered(split))]
        for split in present
    }
    small = {split: small_groups(scoring, split) for split in present}
    control = {
        split: list(control_splits(scoring.moments, split, scoring.side)) for split in present
    }
    return {
        "side": scoring.side,
        "scale": "log2(1 + 1e4·x/library size), perturbation minus control",
        "baselines_trained_on": "QC-passing train cells"
        if scoring.train_passing
        else "train cells",
        "control_of_split": control,
        "gene_never_seen": scoring.gene_never_seen(),
        "not_applicable": {split: labels for split, labels in unanswered.items() if labels},
        "without_perturbations": [split for split in SPLITS if split not in present],
        "small_groups": {split: groups for split, groups in small.items() if groups},
        "warnings": [_warning(split, groups) for split, groups in small.items() if groups],
    }


def _by_split(
    scoring: Scoring, of_observed: Callable[[Effects], JSON | None], half: int | None
) -> JSON:
    found = {split: scoring.observed(split, half) for split in SPLITS}
    return {split: None if o is None else of_observed(o) for split, o in found.items()}


def _against(model: Effects, baseline: Baseline) -> Callable[[Effects], JSON | None]:
    def scores(observed: Effects) -> JSON | None:
        predicted = baseline.treatment_effects(observed.perturbations)
        found = score(observed, predicted)
        if found is not None and len(predicted.applicable) < len(observed.perturbations):
            found["model_on_same_rows"] = score(observed.rows(predicted.applicable), model)
        told = set(model.applicable)
        rows = [label for label in observed.perturbations if label in told]
        if found is not None and 0 < len(rows) < len(observed.perturbations):
            found["on_model_rows"] = score(observed.rows(rows), predicted)
        return found

    return scores


def halves(scoring: Scoring, split: str) -> tuple[Effects, Effects] | None:
    """Effects of each half of the cells against its own half of control; None without any."""
    if not scoring.scored(split):
        return None
    first, second = (
        observed_effects(scoring.moments, split, scoring.side, half, treated_half=half)
        for half in (0, 1)
    )
    both = set(first.perturbations) & set(second.perturbations)
    rows = [label for label in scoring.scored(split) if label in both]
    return first.rows(rows), second.rows(rows)


def _replicate(scoring: Scoring, split: str) -> JSON | None:
    found = halves(scoring, split)
    return None if found is None else score(found[1], found[0])


def small_groups(scoring: Scoring, split: str) -> dict[str, int]:
    """Cells of the scored perturbations, and of their control, that have fewer than 30."""
    splits = SCORED_SPLITS if split == "all" else (split,)
    pooled = scoring.moments.pool(splits, passing_only=scoring.side == "passing")
    control = int(pooled_control(scoring.moments, split, scoring.side).n[0])
    sizes = pd.Series(pooled.n, index=pooled.labels)
    sizes = sizes[sizes.index.isin(scoring.scored(split))]
    sizes[CONTROL] = control
    return {str(label): int(n) for label, n in sizes.items() if n < MIN_CELLS}


def _warning(split: str, groups: dict[str, int]) -> str:
    shown = ", ".join(f"{label} ({n})" for label, n in list(groups.items())[:5])
    more = f" and {len(groups) - 5} more" if len(groups) > 5 else ""
    return f"Fewer than {MIN_CELLS} cells in the split {split}: {shown}{more}."

"""Field metrics of a run: mean level and distributions, with floor, replicate and ceiling."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from cradle.data.schema import CONTROL
from cradle.evaluation.effects import Effects
from cradle.evaluation.field_cells import CELL_SPLITS, MIN_POPULATION, N_CELLS, CellScores
from cradle.evaluation.field_metrics import (
    DISTRIBUTION_METRICS,
    FIELD_METRICS,
    MEAN_METRICS,
    N_TOP_GENES,
    centroid_rank,
    effect_weights,
    l2,
    package_versions,
    pearson,
    weighted_mse,
)
from cradle.evaluation.pooling import Pooled
from cradle.evaluation.scores import as_json, matched
from cradle.evaluation.sections import SPLITS, Scoring, halves, halves_have_control
from cradle.models.baselines import Baseline

#: Written with every report; a run without this section, or with another number, still opens.
FIELD_SCHEMA = 1
LN2 = float(np.log(2.0))

FloatArray = npt.NDArray[np.floating]
JSON = dict[str, Any]


def field_section(scoring: Scoring, cells: CellScores | None, reason: str = "") -> JSON:
    """Every field metric, strictly valid JSON.

    Parameters
    ----------
    cells
        Scores of populations, of :func:`cradle.evaluation.field_cells.score_cells`.
    reason
        Why there are none of the model, where that is so.

    Returns
    -------
    ``mean_level`` and ``distributional``, each with ``model``, ``floor``, ``replicate`` and
    ``ceiling`` by split (None without perturbations to score), and what they were computed with.
    """
    means = _Means(scoring)
    mean_level: JSON = {
        "model": _by_split(means.model),
        "floor": {
            name: _by_split(partial(means.floor, baseline))
            for name, baseline in scoring.baselines().items()
        },
        "replicate": _by_split(means.replicate),
        "ceiling": _by_split(means.ceiling),
    }
    distributional = None
    if cells is not None:
        distributional = cells.nested(DISTRIBUTION_METRICS)
        _add(mean_level, cells.nested(("e_distance",)))
    absent = {"ceiling centroid_rank": "no closed form; 1 is its upper bound"}
    if reason:
        absent["model e_distance and distributional"] = reason
    return {
        "schema": FIELD_SCHEMA,
        "packages": package_versions(),
        "scale": "ln(1 + 1e4·x/library size), perturbation mean",
        "top_genes": len(means.top),
        "reference_perturbed": "mean of the training perturbations, each once",
        "cells": {
            "splits": list(CELL_SPLITS),
            "per_population": N_CELLS,
            "at_least": MIN_POPULATION,
            "floor": "training control cells, moved by the effect that the baseline predicts",
            "batches": "not corrected for",
        },
        "mean_level": mean_level,
        "distributional": distributional,
        "not_applicable": absent,
    }


class _Means:
    """Mean-level scores of any prediction against the observed effects of a split."""

    def __init__(self, scoring: Scoring):
        self.scoring = scoring
        moments, passing = scoring.moments, scoring.side == "passing"
        train = moments.pool(["train"], passing_only=passing)
        control = train.mean[train.labels.index(CONTROL)] if CONTROL in train.labels else None
        perturbed = [i for i, label in enumerate(train.labels) if label != CONTROL]
        usable = control is not None and bool(perturbed)
        self.reference = (
            LN2 * (train.mean[perturbed].mean(axis=0) - control)
            if usable
            else np.full(len(moments.genes), np.nan)
        )
        expression = moments.pool(labels=[CONTROL]).mean[0] if control is None else control
        self.top = np.argsort(-expression, kind="stable")[:N_TOP_GENES]
        self.everywhere = moments.pool(passing_only=passing)
        self._weights: dict[str, FloatArray] = {}

    def model(self, split: str) -> JSON | None:
        """Of the model."""
        observed = self.scoring.observed(split)
        return None if observed is None else self._score(split, observed, self.scoring.predicted)

    def floor(self, baseline: Baseline, split: str) -> JSON | None:
        """Of a baseline."""
        observed = self.scoring.observed(split)
        if observed is None:
            return None
        return self._score(split, observed, baseline.treatment_effects(observed.perturbations))

    def replicate(self, split: str) -> JSON | None:
        """One half of the cells as a prediction of the other, with its own half of control."""
        found = halves(self.scoring, split) if halves_have_control(self.scoring) else None
        return None if found is None else self._score(split, found[1], found[0])

    def ceiling(self, split: str) -> JSON | None:
        """Expected scores of the true means, from the sampling variance of the observed ones.

        Correlation √(1 − ΣSE²/SS), zero where the noise exceeds the variance; distance √ΣSE²;
        weighted error Σ w·SE².
        """
        observed = self.scoring.observed(split)
        if observed is None:
            return None
        assert observed.se is not None
        usable = np.isfinite(observed.se).all(axis=1)
        rows = observed.rows([observed.perturbations[i] for i in np.flatnonzero(usable)])
        if not rows.perturbations:
            return None
        assert rows.se is not None
        effect, noise = LN2 * rows.mean, (LN2 * rows.se) ** 2
        weights = self._weights_of(split, rows.perturbations)
        top = self.top
        found = {
            "pearson_delta": _best_correlation(effect[:, top], noise[:, top]),
            "pearson_delta_perturbed": _best_correlation(
                (effect - self.reference)[:, top], noise[:, top]
            ),
            "l2": float(np.sqrt(noise[:, top].sum(axis=1)).mean()),
            "weighted_mse": weighted_mse(np.sqrt(noise), np.zeros_like(noise), weights),
        }
        return _leaf(found, len(rows.perturbations))

    def _score(self, split: str, observed: Effects, predicted: Effects) -> JSON | None:
        observed, predicted = matched(observed, predicted)
        if not observed.perturbations:
            return None
        o, p = LN2 * observed.mean, LN2 * predicted.mean
        top, reference = self.top, self.reference
        found = {
            "pearson_delta": pearson(o[:, top], p[:, top]),
            "pearson_delta_perturbed": pearson((o - reference)[:, top], (p - reference)[:, top]),
            "l2": l2(o[:, top], p[:, top]),
            "weighted_mse": weighted_mse(o, p, self._weights_of(split, observed.perturbations)),
            "centroid_rank": centroid_rank(o, p),
        }
        return _leaf(found, len(observed.perturbations))

    def _weights_of(self, split: str, labels: tuple[str, ...]) -> FloatArray:
        """Weights of the genes by the observed cells of the split, one row a perturbation."""
        splits = None if split == "all" else [split]
        own = self.scoring.moments.pool(splits, passing_only=self.scoring.side == "passing")
        rows = []
        for label in labels:
            key = f"{split}/{label}"
            if key not in self._weights:
                self._weights[key] = _weights(own, self.everywhere, label)
            rows.append(self._weights[key])
        return np.stack(rows)


def _weights(own: Pooled, everywhere: Pooled, label: str) -> FloatArray:
    """Of one perturbation against all others, control left out; NaN where that is not possible."""
    i = own.labels.index(label)
    others = [j for j, name in enumerate(everywhere.labels) if name not in (label, CONTROL)]
    n = everywhere.n[others].astype(np.float64)
    if own.n[i] < 2 or n.sum() < 2:
        return np.full(own.mean.shape[1], np.nan)
    mean = np.average(everywhere.mean[others], axis=0, weights=n)
    within = np.nan_to_num(everywhere.var[others]) * (n - 1)[:, None]
    between = n[:, None] * (everywhere.mean[others] - mean) ** 2
    variance = (within + between).sum(axis=0) / (n.sum() - 1)
    return effect_weights((own.mean[i], own.var[i], int(own.n[i])), (mean, variance, int(n.sum())))


def _best_correlation(effect: FloatArray, noise: FloatArray) -> float:
    total = ((effect - effect.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    kept = total > 0
    if not kept.any():
        return float("nan")
    share = 1 - noise.sum(axis=1)[kept] / total[kept]
    return float(np.sqrt(np.clip(share, 0.0, None)).mean())


def _leaf(found: dict[str, float], n: int) -> JSON:
    reasons = {name: FIELD_METRICS[name].undefined for name in found}
    return {**as_json(found, reasons), "n_perturbations": n}


def _by_split(of_split: Callable[[str], JSON | None]) -> JSON:
    return {split: of_split(split) for split in SPLITS}


def _add(mean_level: JSON, from_cells: JSON) -> None:
    """Put what only cells tell beside the other mean-level scores."""
    floor = mean_level["floor"]
    pairs = [(mean_level[who], from_cells[who]) for who in ("model", "replicate", "ceiling")]
    pairs += [(floor[name], from_cells["floor"][name]) for name in floor]
    for there, new in pairs:
        for split, leaf in (new or {}).items():
            if leaf and there.get(split):
                undefined = {**there[split].pop("undefined", {}), **leaf.get("undefined", {})}
                there[split]["e_distance"] = leaf["e_distance"]
                there[split] |= {"undefined": undefined} if undefined else {}


__all__ = ["DISTRIBUTION_METRICS", "FIELD_SCHEMA", "MEAN_METRICS", "field_section"]

"""Predicted against observed effects of a run: tidy tables and scores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from cradle.errors import InputError
from cradle.evaluation.beside_rule import BesideRule, beside_rule
from cradle.evaluation.effects import Effects, FloatArray
from cradle.evaluation.metrics import EFFECT_METRICS
from cradle.evaluation.moments import (
    SCORED_SPLITS,
    Moments,
    Side,
    observed_effects,
    pooled_control,
)
from cradle.evaluation.scores import ceiling, score, targeted
from cradle.evaluation.sections import (
    OBSERVED_HALF,
    SPLITS,
    TRAIN_HALF,
    Scoring,
    halves_have_control,
    replicate,
    small_groups,
)
from cradle.ui import store
from cradle.ui.kept import once
from cradle.ui.labels import safe_labels

Reference = Literal["control", "perturbed"]
MODEL = "model"
#: Rule that stands beside the model in tables of single perturbations, and by which scores.
BESIDE, RULE_SCORES = "additive", ("ate_rho", "ate_r2")


class Terms(NamedTuple):
    """What is compared; tables are kept by it.

    Parameters
    ----------
    run_path
        Folder of the run.
    split
        One of ``SPLITS``.
    side
        Observed cells that count: all of them or the QC-passing ones.
    reference
        What an effect is measured against: control cells, or the mean of all perturbed
        training cells.
    perturbation
        Only this one; None pools all.
    disjoint
        Whether the observed effects use one random half of the control cells and the rules the
        other, so that their noise is not shared. Only against control.
    """

    run_path: str
    split: str
    side: Side = "all"
    reference: Reference = "control"
    perturbation: str | None = None
    disjoint: bool = False

    @property
    def against(self) -> str:
        """What effects are measured against, in words."""
        if self.reference != "control":
            return "the mean of perturbed cells"
        halved = ", one half of it for the rules and one for the observations"
        return "control" + halved * self.disjoint


class Compared(NamedTuple):
    """Effects of one split: the observed ones, and by name those of the model and each rule."""

    observed: Effects
    predicted: dict[str, Effects]

    def of(self, perturbation: str) -> Compared:
        """Only one perturbation."""
        rows = {name: effects.rows([perturbation]) for name, effects in self.predicted.items()}
        return Compared(self.observed.rows([perturbation]), rows)


def scoring(run_path: str, side: Side) -> Scoring:
    """What the evaluation of a run scores."""
    run = store.run_at(run_path)
    return Scoring(run.moments, run.predicted_effects, run.perturbed_genes, side, run.passing_only)


@st.cache_resource(max_entries=24, show_spinner="Reading the effects …")
def compared(terms: Terms) -> Compared:
    """Observed, predicted and baseline effects on the rows that the model answers."""
    if terms.perturbation is not None:
        return compared(terms._replace(perturbation=None)).of(terms.perturbation)
    base = scoring(terms.run_path, terms.side)
    observed = base.observed(terms.split, OBSERVED_HALF if terms.disjoint else None)
    if observed is None:
        raise InputError(
            f"The split {terms.split} has no perturbation that can be scored.",
            "no cell with a perturbation whose genes are all in training.",
            "Choose another split.",
        )
    observed = observed.rows(base.answered(terms.split))
    rows = observed.perturbations
    rules = base.baselines(TRAIN_HALF if terms.disjoint else None)
    found = {MODEL: base.predicted.rows(rows).columns(observed.genes)}
    found |= {name: rule.treatment_effects(rows) for name, rule in rules.items()}
    if terms.reference == "perturbed":
        shift = observed_effects(base.moments, "train", terms.side).mean.mean(axis=0)
        observed = against_perturbed(base.moments, terms.split, terms.side, observed)
        found = {name: _shifted(effects, shift) for name, effects in found.items()}
    return Compared(observed, found)


@st.cache_resource(max_entries=24, show_spinner=False)
def few_cells(run_path: str, split: str, side: Side) -> dict[str, int]:
    """Observed cells of the groups behind the scores that have too few, smallest first."""
    found = small_groups(scoring(run_path, side), split)
    return dict(sorted(found.items(), key=lambda group: group[1]))


@st.cache_resource(max_entries=16, show_spinner=False)
def replicates(run_path: str, side: Side) -> dict[str, Any]:
    """Scores of one half of the observed cells as a prediction of the other, by split."""
    stored = store.scores_at(run_path).get("replicate") if side == "all" else None
    return dict(stored) if stored else replicate(scoring(run_path, side))


@st.cache_resource(max_entries=32, show_spinner=False)
def control_can_be_halved(run_path: str, side: Side) -> bool:
    """Whether each random half of the cells has control cells."""
    return halves_have_control(scoring(run_path, side))


def splits(run_path: str) -> list[str]:
    """Splits of a run that can be scored, the held-out one first."""
    answered, scored = _scored(run_path)
    found = [split for split, labels in answered.items() if labels]
    if not found:
        raise InputError(
            "This model is not applicable to any perturbation of the screen.",
            f"{len(scored)} perturbations, none of which it can express.",
            "Choose another run in the sidebar.",
        )
    return found


def not_applicable(run_path: str) -> list[str]:
    """Perturbations that could be scored but that the model cannot express."""
    answered, scored = _scored(run_path)
    return [label for label in scored if label not in set(answered["all"])]


@st.cache_resource(max_entries=16, show_spinner=False)
def _scored(run_path: str) -> tuple[dict[str, list[str]], list[str]]:
    """What the model has an effect for, by split, and every perturbation that could be scored."""
    base = scoring(run_path, "all")
    return {split: base.answered(split) for split in SPLITS}, base.scored("all")


@st.cache_resource(max_entries=24, show_spinner=False)
def points(terms: Terms, predicted: str = MODEL) -> pd.DataFrame:
    """One row per perturbation and gene, for the scatter.

    Parameters
    ----------
    terms
        Effects shown.
    predicted
        Name of the side on the predicted axis.

    Returns
    -------
    DataFrame
        perturbation, gene, observed, se, predicted, lower, upper, n_cells, targeted, row.
    """
    found = compared(terms)
    observed = found.observed
    table = found.predicted[predicted].to_frame().rename(columns={"effect": "predicted"})
    table["observed"] = observed.mean.ravel()
    table["se"] = np.nan if observed.se is None else observed.se.ravel()
    if observed.n_cells is not None:
        table["n_cells"] = np.repeat(observed.n_cells, len(observed.genes))
    table["targeted"] = targeted(observed).ravel()
    table["row"] = np.arange(len(table))
    return table


@st.cache_resource(max_entries=48, show_spinner="Scoring …")
def score_rows(terms: Terms, with_targets: bool) -> pd.DataFrame:
    """Scores of the model between floor and ceiling, one row each, with the `perturbations` it
    is over: rules that do not apply to all of them are not comparable.

    Parameters
    ----------
    terms
        Effects shown.
    with_targets
        Whether the targeted genes themselves count.
    """
    found, again = compared(terms), None
    if terms.perturbation is None and terms.reference == "control":
        again = replicates(terms.run_path, terms.side)[terms.split]
    rows = {name: score(found.observed, effects) for name, effects in found.predicted.items()}
    rows |= {"ceiling": ceiling(found.observed), "replicate": again}

    def values(scores: dict[str, Any] | None) -> dict[str, Any]:
        chosen = scores if with_targets or scores is None else scores.get("without_targets")
        return {name: (chosen or {}).get(name) for name in EFFECT_METRICS}

    table = pd.DataFrame(
        [
            {"who": who, "perturbations": (scores or {}).get("n_perturbations"), **values(scores)}
            for who, scores in rows.items()
        ]
    )
    table = table.astype(dict.fromkeys(EFFECT_METRICS, float))
    return table.dropna(how="all", subset=list(EFFECT_METRICS), ignore_index=True)


@st.cache_resource(max_entries=48, show_spinner=False)
def beside_best_rule(terms: Terms, with_targets: bool) -> BesideRule | None:
    """The model beside the best rule in ATE-R², and without what that rests on most."""
    observed, predicted = compared(terms)
    rules = {name: effects for name, effects in predicted.items() if name != MODEL}
    keep = None if with_targets else ~targeted(observed)
    return beside_rule(observed, predicted[MODEL], rules, keep)


@st.cache_resource(max_entries=24, show_spinner="Scoring …")
def agreement(terms: Terms) -> pd.DataFrame:
    """Scores of the model on each perturbation by itself, best ATE-ρ first, and of the rule
    ``BESIDE``; None where that does not apply."""
    found, rows = compared(terms), []
    for i, label in enumerate(found.observed.perturbations):
        one = found.of(label)
        scores = score(one.observed, one.predicted[MODEL]) or {}
        n_cells = None if found.observed.n_cells is None else int(found.observed.n_cells[i])
        rule = score(one.observed, one.predicted[BESIDE]) or {}
        rows.append({"perturbation": label, "n_cells": n_cells}
                    | {name: scores.get(name) for name in EFFECT_METRICS}
                    | {f"rule_{name}": rule.get(name) for name in RULE_SCORES})  # fmt: skip
    return pd.DataFrame(rows).sort_values("ate_rho", ascending=False, ignore_index=True)


def strongest(table: pd.DataFrame, by: str, limit: int = 20) -> pd.DataFrame:
    """The rows with the largest absolute effect, strongest first."""
    return table.loc[table[by].abs().sort_values(ascending=False, kind="stable").index[:limit]]


@once
def strongest_gene(table: pd.DataFrame) -> str:
    """The gene of the largest observed effect, of those that were not perturbed."""
    return str(strongest(table[~table["targeted"]], "observed", 1)["gene"].iloc[0])


def against_perturbed(moments: Moments, split: str, side: Side, observed: Effects) -> Effects:
    """Observed effects against the mean of the training perturbations, each once.

    Control cells cancel, and with them their noise: the standard error is that of the
    perturbation's own cells. The reference, a mean over many perturbations, counts as exact.
    """
    passing = side == "passing"
    splits = SCORED_SPLITS if split == "all" else (split,)
    own = moments.pool(splits, passing_only=passing, labels=observed.perturbations)
    rows = [own.labels.index(label) for label in observed.perturbations]
    train = observed_effects(moments, "train", side).mean.mean(axis=0)
    train += pooled_control(moments, "train", side).mean[0]
    se = np.sqrt(own.var[rows] / own.n[rows, None])
    return replace(observed, mean=own.mean[rows] - train, se=se)


def _shifted(effects: Effects, shift: FloatArray) -> Effects:
    lower, upper = effects.lower, effects.upper
    return replace(
        effects,
        mean=effects.mean - shift,
        lower=None if lower is None else lower - shift,
        upper=None if upper is None else upper - shift,
    )


@once
def strongest_of_gene(table: pd.DataFrame, gene: str) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Perturbations that change a gene most, what is drawn of them, and words where there are
    more."""
    of_gene = table[table["gene"] == gene]
    rows = strongest(of_gene, "observed").drop(columns="row")
    few = "" if len(rows) == len(of_gene) else f", the {len(rows)} strongest"
    return rows, rows.assign(gene=safe_labels(rows["perturbation"])), few

"""Benchmark tables in long form: read, summarised over seeds, and put into words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from cradle.errors import InputError
from cradle.evaluation.field_metrics import FIELD_METRICS
from cradle.evaluation.metrics import EFFECT_METRICS, METRICS
from cradle.evaluation.unpaired import UNPAIRED_METRICS, VARIANCE
from cradle.models.baselines import BASELINES

KEYS = ("dataset", "fold", "model", "train_cells", "seed", "qc_mad", "split", "metric")
COLUMNS = (*KEYS, "value")
SUMMARY = ("model", "train_cells", "kind", "mean", "sd", "n_seeds", "n_folds")
Kind = Literal["model", "floor", "ceiling", "replicate", "observed", "other"]
_SAME = 1e-6
#: Rows that stand among the models and are none.
_REFERENCES: dict[str, Kind] = {
    "ceiling": "ceiling", "replicate": "replicate", "observed": "observed",
    "clean cells": "ceiling", "observed failed": "other",
}  # fmt: skip


class Described(NamedTuple):
    """What a column ``metric`` says; ``higher_is_better`` is None where neither end is good."""

    label: str
    higher_is_better: bool | None
    unit: str
    explanation: str = ""

    @property
    def arrow(self) -> str:
        """Which way is better, as a sign."""
        return {True: " ↑", False: " ↓", None: ""}[self.higher_is_better]


_OTHERS = {
    VARIANCE: Described(
        "Variance of drawn cells", None, "of the observed variance", "1 is right, more is too "
        "much, near 0 is collapse: one cell drawn over and over."),
    "seconds": Described("Training time", False, "seconds", "Wall time of one fit."),
    "wall_seconds": Described("Time of the whole process", False, "seconds",
                              "Training, loading, quality control and evaluation; wall time."),
    "peak_mb": Described("Peak memory", False, "MB", "Largest resident memory of one fit."),
    "effect_correlation_seen": Described("ρ with the truth, trained on", True, "correlation"),
    "effect_correlation_heldout": Described(
        "ρ with the truth, held out, not interacting", True, "correlation"),
    "effect_correlation_heldout_interacting": Described(
        "ρ with the truth, held out, interacting", True, "correlation"),
    **{
        f"{name}_observed_control": Described(
            f"{METRICS[name].label}, observed control", True, METRICS[name].unit,
            "Predicted means minus control as observed, not as the model has it: an error in its "
            "control is in none of the effects. The rules take control as observed anyway. For "
            "screens of sound cells: a model that leaves flaws out has another control, rightly.")
        for name in ("ate_rho", "ate_r2")
    },
    "artifact_correlation": Described("ρ with the true artifact", True, "correlation"),
    **{
        f"interval_coverage_{group}": Described(
            f"Intervals that hold the truth, {words}", None, "share of effects",
            "Of 95 % intervals; more than that is too wide, less too narrow.")
        for group, words in {
            "seen": "trained on",
            "heldout": "held out, not interacting",
            "heldout_interacting": "held out, interacting",
        }.items()
    },
}  # fmt: skip


def describe(metric: str) -> Described:
    """Label, direction and unit of a metric; an unknown one keeps its name and no direction."""
    if (known := {**METRICS, **FIELD_METRICS, **UNPAIRED_METRICS}.get(metric)) is not None:
        return Described(known.label, known.higher_is_better, known.unit, known.explanation)
    if metric in _OTHERS:
        return _OTHERS[metric]
    if (found := re.fullmatch(r"qcpr_([\d.]+)", metric)) is not None:
        base = METRICS["qcpr"]
        label = f"{base.label} at {found[1]} MAD"
        return Described(label, base.higher_is_better, base.unit, base.explanation)
    criterion = metric.removeprefix("wasserstein_")
    if criterion != metric:
        words = METRICS["wasserstein"].explanation
        return Described(f"QC distance, {criterion.replace('_', ' ')}", False, "MADs", words)
    return Described(metric.replace("_", " "), None, "")


def undefined(metric: str) -> str:
    """Why a known metric may have no value; empty for the others."""
    known = METRICS.get("qcpr" if metric.startswith("qcpr") else metric)
    return known.undefined if known is not None else ""


def order(metrics: set[str]) -> list[str]:
    """Metrics as they are offered: effects, quality control, the field's, the rest."""
    known = [
        *EFFECT_METRICS,
        *sorted(m for m in metrics if m.startswith("qcpr")),
        *FIELD_METRICS,
        *UNPAIRED_METRICS,
        *_OTHERS,
    ]
    first = [m for m in dict.fromkeys(known) if m in metrics]
    return [*first, *sorted(metrics - set(first))]


def read_benchmark(path: Path) -> pd.DataFrame:
    """A table in long form (INTERFACE in the README), ``qcpr`` named after its threshold.

    Raises
    ------
    InputError
        The file cannot be read, or is no such table.
    """
    try:
        table = pd.read_csv(path, dtype={"dataset": str, "model": str, "metric": str})
        absent = [name for name in COLUMNS if name not in table]
        if absent:
            raise ValueError(f"no column {', '.join(absent)}")
        numbers = dict.fromkeys(("qc_mad", "value"), float)
        table = table[list(COLUMNS)].astype(numbers)
    except (OSError, ValueError) as error:
        raise InputError(
            "This file is not a benchmark table.",
            f"{path.name}: {error}.",
            "Use a table.csv as `cradle benchmark` writes it.",
        ) from error
    plain = table["metric"] == "qcpr"
    named = "qcpr_" + table["qc_mad"].map("{:g}".format)
    return table.assign(metric=table["metric"].mask(plain, named))


def kind_of(model: str) -> Kind:
    """What a row of the column ``model`` is."""
    if model in BASELINES:
        return "floor"
    return "other" if model.endswith(" artifact on") else _REFERENCES.get(model, "model")


def shared(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of one metric whose fold and seed every trained model has a value for.

    Another seed may be another screen, so means over different seeds say nothing about models.
    Nor do they over different folds, so those that a simple rule cannot answer are left out too.
    Models and rules without any value do not count; where nothing is shared, all rows stay.
    """
    rows = table[(table["metric"] == metric) & np.isfinite(table["value"])]
    trained = rows[rows["model"].map(kind_of) == "model"]
    which = [set(zip(own["fold"], own["seed"], strict=True))
             for _, own in trained.groupby(["model", "train_cells"])]  # fmt: skip
    common = set.intersection(*which) if which else set()
    rules = rows[rows["model"].map(kind_of) == "floor"]
    folds = [set(own["fold"]) for _, own in rules.groupby(["model", "train_cells"])]
    common = {unit for unit in common if all(unit[0] in own for own in folds)} or common
    units = pd.Series(list(zip(rows["fold"], rows["seed"], strict=True)), rows.index, dtype=object)
    return pd.DataFrame(rows[units.isin(common)]) if common else rows


def left_out(table: pd.DataFrame, metric: str) -> list[tuple[str, list[int]]]:
    """Models, and their seeds that `shared` drops wholly because another model has none."""
    kept = set(shared(table, metric)["seed"])
    rows = table[(table["metric"] == metric) & np.isfinite(table["value"])]
    rows = rows[(rows["model"].map(kind_of) == "model") & ~rows["seed"].isin(kept)]
    return [(str(model), sorted(set(own["seed"]))) for model, own in rows.groupby("model")]


def folds_left_out(table: pd.DataFrame, metric: str) -> list[str]:
    """Folds of the trained models that `shared` drops wholly."""
    rows = table[(table["metric"] == metric) & np.isfinite(table["value"])]
    trained = rows[rows["model"].map(kind_of) == "model"]
    return sorted(set(trained["fold"].astype(str)) - set(shared(table, metric)["fold"].astype(str)))


def summarise(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean and spread over seeds of one metric, the best first.

    Parameters
    ----------
    table
        Rows of one dataset, threshold and split.
    metric
        One of its metrics.

    Returns
    -------
    DataFrame
        ``SUMMARY``, over the `shared` folds and seeds. Folds are averaged within each seed first.
        ``sd`` is NaN for one seed. A model or rule without a value of this metric stays, with
        NaN: not applicable.
    """
    chosen = shared(table, metric)
    by_model = ["model", "train_cells"]
    seeds = chosen.groupby([*by_model, "seed"])["value"].mean()
    found = seeds.groupby(level=by_model).agg(mean="mean", sd="std", n_seeds="count")
    found["n_folds"] = chosen.groupby(by_model)["fold"].nunique()
    everyone = pd.MultiIndex.from_frame(table[by_model].drop_duplicates())
    full = found.reindex(everyone).reset_index()
    full["kind"] = full["model"].map(kind_of)
    counts = {name: full[name].fillna(0).astype(int) for name in ("n_seeds", "n_folds")}
    full = full.assign(**counts)
    full = full[full["kind"].isin(("model", "floor")) | full["mean"].notna()]
    ascending = describe(metric).higher_is_better is False
    ranked = full.sort_values("mean", ascending=ascending, kind="stable", ignore_index=True)
    return pd.DataFrame(ranked[list(SUMMARY)])


def seed_values(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One value per model, train_cells and `shared` seed, folds averaged."""
    chosen = shared(table, metric)
    means = chosen.groupby(["model", "train_cells", "seed"])["value"].mean()
    return pd.DataFrame(means.reset_index())


def own_screens(table: pd.DataFrame) -> bool:
    """Whether each seed is a screen of its own: then also rules without training differ."""
    rules = table[table["metric"].isin(EFFECT_METRICS) & table["model"].isin(BASELINES)]
    values = rules.groupby([key for key in KEYS if key != "seed"])["value"]
    return bool((values.max() - values.min() > _SAME).any())


def pooled_spread(first: float, second: float) -> float:
    """√((s₁² + s₂²)/2) of two standard deviations over seeds."""
    return float(np.sqrt((first**2 + second**2) / 2))

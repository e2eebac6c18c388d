"""Predicted against observed effects of a run: tidy tables and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import streamlit as st

from cradle.data.dosage import genes_of
from cradle.data.schema import CONTROL
from cradle.errors import InputError
from cradle.evaluation.effects import Effects
from cradle.evaluation.metrics import EFFECT_METRICS, METRICS
from cradle.evaluation.moments import observed_effects
from cradle.models.baselines import BASELINES, TrainMeans, fit_baseline
from cradle.ui import store

Side = Literal["all", "passing"]
Reference = Literal["control", "perturbed"]


@st.cache_resource(max_entries=24, show_spinner="Reading the effects …")
def effects(run_path: str, split: str, side: Side, reference: Reference) -> dict[str, Effects]:
    """Effects of one split on the same rows and genes: observed, predicted, each baseline.

    Parameters
    ----------
    run_path
        Folder of the run.
    split
        ``test``, ``val``, ``train`` or ``all``.
    side
        Observed cells that count: all of them or the QC-passing ones.
    reference
        What an effect is measured against: control cells, or the mean of all perturbed
        training cells, subtracted from every side alike.
    """
    run = store.run_at(run_path)
    observed = observed_effects(run.moments, split, side)
    known = set(run.predicted_effects.perturbations)
    labels = [label for label in observed.perturbations if label in known]
    if not labels:
        raise InputError(
            f"No perturbation of the split {split} has both an observed and a predicted effect.",
            f"{len(observed.perturbations)} observed, {len(known)} predicted.",
            "Choose another split.",
        )
    found = {
        "observed": observed.rows(labels),
        "predicted": run.predicted_effects.rows(labels).columns(observed.genes),
    }
    pooled = run.moments.pool(splits=["train"])
    means = TrainMeans(pooled.labels, run.moments.genes, pooled.mean)
    for name in BASELINES:
        found[name] = fit_baseline(name, means).treatment_effects(labels)
    if reference == "perturbed":
        training = observed_effects(run.moments, "train", side)
        shift = training.mean.mean(axis=0)
        found = {name: _shifted(e, shift) for name, e in found.items()}
    return found


def splits(run_path: str) -> list[str]:
    """Splits of a run that hold perturbed cells, the held-out one first."""
    table = store.run_at(run_path).perturbations
    perturbed = table[table["perturbation"] != CONTROL]
    return [s for s in ("test", "val", "train") if perturbed[f"n_{s}"].sum() > 0] + ["all"]


def points(found: dict[str, Effects], perturbation: str | None, predicted: str) -> pd.DataFrame:
    """One row per perturbation and gene, for the scatter.

    Parameters
    ----------
    found
        Of ``effects``.
    perturbation
        Only this one; None pools all.
    predicted
        Key of ``found`` that stands on the predicted axis.

    Returns
    -------
    DataFrame
        perturbation, gene, observed, se, predicted, lower, upper, n_cells, targeted, row.
    """
    labels = found["observed"].perturbations if perturbation is None else (perturbation,)
    observed, other = found["observed"].rows(labels), found[predicted].rows(labels)
    table = observed.to_frame().rename(columns={"effect": "observed"})[
        ["perturbation", "gene", "observed"]
    ]
    bounds = other.to_frame()
    n_genes = len(observed.genes)
    table["se"] = np.nan if observed.se is None else observed.se.ravel()
    table["predicted"] = bounds["effect"]
    table[["lower", "upper"]] = bounds[["lower", "upper"]]
    sizes = np.full(len(labels), np.nan) if observed.n_cells is None else observed.n_cells
    table["n_cells"] = np.repeat(sizes, n_genes)
    table["targeted"] = targeted(observed).ravel()
    table["row"] = np.arange(len(table))
    return table


def targeted(rows: Effects) -> np.ndarray:
    """Whether a gene is one of those perturbed, (n_perturbations, n_genes)."""
    genes = np.asarray(rows.genes)
    return np.stack([np.isin(genes, genes_of(label)) for label in rows.perturbations])


def scores(
    found: dict[str, Effects], perturbation: str | None, *, with_targets: bool
) -> pd.DataFrame:
    """Scores of the model and the baselines against the observed effects, one row each."""
    labels = found["observed"].perturbations if perturbation is None else (perturbation,)
    observed = found["observed"].rows(labels)
    keep = None if with_targets else ~targeted(observed)
    rows: list[dict[str, Any]] = []
    for name in [n for n in found if n != "observed"]:
        predicted = found[name].rows(labels)
        row: dict[str, Any] = {"who": "model" if name == "predicted" else name}
        for metric in EFFECT_METRICS:
            function = METRICS[metric].function
            assert function is not None
            complete = np.isfinite(predicted.mean).all()
            row[metric] = function(observed.mean, predicted.mean, keep) if complete else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def agreement(found: dict[str, Effects]) -> pd.DataFrame:
    """ATE-ρ and ATE-R² of each perturbation by itself, best first."""
    observed, predicted = found["observed"], found["predicted"]
    rows = [
        {
            "perturbation": label,
            "n_cells": None if observed.n_cells is None else int(observed.n_cells[i]),
            "ate_rho": METRICS["ate_rho"].function(observed.mean[[i]], predicted.mean[[i]]),  # type: ignore[misc]
            "ate_r2": METRICS["ate_r2"].function(observed.mean[[i]], predicted.mean[[i]]),  # type: ignore[misc]
        }
        for i, label in enumerate(observed.perturbations)
    ]
    return pd.DataFrame(rows).sort_values("ate_rho", ascending=False, ignore_index=True)


def strongest(table: pd.DataFrame, by: str, limit: int = 20) -> pd.DataFrame:
    """The rows with the largest absolute effect, strongest first."""
    return table.loc[table[by].abs().sort_values(ascending=False, kind="stable").index[:limit]]


def _shifted(effects: Effects, shift: np.ndarray) -> Effects:
    lower, upper = effects.lower, effects.upper
    return replace(
        effects,
        mean=effects.mean - shift,
        lower=None if lower is None else lower - shift,
        upper=None if upper is None else upper - shift,
    )


def labels_of(found: dict[str, Effects]) -> Sequence[str]:
    """Perturbations of the split, by name."""
    return sorted(found["observed"].perturbations)


def bounds(run: Any, split: str) -> pd.DataFrame:
    """Stored ceiling and replicate of a split, as rows like those of ``scores``."""
    stored = run.metrics or {}
    rows = [
        {"who": who, **{m: value[m] for m in EFFECT_METRICS if isinstance(value.get(m), float)}}
        for who in ("ceiling", "replicate")
        if (value := stored.get(who, {}).get(split))
    ]
    return pd.DataFrame(rows)

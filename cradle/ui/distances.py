"""How far generated cells lie from observed passing ones, beside the pass rate.

A model that is too smooth passes quality control more often than real cells do; the distance of
each criterion's distribution tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from cradle.data.qc import CRITERIA, QCThresholds
from cradle.plots.palette import ARTIFACT_OFF, ARTIFACT_ON
from cradle.ui import store
from cradle.ui.labels import criterion_label

if TYPE_CHECKING:
    from cradle.evaluation.quality import MeasuredCells

EXPLANATION = (
    "Wasserstein distance: how far values must be moved, on average, to turn one distribution "
    "into the other. 0: the same. In MADs: in multiples of the spread of the training cells."
)


def between(judged: pd.DataFrame, passing: pd.DataFrame, fitted: QCThresholds) -> pd.DataFrame:
    """Distance of each generable criterion, one row per criterion and source.

    Parameters
    ----------
    judged
        Generated cells with their values and ``source``.
    passing
        Values of the observed cells that pass quality control.
    fitted
        Thresholds, whose MAD is the unit of ``in_mads``.

    Returns
    -------
    DataFrame
        criterion, source, distance, unit, in_mads, n, observed_n.
    """
    from cradle.evaluation.quality import distances

    observed = _measured(passing)
    everyone = observed.of(["cells"])
    rows = []
    for source, cells in judged.groupby("source", sort=False, observed=True):
        found = distances(_measured(cells), observed, everyone, fitted)
        rows += [{"criterion": c, "source": str(source), **values} for c, values in found.items()]
    return _tidy(rows)


def stored(run_path: str, split: str = "all") -> pd.DataFrame:
    """The same table from the run's own evaluation, artifact off, over all its perturbations."""
    found = (store.scores_at(run_path).get(split) or {}).get("wasserstein") or {}
    return _tidy([{"criterion": c, "source": "artifact off", **v} for c, v in found.items()])


def stored_pass_rate(run_path: str, mad: float, split: str = "all") -> dict[str, Any] | None:
    """Pass rate of the run's evaluation at a threshold; None where it was not computed."""
    rates = (store.scores_at(run_path).get(split) or {}).get("qcpr") or {}
    found = rates.get(f"{mad:g}")
    return dict(found) if found and found.get("rate") is not None else None


def in_words(table: pd.DataFrame) -> str:
    """In how many criteria the artifact moves cells away; empty where only one side is there."""
    off, on = ARTIFACT_OFF.label, ARTIFACT_ON.label
    sides = table.pivot_table("distance", "criterion", "source", sort=False)
    if not {off, on} <= set(sides):
        return ""
    near = [criterion_label(c) for c in sides.index[sides[on] <= sides[off]]]
    far = f"{len(sides) - len(near)} of {len(sides)} criteria"
    but = f" (not in {', '.join(near)})" if near else ""
    return f"With the artifact on, generated cells lie farther away in {far}{but}."


def draw(table: pd.DataFrame, key: str, what: str, title: str = "") -> None:
    """The table on the page, with a caption that says of which cells."""
    if table.empty:
        return
    st.markdown(f"**Distance to observed cells that pass{title}**", help=EXPLANATION)
    st.dataframe(
        table.assign(criterion=table["criterion"].map(criterion_label)),
        hide_index=True, placeholder="–", key=f"distances_{key}",
        # on a phone four columns fit, and in MADs all criteria have one unit
        column_order=("criterion", "source", "in_mads", "distance", "unit", "n", "observed_n"),
        column_config={
            "source": "generated",
            "distance": st.column_config.NumberColumn(format="%.3g"),
            "in_mads": st.column_config.NumberColumn("in MADs", format="%.2f"),
            "n": st.column_config.NumberColumn("cells"),
            "observed_n": st.column_config.NumberColumn("observed cells"),
        },
    )  # fmt: skip
    st.caption(what)


def draw_stored(run_path: str, mad: float) -> None:
    """Pass rate and distances of the run's own evaluation."""
    table, rate = stored(run_path), stored_pass_rate(run_path, mad)
    if table.empty and rate is None:
        return
    words = "Of the run's evaluation: cells of every perturbation, artifact off, in the shares of "
    words += "the screen, against the observed cells of all splits that pass. Not moved by the "
    words += "sidebar."
    if rate is not None:
        words += f" {rate_words(rate, mad)}"
        if not rate.get("applicable", True):
            words += f" Not to be compared between models: {rate['reason']}."
    draw(table, "stored", words, title=", all perturbations together")


def rate_words(rate: Mapping[str, Any], mad: float) -> str:
    """A stored pass rate with the cells and the criteria that it is of, in a sentence."""
    names = ", ".join(map(criterion_label, rate["criteria"]))
    words = (
        f"Pass rate at k = {mad:g} by {len(rate['criteria'])} of {len(CRITERIA)} criteria, those "
        f"that can be judged on generated cells ({names}): {100 * rate['rate']:.1f} %, 95 % "
        f"interval {100 * rate['low']:.1f}–{100 * rate['high']:.1f}"
    )
    if rate.get("observed") is None:
        return f"{words}."
    return (
        f"{words}; by the same, {100 * rate['observed']:.1f} % of the {rate['observed_n']:,} "
        "observed perturbed cells. On page Quality control the pass rate is of all criteria that "
        "the data can measure, and control cells count."
    )


def _measured(cells: pd.DataFrame) -> MeasuredCells:
    from cradle.evaluation.quality import MeasuredCells

    labels = pd.Categorical(np.full(len(cells), "cells", object))
    return MeasuredCells(cells.reset_index(drop=True), labels)


def _tidy(rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = ["criterion", "source", "distance", "unit", "in_mads", "n", "observed_n"]
    return pd.DataFrame(rows).reindex(columns=columns)

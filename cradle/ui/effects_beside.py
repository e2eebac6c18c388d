"""Treatment effects of several runs side by side, each with its score."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from cradle.evaluation.metrics import EFFECT_METRICS, METRICS
from cradle.plots.scatter import effect_scatter, spots
from cradle.ui import comparison, other_runs
from cradle.ui.figures import figure, slug, table_twin
from cradle.ui.labels import safe_label, safe_labels
from cradle.ui.sidebar import Choices

if TYPE_CHECKING:
    from cradle.runs import Run
    from cradle.ui.effects_view import View

_NUMBERS = ("observed", "predicted", "lower", "upper")


def beside(choices: Choices, run: Run, view: View) -> None:
    """The same scatter for further runs of the dataset, on common axes, and one table of scores."""
    st.subheader("Several models side by side")
    same = [other for other in other_runs.choose(choices, "beside_runs")
            if _comparable(run, other, view)]  # fmt: skip
    if not same:
        return
    shown, tables, scores = [run, *same], [], []
    for each in shown:
        terms = view.terms._replace(run_path=str(each.path))
        points = comparison.points(terms).astype(dict.fromkeys(_NUMBERS, float))
        tables.append(points.assign(run=each.name))
        row = comparison.score_rows(terms, view.targets).set_index("who").loc[comparison.MODEL]
        scores.append({"run": other_runs.described(each)} | row.to_dict())
    whole = pd.concat(tables, ignore_index=True)
    reach = [float(whole[["observed", "predicted"]].min().min()),
             float(whole[["observed", "predicted"]].max().max())]  # fmt: skip
    for start in range(0, len(shown), 2):
        columns = st.columns(2, gap="large")
        for column, each, table, score in zip(
            columns, shown[start : start + 2], tables[start : start + 2],
            scores[start : start + 2], strict=False,
        ):  # fmt: skip
            with column:
                _panel(each, table, score, reach, view)
    st.dataframe(
        pd.DataFrame(scores), hide_index=True, placeholder="–", key="beside_scores",
        column_config={"run": st.column_config.TextColumn("run", pinned=True)} | {
            name: st.column_config.NumberColumn(f"{METRICS[name].label} ↑", format="%.3f",
                                                help=METRICS[name].explanation)
            for name in EFFECT_METRICS},
    )  # fmt: skip
    st.caption(
        f"Of {view.words}; the same perturbations, cells and axes in every panel. Points that "
        "would cover each other are drawn once; scores and table use all. One run "
        "each: how far scores move with the seed is on the page Compare models."
    )
    table_twin(whole.drop(columns="row"), f"side_by_side_{view.slug}")


def _panel(run: Run, table: pd.DataFrame, score: Mapping[Hashable, Any], reach: list[float],
           view: View) -> None:  # fmt: skip
    points = spots(table)
    safe = {name: safe_labels(points[name]) for name in ("perturbation", "gene")}
    title = f"{safe_label(run.name)}: ρ = {score['ate_rho']:.3f}, R² = {score['ate_r2']:.3f}"
    fig = effect_scatter(points.assign(**safe), title=title)
    fig.update_layout(height=440, dragmode=False)
    fig.update_xaxes(range=[reach[0] - 0.1, reach[1] + 0.1])
    fig.update_yaxes(range=[reach[0] - 0.1, reach[1] + 0.1])
    figure(fig, f"beside_{slug(run.name)}_{view.slug}",
           alt=f"Predicted against observed effects of run {run.name}.")  # fmt: skip


def _comparable(run: Run, other: Run, view: View) -> bool:
    """Whether the other run is scored on the same cells; says so where it is not."""
    if not run.split.equals(other.split.reindex(run.split.index)):
        st.info(f"{other_runs.described(other)} was trained on other cells (another split), so its "
                "scores cannot stand beside these. Train it with the same --split-seed and "
                "--test-combinations.", icon=":material/call_split:")  # fmt: skip
        return False
    terms = view.terms
    asked = [terms.perturbation] if terms.perturbation else comparison.compared(
        terms._replace(perturbation=None)).observed.perturbations  # fmt: skip
    known = set(other.predicted_effects.applicable)
    absent = [label for label in asked if label not in known]
    if absent:
        st.info(
            f"{other_runs.described(other)}: not applicable here, it cannot predict "
            f"{len(absent)} of the {len(asked)} perturbations.",
            icon=":material/block:",
        )
    return not absent

"""Maps of several models side by side, one panel a model (Baek 2025, figure 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cradle.errors import InputError
from cradle.plots.scatter import cell_map
from cradle.ui import embedding, embedding_view, other_runs, store
from cradle.ui.embedding import CellMap, MapRequest
from cradle.ui.figures import figure, slug, table_twin
from cradle.ui.labels import safe_label
from cradle.ui.sidebar import Choices

if TYPE_CHECKING:
    from cradle.runs import Run


def beside(choices: Choices, request: MapRequest) -> None:
    """The same map for further runs of the dataset; computed on a click where it is not kept."""
    st.subheader("Several models side by side")
    if request.run_path is None or request.n_generated == 0:
        st.caption("Choose a run that generates cells, to see it beside others.")
        return
    chosen = [run for run in other_runs.choose(choices, "map_runs") if _generates(run)]
    if not chosen:
        return
    wanted = {run.name: requested(request, run) for run in chosen}
    missing = [name for name, of_run in wanted.items() if not embedding.at_hand(of_run)]
    if missing and not st.button(
        f"Compute the maps of {len(missing)} further run{'s' * (len(missing) > 1)}",
        icon=":material/play_arrow:", help="As long as the map above took, each; then kept.",
    ):  # fmt: skip
        return
    first = store.run_at(request.run_path)
    drawn = [(first, embedding.cell_map(request))]
    for run in chosen:
        try:
            drawn.append((run, embedding.cell_map(wanted[run.name])))
        except InputError as error:
            st.info(f"{other_runs.described(run)}: not applicable here. {error.found}",
                    icon=":material/block:")  # fmt: skip
    _panels(drawn)


def requested(request: MapRequest, run: Run) -> MapRequest:
    """The same request of another run; without artifact where it has learned none."""
    learned = run.spec.artifact and bool(run.perturbations["n_fail_train"].sum())
    return request._replace(run_path=str(run.path), artifact=request.artifact and learned)


def _generates(run: Run) -> bool:
    if not run.spec.generates:
        st.caption(f"{other_runs.described(run)} predicts effects only and makes no cells.")
    return run.spec.generates


def _panels(drawn: list[tuple[Run, CellMap]]) -> None:
    by, rows = str(st.session_state.get("colour", "source")), []
    gene = st.session_state.get("map_gene") if by == "gene" else None
    for start in range(0, len(drawn), 2):
        for column, (run, found) in zip(st.columns(2, gap="large"), drawn[start : start + 2],
                                        strict=False):  # fmt: skip
            points = embedding_view.points_of(found, by, None if gene is None else str(gene))
            with column:
                _panel(run, found, points, by, gene)
            rows.append(points.drop(columns="row").assign(run=run.name))
    plain = [run.spec.label for run, _ in drawn if not run.spec.artifact]
    also = (
        f" {', '.join(plain)}: knows no artifact; “off” is all that it generates." if plain else ""
    )
    st.caption(
        "Each panel is computed by itself from the same observed cells and the run's own "
        "generated ones, so positions cannot be compared between panels. Mixing can: the share "
        "of nearest neighbours from the other source, 1 mixed as at random, 0 apart, in 50 "
        f"principal components.{also}"
    )
    table_twin(pd.concat(rows, ignore_index=True), "maps_side_by_side")


def _panel(run: Run, found: CellMap, points: pd.DataFrame, by: str, gene: object) -> None:
    mixing = "" if found.mixing is None else f", mixing {found.mixing:.2f}"
    unit = embedding_view.options_label(by) if gene is None else f"{safe_label(gene)}, log2 units"
    fig = cell_map(
        points, title=f"{other_runs.described(run)}{mixing}",
        axes=found.axes, color="color",
        numeric=pd.api.types.is_numeric_dtype(points["color"]), unit=unit,
    )  # fmt: skip
    fig.update_layout(height=440, dragmode=False)
    figure(fig, f"map_{slug(run.name)}", alt=f"Map of the cells of run {run.name}{mixing}.")

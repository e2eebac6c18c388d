"""The violins of the quality-control page, one a criterion."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from cradle.data.qc import CRITERIA, QCThresholds, Threshold
from cradle.data.schema import CONTROL
from cradle.plots.violins import violins
from cradle.ui import distances, generation, quality, selection, store
from cradle.ui.figures import contents, figure, plotted, table_twin
from cradle.ui.labels import CRITERIA as NAMES
from cradle.ui.sidebar import Choices

N_GENERATED = 300


def _measured(found: pd.DataFrame) -> list[str]:
    """Criteria by which some cell was judged."""
    return [c for c in CRITERIA if found[f"fails_{c}"].notna().any()]


def heading(found: pd.DataFrame) -> str:
    """How many of the criteria there is something to see of."""
    n, of = len(_measured(found)), len(CRITERIA)
    return f"The {of} criteria" if n == of else f"{n} of {of} criteria, those measured here"


def violin_grid(choices: Choices, found: pd.DataFrame, fitted: QCThresholds) -> None:
    """One violin per criterion, generated cells beside the observed ones on demand."""
    beside = None
    if store.run(choices) is not None:
        beside = _generated_beside(choices)
    shown = _measured(found)
    linked, rows = _linked(choices), []
    for start in range(0, len(shown), 3):
        for column, criterion in zip(st.columns(3), shown[start : start + 3], strict=False):
            with column:
                rows.append(_violin(choices, criterion, found, fitted, beside, linked))
    if rows:
        table_twin(_together(rows), "quality_violins")
    if beside is not None and fitted.generable:
        _distances(choices, beside, fitted)


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs={pd.DataFrame: contents})
def _together(rows: list[_Row]) -> pd.DataFrame:
    """The curves of all violins in one table."""
    named = [
        curves.assign(
            criterion=criterion,
            unit=NAMES[criterion][1],
            threshold=np.nan if line is None else line,
        )
        for criterion, line, curves in rows
    ]
    return pd.concat(named, ignore_index=True)


def _linked(choices: Choices) -> pd.Index:
    """Observed cells that are selected on the map; says so."""
    linked = selection.observed_names(choices)
    if len(linked):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                f":material/gesture: Crosses: {len(linked):,} observed cells selected on page "
                f"Embeddings, at most {selection.MAX_MARKS} of them drawn.", width="content",
            )  # fmt: skip
            st.button("Clear the selection", icon=":material/close:", on_click=selection.clear,
                      type="tertiary")  # fmt: skip
    return linked


#: Criterion, its threshold where it counts, and the curves of its violin.
_Row = tuple[str, float | None, pd.DataFrame]


class _Shown(NamedTuple):
    """What one violin is of."""

    curves: pd.DataFrame
    failed: pd.Series[float]  # flags of the observed cells
    threshold: Threshold
    whose: str  # of which observed cells the share in the title is
    unit: str
    alike: bool  # measured as generated cells are


def _violin(
    choices: Choices,
    criterion: str,
    found: pd.DataFrame,
    fitted: QCThresholds,
    beside: pd.DataFrame | None,
    linked: pd.Index,
) -> _Row:
    drawn = criterion == "umi_counts"  # generated cells have it, but by construction
    if beside is not None and (drawn or criterion in fitted.generable):
        shown = _compared(choices, criterion, found, fitted, beside, drawn=drawn)
    else:
        shown = _Shown(
            quality.curves(choices, criterion, fitted[criterion]),
            found[f"fails_{criterion}"], fitted[criterion],
            "" if beside is None else " of all cells", NAMES[criterion][1], alike=False,
        )  # fmt: skip
    counts = criterion in fitted.criteria
    line = shown.threshold.threshold if counts else None
    fig = plotted(violins, shown.curves, title=_title(criterion, shown, counts=counts),
                  unit=shown.unit, threshold=line, fails=shown.threshold.side, title_lines=2,
                  marked=quality.marked(choices, criterion, linked, alike=shown.alike))  # fmt: skip
    figure(
        fig, f"qc_{criterion}",
        alt=f"{NAMES[criterion][0]} of the cells; {int(shown.failed.sum())} of "
        f"{shown.failed.notna().sum()} observed cells {'fail' if counts else 'would fail'}.",
    )  # fmt: skip
    _notes(criterion, shown, fitted, generated=beside is not None)
    return criterion, line, shown.curves


def _compared(
    choices: Choices,
    criterion: str,
    found: pd.DataFrame,
    fitted: QCThresholds,
    beside: pd.DataFrame,
    *,
    drawn: bool,
) -> _Shown:
    """The same measure on both sides: over the modelled genes, with its own threshold."""
    run, control = store.needs_run(choices), quality.judged_like_generated(choices, CONTROL)
    assert control is not None
    unit, flag = NAMES[criterion][1], f"fails_{criterion}"
    if not drawn:
        unit += f"<br>among the {len(run.genes):,} modelled genes"
    at = fitted[criterion] if drawn else fitted.generated[criterion]
    return _Shown(
        generation.curves(beside, criterion, at),
        found.loc[control.index, flag] if drawn else control[flag], at,
        " of control cells", unit, alike=True,
    )  # fmt: skip


def _title(criterion: str, shown: _Shown, *, counts: bool) -> str:
    name = NAMES[criterion][0]
    if not counts:
        return f"{name}: not counted as artifact"
    share = f"{100 * shown.failed.mean():.1f}\u00a0%"
    return f"{name}: {share}{shown.whose}\u00a0fail"


def _notes(criterion: str, shown: _Shown, fitted: QCThresholds, *, generated: bool) -> None:
    """What the violin cannot show."""
    if criterion not in fitted.criteria:
        share = f"{100 * shown.failed.mean():.1f} %"
        st.caption(f"Left out under What counts as artifact; {share} of the cells would fail.")
    elif criterion == "doublet" and shown.threshold.threshold is None:
        words = "Each run of Scrublet has a threshold of its own, so no line is drawn"
        st.caption(f"{words}. {shown.threshold.source}.")
    elif generated and criterion in fitted.not_generable:
        st.caption(f"Not judged on generated cells: {fitted.not_generable[criterion]}")


def _generated_beside(choices: Choices) -> pd.DataFrame | None:
    run = store.run(choices)
    assert run is not None
    if not run.spec.generates or not st.toggle(
        "Show generated cells beside the observed ones", key="beside", bind="query-params",
        help=f"{N_GENERATED} control cells with the artifact off and, where the run has learned "
        "one, as many with it on, seed 0. "
        "Both sides are then measured over the modelled genes.",
    ):  # fmt: skip
        return None
    switch: generation.Switch = "twins" if run.learned_artifact else "off"
    query = CONTROL, N_GENERATED, switch, 0, None
    judged = generation.judged(str(run.path), choices.mad, choices.criteria, *query)
    return generation.with_observed(judged, quality.judged_like_generated(choices, CONTROL))


def _distances(choices: Choices, beside: pd.DataFrame, fitted: QCThresholds) -> None:
    """Distances of generated control cells to observed ones, and of the whole run as stored."""
    passing = quality.passing_like_generated(choices, CONTROL)
    if passing is not None and len(passing):
        distances.draw(
            distances.between(beside[beside["source"] != "observed"], passing, fitted), "beside",
            f"{N_GENERATED} generated control cells a side against {len(passing):,} observed "
            f"control cells that pass every selected criterion at k = {fitted.mad:g} MAD; over "
            "the modelled genes.",
        )  # fmt: skip
    distances.draw_stored(str(store.needs_run(choices).path), choices.mad)

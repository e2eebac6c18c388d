"""What the selected cells of a map are: their composition, and the observed ones by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from cradle.data.qc import CRITERIA
from cradle.ui import embedding

if TYPE_CHECKING:
    from cradle.ui.embedding import MapRequest
    from cradle.ui.sidebar import Choices

SELECTED, DRAWN = "map_selection", "map_drawn"  # in the session: row numbers, and of which map
MAX_MARKS = 100  # of each violin
_WORDS = {True: "fails quality control", False: "passes quality control"}


def rows() -> list[int]:
    """Row numbers of the selected cells on the map drawn last."""
    return list(st.session_state.get(SELECTED, []))


def clear() -> None:
    """Select nothing, and draw the map as new, so that the browser forgets its own selection."""
    st.session_state.pop(SELECTED, None)
    st.session_state["map_cleared"] = times_cleared() + 1


def times_cleared() -> int:
    """How often the selection was cleared; part of the key of the map."""
    return int(st.session_state.get("map_cleared", 0))


def to_draw(request: MapRequest, colours: tuple[object, ...]) -> list[int]:
    """Rows that the figure itself marks: those selected when it took its present form.

    Streamlit takes a figure with other content for another one, and forgets what is selected on it.
    So a lasso does not change the figure, which marks its cells itself; a new colouring does, and
    carries them over.

    Parameters
    ----------
    request
        The map; the selection of another map is forgotten.
    colours
        What else changes the figure.
    """
    if st.session_state.get(DRAWN, request) != request:
        st.session_state.pop(SELECTED, None)
    st.session_state[DRAWN] = request
    form = (request, *colours, times_cleared())
    if st.session_state.get("map_form_drawn") != form:
        st.session_state["map_form_drawn"], st.session_state["map_marked"] = form, rows()
        st.session_state["map_lassoed"] = False
    return list(st.session_state["map_marked"])


def take(chosen: Sequence[int]) -> list[int]:
    """Keep what the figure reports; nothing, after something, is a double click: deselected."""
    if chosen or st.session_state["map_lassoed"]:
        st.session_state[SELECTED] = sorted(set(chosen))
    st.session_state["map_lassoed"] = bool(chosen)
    return rows()


def composition(obs: pd.DataFrame, selected: Sequence[int]) -> pd.DataFrame:
    """How often each kind of cell is selected.

    Parameters
    ----------
    obs
        Cells of a map.
    selected
        Row numbers, no row twice.

    Returns
    -------
    DataFrame
        by, group, selected, on_map, percent_of_selected, percent_of_group; the groups of one
        ``by`` add up to the selection.
    """
    kinds = {"source": obs["source"].astype(str), "perturbation": obs["perturbation"].astype(str)}
    if "qc_fail" in obs:
        kinds["quality control"] = obs["qc_fail"].astype(bool).map(_WORDS)
    if "true_artifact" in obs:
        kinds["true artifact (simulated)"] = obs["true_artifact"].astype(str)
    parts = []
    for by, values in kinds.items():
        part = values.iloc[list(selected)].value_counts().rename("selected").to_frame()
        part["on_map"] = values.value_counts().reindex(part.index)
        parts.append(part.rename_axis("group").reset_index().assign(by=by))
    table = pd.concat(parts, ignore_index=True)
    table["percent_of_selected"] = 100 * table["selected"] / len(selected)
    table["percent_of_group"] = 100 * table["selected"] / table["on_map"]
    return table[["by", "group", "selected", "on_map", "percent_of_selected", "percent_of_group"]]


def criteria(obs: pd.DataFrame) -> list[str]:
    """Quality criteria that the cells of a map carry values of."""
    known = [c for c in CRITERIA if c != "doublet" and c in obs and obs[c].notna().any()]
    return [c for c in known if pd.api.types.is_numeric_dtype(obs[c])]


def marks(values: pd.DataFrame, limit: int = MAX_MARKS) -> pd.DataFrame:
    """Cells to mark in a violin: at most ``limit`` of each source, the same ones every time.

    Parameters
    ----------
    values
        Columns source and value, one row a selected cell; rows without a value are left out.
    limit
        Most rows of each source.
    """
    kept = values.dropna(subset=["value"])
    order = np.random.default_rng(0).permutation(len(kept))
    return kept.iloc[order].groupby("source", sort=False).head(limit)


def observed_names(choices: Choices) -> pd.Index:
    """Names of the observed cells of the chosen dataset that are selected on the last map."""
    request: MapRequest | None = st.session_state.get(DRAWN)
    selected = np.asarray(rows(), dtype=int)
    if request is None or request.source is None or request.source != choices.dataset.source:
        return pd.Index([])
    names = embedding.observed_names(request)  # they are the first rows of a map
    return names[selected[selected < len(names)]]

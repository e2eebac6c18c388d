"""The view lives in the link: what a link asks for and cannot get is said, never swallowed."""

import re

import streamlit as st

from cradle.ui.errors import problem
from cradle.ui.labels import safe_label

_WORDS = {
    "dataset": "dataset", "run": "run", "mad": "QC threshold", "k": "QC threshold k",
    "criteria": "criteria that count as artifact", "genes": "genes to perturb",
    "artifact": "artifact switch", "method": "map", "colour": "colouring", "map_gene": "gene",
    "perturbation": "perturbation", "gene": "gene", "split": "split", "card": "model card",
    "card_beside": "run to compare with", "shown": "perturbations on the map",
    "basis": "cells that the map is fitted on",
    "mask_colour": "colour of the masks", "cell_perturbation": "perturbation of the failed cells",
    "cell": "failed cell", "artifact_kind": "kind of artifact",
    "n_cells": "number of cells", "baseline": "simple rule", "compared": "combinations",
}  # fmt: skip


def remember() -> None:
    """Note what the link asks for, before any widget takes what it can use of it."""
    if "link" not in st.session_state:
        st.session_state["link"] = {k: st.query_params.get_all(k) for k in st.query_params}


def check(page: str) -> None:
    """After the first drawing: what no widget has taken is kept as a note for this page."""
    asked: dict[str, list[str]] = st.session_state.get("link", {})
    st.session_state["link"] = {}
    refused = {k: [v for v in values if not _taken(k, v)] for k, values in asked.items()}
    refused = {k: values for k, values in refused.items() if values}
    if refused:
        st.session_state["link_note"] = (page, refused)


def note(page: str) -> None:
    """Say what of the link could not be shown, until the reader leaves the page."""
    noted, refused = st.session_state.get("link_note", ("", {}))
    if noted != page:
        st.session_state.pop("link_note", None)
        return
    found = "; ".join(
        f"{_WORDS.get(key, safe_label(key))} {', '.join(map(safe_label, values[:4]))}"
        for key, values in refused.items()
    )
    problem(
        "The link asks for something that is not here; the usual choice is shown instead.",
        f"{found}.",
        "Check the link, or get the dataset or run onto this machine (pages Data and Train).",
    )


def _taken(key: str, value: str) -> bool:
    """Whether the value is still in the link, or is what its widget shows anyway."""
    if value in st.query_params.get_all(key) or not value:
        return True
    if key not in st.session_state:
        return False
    shown = st.session_state[key]
    return any(_alike(value, one) for one in (shown if isinstance(shown, list) else [shown]))


def _alike(text: str, value: object) -> bool:
    try:
        return float(text) == float(str(value))
    except ValueError:
        return _bare(text) == _bare(str(value))


def _bare(text: str) -> str:
    """Letters and digits: an option and its label on screen differ in the rest."""
    return re.sub(r"[\W_]+", "", text).casefold()

"""Further runs of the same dataset beside the chosen one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cradle.errors import InputError
from cradle.ui import library, store
from cradle.ui.errors import problem
from cradle.ui.labels import safe_label
from cradle.ui.sidebar import Choices

if TYPE_CHECKING:
    from cradle.runs import Run

MAX_OTHERS = 3  # figures on one page


def choose(choices: Choices, key: str) -> list[Run]:
    """A field for further runs, under ``key`` in the link; a note where there is only one.

    A damaged run is named and left out.
    """
    source = choices.dataset.source
    entries = library.runs(choices.dataset, None if source is None else store.hash_of(source))
    others = [name for name in entries if choices.run is None or name != choices.run.name]
    if not others:
        st.caption(
            ":material/info: This is the only run of the dataset: train another model on the page "
            "Train, and it can stand beside it here."
        )
        return []
    chosen = st.multiselect(
        "Further runs beside this one", others, key=key, bind="query-params",
        max_selections=MAX_OTHERS, format_func=safe_label, placeholder="choose up to three runs",
    )  # fmt: skip
    return [run for name in chosen if (run := _opened(str(entries[name].path))) is not None]


def _opened(path: str) -> Run | None:
    try:
        run = store.run_at(path)
        run.split, run.predicted_effects, run.perturbations  # noqa: B018 - read here or not at all
    except InputError as error:
        problem(error.what, error.found, error.do)
        return None
    return run


def described(run: Run) -> str:
    """Name of a run with its model."""
    return f"{safe_label(run.name)} ({run.spec.label})"

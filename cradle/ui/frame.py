"""The frame of every page: title, sidebar, and a box for whatever goes wrong inside."""

from collections.abc import Callable

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from cradle.ui import links, sidebar, tour, warm
from cradle.ui.errors import guard
from cradle.ui.labels import CRITERIA, criterion_label, dataset_label, safe_label, threshold_words
from cradle.ui.navigation import PAGES, configure, navigation

Body = Callable[[sidebar.Choices], None]


def route() -> None:
    """Draw the sidebar, then run the page that the reader chose."""
    links.remember()
    chosen = navigation()
    st.session_state["routed"] = True
    st.session_state["choices"] = None
    with guard():
        st.session_state["choices"] = sidebar.draw()
    chosen.run()
    warm.start()
    warm.collect()


def show(key: str, body: Body, *, of_dataset: bool = True) -> None:
    """Draw a page: its title, then ``body`` with the choices of the sidebar.

    Errors of the body become a box. A page that runs without the router draws the sidebar
    itself; where the sidebar has failed, its box says so and the body is left out.

    Parameters
    ----------
    key
        Key of ``PAGES``.
    body
        Reads widgets, calls cradle, draws.
    of_dataset
        Whether the page is about the dataset of the sidebar; otherwise it says itself what of.
    """
    _into_the_app()
    st.title(PAGES[key].title, anchor=False)
    links.remember()
    first, place = bool(st.session_state["link"]), st.container()
    with guard():
        choices = st.session_state["choices"] if st.session_state.get("routed") else sidebar.draw()
        if choices is not None:
            if of_dataset:
                _context(choices)
            tour.strip(key)
            body(choices)
    if first:
        links.check(key)
    with place:
        links.note(key)


def _into_the_app() -> None:
    """Restart a page that Streamlit has opened without ``app.py``.

    Streamlit takes a folder ``pages/`` for an app of its older kind until ``st.navigation`` was
    called once on this server, so a link to a page, opened first of all, would miss the app.
    """
    if PagesManager.uses_pages_directory and not st.session_state.get("routed"):
        configure()
        navigation()
        st.rerun()


def _context(choices: sidebar.Choices) -> None:
    """What everything on the page is of; on a phone the sidebar is folded away."""
    st.session_state["simulated"] = choices.dataset.simulated
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if choices.dataset.simulated:
            words = "No cell of this dataset was measured; its true effects are known."
            st.badge("simulated", icon=":material/science:", color="violet", help=words)
        run = "no run" if choices.run is None else f"run {safe_label(choices.run.name)}"
        words = threshold_words(choices.mad, choices.criteria)
        name = dataset_label(choices.dataset)
        st.caption(f"Dataset {name} · {run} · {words}", width="content")
        _undo(choices)


def _undo(choices: sidebar.Choices) -> None:
    """Where criteria are left out, the way back; the sidebar hides it in an expander."""
    left_out = [criterion_label(c) for c in CRITERIA if c not in choices.criteria]
    if left_out:
        st.button(
            "Count all criteria", icon=":material/undo:", type="tertiary", key="count_all",
            on_click=sidebar.count_all, help=f"Not counted as artifact: {', '.join(left_out)}.",
        )  # fmt: skip

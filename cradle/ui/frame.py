"""The frame of every page: title, sidebar, and a box for whatever goes wrong inside."""

from collections.abc import Callable

import streamlit as st

from cradle.ui import sidebar
from cradle.ui.errors import guard
from cradle.ui.navigation import PAGES, navigation

Body = Callable[[sidebar.Choices], None]


def route() -> None:
    """Draw the sidebar, then run the page that the reader chose."""
    chosen = navigation()
    st.session_state["routed"] = True
    st.session_state["choices"] = None
    with guard():
        st.session_state["choices"] = sidebar.draw()
    chosen.run()


def show(key: str, body: Body) -> None:
    """Draw a page: its title, then ``body`` with the choices of the sidebar.

    Errors of the body become a box. A page that runs without the router draws the sidebar
    itself; where the sidebar has failed, its box says so and the body is left out.

    Parameters
    ----------
    key
        Key of ``PAGES``.
    body
        Reads widgets, calls cradle, draws.
    """
    st.title(PAGES[key].title)
    with guard():
        choices = st.session_state["choices"] if st.session_state.get("routed") else sidebar.draw()
        if choices is not None:
            body(choices)

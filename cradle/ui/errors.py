"""What the user sees when something fails: three plain sentences, or a calm note; no traceback."""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from cradle.errors import DISK_FULL, InputError, is_disk_full
from cradle.ui.labels import safe_text

_log = logging.getLogger("cradle.app")


def problem(what: str, found: str, do: str) -> None:
    """A box that says what was wrong, what was found and what to do."""
    st.warning(
        f"**{safe_text(what)}**\n\nFound: {safe_text(found)}\n\nWhat to do: {safe_text(do)}",
        icon=":material/info:",
    )


@contextmanager
def guard() -> Iterator[None]:
    """Turn whatever the block raises into a box on the page.

    An ``InputError`` is shown in its three parts. Anything else is logged with its traceback on
    stderr under a short reference, and the page shows the reference only.
    """
    try:
        yield
    except InputError as error:
        problem(error.what, error.found, error.do)
    except Exception as error:
        if is_disk_full(error):
            problem(*DISK_FULL)
            return
        reference = uuid.uuid4().hex[:8]
        _log.exception("page failed, reference %s", reference)
        st.warning(
            f"**This part of the page could not be drawn.**\n\nReference: {reference}. "
            "The log of the app says more under this reference.\n\n"
            "What to do: choose another dataset or run, or reload the page.",
            icon=":material/error:",
        )

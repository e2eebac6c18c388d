"""Interaction tables on disk, shipped or kept, so that nobody computes the same pairs twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import streamlit as st

from cradle.files import write_frame
from cradle.ui import store
from cradle.ui.navigation import ROOT

VERSION = 5  # raise it when the table is computed in another way
SHIPPED = ROOT / "assets" / "interactions"
_TEXT = ("pair", "first", "second", "support")


def find(run_path: str) -> Path | None:
    """Where the table of a run lies; None where it was not computed yet."""
    places = (folder / _name(run_path) for folder in (SHIPPED, _kept()))
    return next((path for path in places if path.is_file()), None)


def table(run_path: str) -> pd.DataFrame | None:
    """The table of a run (``cradle.pairs.interaction_table``), None where there is none."""
    path = find(run_path)
    return None if path is None else _read(str(path), path.stat().st_mtime)


def compute(run_path: str, progress: Callable[[int, int], None] | None = None,
            folder: Path | None = None) -> None:  # fmt: skip
    """Compute the table of a run and keep it, in the user's folder unless told otherwise."""
    from cradle.pairs import interaction_table

    found = interaction_table(store.run_at(run_path), progress)
    digits = dict.fromkeys(found.select_dtypes("float"), 5)
    write_frame((folder or _kept()) / _name(run_path), found.round(digits))


@st.cache_resource(max_entries=16, show_spinner=False)
def _read(path: str, stamp: float) -> pd.DataFrame:
    # A gene may be called NA: only empty cells are absent.
    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(_TEXT, str))


def _kept() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("cradle") / "interactions"


def _name(run_path: str) -> str:
    return f"{store.fingerprint(run_path)[:24]}-{VERSION}.csv"

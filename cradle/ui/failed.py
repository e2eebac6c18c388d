"""The cells of a dataset that fail at a run's own threshold, and what they fail."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cradle.ui import quality, store
from cradle.ui.sidebar import Choices

if TYPE_CHECKING:
    from cradle.runs import Run


def of_run(choices: Choices, run: Run) -> Choices:
    """The choices of the sidebar with the threshold and criteria that a run was trained with."""
    return replace(choices, mad=float(run.config["mad"]), criteria=tuple(run.config["criteria"]))


def failed_marks(choices: Choices, run: Run) -> pd.DataFrame:
    """Failed cells that the model can express × criteria that were judged: whether each fails.

    The cells of the dataset must be on this machine. Nobody changes the answer.
    """
    key = quality.key_of(of_run(choices, run))
    assert key is not None
    return _marks(key, str(run.path))


@st.cache_resource(max_entries=8, show_spinner=False)
def _marks(key: quality.Key, run_path: str) -> pd.DataFrame:
    run, flags = store.run_at(run_path), quality.flags_of(key)
    label = store.cells_of(key.source).obs["perturbation"].astype(str)
    known = {name for name in label.unique() if run.support(name) != "gene never seen"}
    chosen = (flags["qc_fail"] & label.isin(known)).to_numpy(bool)
    judged = [c for c in run.thresholds.judged if flags[f"fails_{c}"].notna().any()]
    return pd.DataFrame({c: flags.loc[chosen, f"fails_{c}"] == 1 for c in judged})

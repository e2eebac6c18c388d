"""Cells, runs and models, read once and shared by all sessions; nobody changes them.

Arguments are names and paths, never matrices: Streamlit hashes arguments on every call. That the
file behind a name may change is seen to in one place, ``forget_changed``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from cradle.data.schema import PERTURBATION
from cradle.errors import InputError
from cradle.ui.labels import dataset_label

_DECIDING = ("config.json", "genes.csv", "library_sizes.csv", "perturbations.csv", "split.csv.gz",
             "thresholds.json", "weights.safetensors")  # fmt: skip
_seen: dict[str, tuple[str, float]] = {}

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.runs import Run
    from cradle.ui.sidebar import Choices


def cells(choices: Choices) -> AnnData | None:
    """The observed cells in standard form; None where they are not on this machine."""
    source = choices.dataset.source
    return None if source is None else cells_of(source)


def labelled(choices: Choices) -> bool:
    """Whether it is known which perturbation each cell carries; an upload may not say."""
    adata = cells(choices)
    return adata is None or PERTURBATION in adata.obs


def run(choices: Choices) -> Run | None:
    """The chosen run; None where no model was trained on the dataset."""
    return None if choices.run is None else run_at(str(choices.run.path))


def needs_run(choices: Choices) -> Run:
    """The chosen run, or an error that says how to get one."""
    opened = run(choices)
    if opened is None:
        bare = not labelled(choices)
        raise InputError(
            "This page needs a trained model.",
            f"no run for the dataset {dataset_label(choices.dataset)}"
            + (", and none can be trained on it: its cells carry no perturbation labels." if bare
               else "."),
            "Choose the dataset demo in the sidebar, or "
            + ("upload a file that says which perturbation each cell carries." if bare
               else "train one on the page Train."),
        )  # fmt: skip
    return opened


def scores_at(path: str) -> dict[str, Any]:
    """Stored evaluation of the run in a folder; empty where it was not scored yet."""
    file = Path(path) / "metrics.json"
    return _scores(path, file.stat().st_mtime if file.exists() else 0.0)


def forget_changed(files: Mapping[str, tuple[str, float]]) -> None:
    """Let go of all that was worked out, where the file behind some of it is another one by now.

    Answers are kept by the names of runs and datasets, so this comes before any is asked for.

    Parameters
    ----------
    files
        What is here: for each name its file and when that was last modified.
    """
    if any(_seen.get(name, file) != file for name, file in files.items()):
        st.cache_resource.clear()
        st.cache_data.clear()
    _seen.update(files)


@st.cache_resource(max_entries=3, show_spinner="Reading the cells …")
def cells_of(source: str) -> AnnData:
    """Cells of a catalogue name or path, in standard form."""
    from cradle.data.sources import load

    return load(source, require_labels=False)


@st.cache_resource(max_entries=8, show_spinner=False)
def hash_of(source: str) -> str:
    """Data hash of a dataset, which its runs carry; see ``data_hash``."""
    from cradle.data.sources import data_hash

    return data_hash(cells_of(source))


@st.cache_resource(max_entries=16, show_spinner=False)
def run_at(path: str) -> Run:
    """The run in a folder."""
    from cradle.runs import Run

    return Run.load(path)


@st.cache_data(max_entries=16, show_spinner=False)
def fingerprint(path: str) -> str:
    """Content hash of a run: of all that decides which cells it generates and how it splits."""
    digest = hashlib.sha256()
    for name in _DECIDING:
        file = Path(path) / name
        digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()


@st.cache_resource(max_entries=16, show_spinner=False)
def _scores(path: str, stamp: float) -> dict[str, Any]:
    return run_at(path).metrics or {}


@st.cache_resource(max_entries=4, show_spinner="Loading the model …")
def predictor_at(path: str) -> Any:
    """The trained model of the run in a folder, ready to answer; loads torch."""
    return run_at(path).predictor()

"""Cells, runs and models, read once and shared by all sessions; nobody changes them.

Arguments are ids and time stamps, never matrices: Streamlit hashes arguments on every call.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from cradle.data.catalogue import DATASETS, locate
from cradle.errors import InputError

_DECIDING = ("config.json", "genes.csv", "library_sizes.csv", "perturbations.csv", "split.csv.gz",
             "thresholds.json", "weights.safetensors")  # fmt: skip

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.runs import Run
    from cradle.ui.sidebar import Choices


def cells(choices: Choices) -> AnnData | None:
    """The observed cells in standard form; None where they are not on this machine."""
    source = choices.dataset.source
    return None if source is None else cells_of(source)


def run(choices: Choices) -> Run | None:
    """The chosen run; None where no model was trained on the dataset."""
    return None if choices.run is None else run_at(str(choices.run.path))


def needs_run(choices: Choices) -> Run:
    """The chosen run, or an error that says how to get one."""
    opened = run(choices)
    if opened is None:
        raise InputError(
            "This page needs a trained model.",
            f"no run for the dataset {choices.dataset.name}.",
            "Choose the dataset demo in the sidebar, or train one on the page Train.",
        )
    return opened


def predictor_at(path: str) -> Any:
    """The trained model of the run in a folder, ready to answer; loads torch."""
    return _predictor(path, _stamp(Path(path) / "DONE"))


def cells_of(source: str) -> AnnData:
    """Cells of a catalogue name or path, in standard form."""
    return _cells(source, _stamp(source))


def run_at(path: str) -> Run:
    """The run in a folder."""
    return _run(path, _stamp(Path(path) / "DONE"))


def scores_at(path: str) -> dict[str, Any]:
    """Stored evaluation of the run in a folder; empty where it was not scored yet."""
    return _scores(path, _stamp(Path(path) / "metrics.json"))


def hash_of(source: str) -> str:
    """Data hash of a dataset, which its runs carry; see ``data_hash``."""
    return _hash(source, _stamp(source))


def fingerprint(path: str) -> str:
    """Content hash of a run: of all that decides which cells it generates and how it splits."""
    return _fingerprint(path, _stamp(Path(path) / "DONE"))


@st.cache_resource(max_entries=3, show_spinner="Reading the cells …")
def _cells(source: str, stamp: float) -> AnnData:
    from cradle.data.sources import load

    return load(source, require_labels=False)


@st.cache_resource(max_entries=8, show_spinner=False)
def _hash(source: str, stamp: float) -> str:
    from cradle.data.sources import data_hash

    return data_hash(_cells(source, stamp))


@st.cache_resource(max_entries=16, show_spinner=False)
def _run(path: str, stamp: float) -> Run:
    from cradle.runs import Run

    return Run.load(path)


@st.cache_data(max_entries=16, show_spinner=False)
def _fingerprint(path: str, stamp: float) -> str:
    digest = hashlib.sha256()
    for name in _DECIDING:
        file = Path(path) / name
        digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()


@st.cache_resource(max_entries=16, show_spinner=False)
def _scores(path: str, stamp: float) -> dict[str, Any]:
    return run_at(path).metrics or {}


@st.cache_resource(max_entries=4, show_spinner="Loading the model …")
def _predictor(path: str, stamp: float) -> Any:
    return _run(path, stamp).predictor()


def _stamp(source: str | Path) -> float:
    """Changes when the file behind a catalogue name or path does."""
    path = locate(str(source)) if str(source) in DATASETS else Path(source)
    return path.stat().st_mtime if path is not None and path.exists() else 0.0

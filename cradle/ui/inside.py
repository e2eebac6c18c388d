"""Tables from inside a model, computed once a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cradle.ui import store

if TYPE_CHECKING:
    from cradle.inside import WithoutArtifact


def masks(run_path: str) -> pd.DataFrame:
    """``cradle.inside.mask_table`` of a run."""
    return _masks(run_path, store.fingerprint(run_path))


def artifact_vector(run_path: str) -> pd.DataFrame:
    """``cradle.inside.artifact_vector`` of a run that has learned an artifact."""
    from cradle.inside import artifact_vector

    return artifact_vector(store.predictor_at(run_path))


def artifact_genes(run_path: str) -> pd.DataFrame:
    """``cradle.inside.artifact_genes`` of a run that has learned an artifact."""
    return _artifact_genes(run_path, store.fingerprint(run_path))


def without_artifact(run_path: str, source: str, cell: str) -> WithoutArtifact:
    """``cradle.inside.without_artifact`` of one QC-failed cell of a dataset."""
    return _without(run_path, store.fingerprint(run_path), source, store.hash_of(source), cell)


# The content hashes make a cached answer go with what it was computed from.


@st.cache_resource(max_entries=8, show_spinner="Reading the masks …")
def _masks(run_path: str, fingerprint: str) -> pd.DataFrame:
    from cradle.inside import mask_table

    return mask_table(store.predictor_at(run_path))


@st.cache_resource(max_entries=8, show_spinner="Switching the artifact on and off …")
def _artifact_genes(run_path: str, fingerprint: str) -> pd.DataFrame:
    from cradle.inside import artifact_genes

    return artifact_genes(store.predictor_at(run_path))


@st.cache_resource(max_entries=64, show_spinner="Taking the artifact out of the cell …")
def _without(
    run_path: str, fingerprint: str, source: str, data_hash: str, cell: str
) -> WithoutArtifact:
    from cradle.inside import without_artifact

    run = store.run_at(run_path)
    chosen = store.cells_of(source)[[cell], list(run.genes)].copy()
    chosen.obs["qc_fail"] = True
    return without_artifact(store.predictor_at(run_path), chosen)

"""Tables from inside a model, computed once a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from cradle.embedding import positions
from cradle.ui import store
from cradle.ui.kept import once

if TYPE_CHECKING:
    from cradle.inside import WithoutArtifact
    from cradle.inside_blocks import BlockStates
    from cradle.prediction import Predictor


def masks(run_path: str) -> pd.DataFrame:
    """``cradle.inside.mask_table`` of a run."""
    from cradle.inside import mask_table

    return _table(mask_table, mask_table.__name__, run_path)


def artifact_vector(run_path: str) -> pd.DataFrame:
    """``cradle.inside.artifact_vector`` of a run that has learned an artifact."""
    from cradle.inside import artifact_vector

    return _table(artifact_vector, artifact_vector.__name__, run_path)


def artifact_genes(run_path: str) -> pd.DataFrame:
    """``cradle.inside.artifact_genes`` of a run that has learned an artifact."""
    from cradle.inside import artifact_genes

    return _table(artifact_genes, artifact_genes.__name__, run_path)


class Probed(NamedTuple):
    """Cells whose blocks are probed: label and library size (counts) of each, KL of each latent."""

    labels: pd.Series
    library_size: npt.NDArray[np.floating]
    kl: npt.NDArray[np.floating]


def shifts(run_path: str) -> pd.DataFrame:
    """``cradle.inside_blocks.shift_table`` of a run with blocks."""
    from cradle.inside_blocks import shift_table

    return _table(shift_table, shift_table.__name__, run_path)


def edges(run_path: str, label: str) -> pd.DataFrame:
    """``cradle.inside_blocks.edge_table`` of a run with blocks."""
    from cradle.inside_blocks import edge_table

    return edge_table(store.predictor_at(run_path), label)


def programs(run_path: str) -> pd.DataFrame:
    """``cradle.inside_blocks.program_table`` of a run with blocks."""
    from cradle.inside_blocks import program_table

    return _table(program_table, program_table.__name__, run_path)


def probed(run_path: str, source: str) -> Probed:
    """The cells of a dataset that ``cradle.inside_blocks.probed_cells`` chooses."""
    return _states(run_path, source)[0]


@st.cache_resource(max_entries=32, show_spinner="Looking into the model …")
def _table(_of: Callable[[Predictor], pd.DataFrame], name: str, run_path: str) -> pd.DataFrame:
    return _of(store.predictor_at(run_path))


@once
def kinds(marks: pd.DataFrame, run_path: str, source: str) -> pd.Series[int]:
    """``cradle.inside.kinds_of`` the QC-failed cells of a dataset; see ``failed_marks``."""
    from cradle.inside import kinds_of

    with st.spinner("Telling the failed cells apart …"):
        run = store.run_at(run_path)
        chosen = store.cells_of(source)[marks.index, list(run.genes)].copy()
        chosen.obs["qc_fail"] = True
        return pd.Series(kinds_of(store.predictor_at(run_path), chosen), marks.index)


@st.cache_resource(max_entries=64, show_spinner="Taking the artifact out of the cell …")
def without_artifact(run_path: str, source: str, cell: str) -> WithoutArtifact:
    """``cradle.inside.without_artifact`` of one QC-failed cell of a dataset."""
    from cradle import inside

    run = store.run_at(run_path)
    chosen = store.cells_of(source)[[cell], list(run.genes)].copy()
    chosen.obs["qc_fail"] = True
    return inside.without_artifact(store.predictor_at(run_path), chosen)


@st.cache_resource(max_entries=4, show_spinner="Reading the blocks of the cells …")
def _states(run_path: str, source: str) -> tuple[Probed, BlockStates]:
    from cradle.inside_blocks import block_states, probed_cells

    run, cells = store.run_at(run_path), store.cells_of(source)
    names = cells.obs["perturbation"].astype(str)
    expressed = [name for name in names.unique() if run.design.expresses(name)]
    chosen = cells[probed_cells(names, expressed), list(run.genes)].copy()
    states = block_states(store.predictor_at(run_path), chosen)
    label = chosen.obs["perturbation"].astype(str).reset_index(drop=True)
    return Probed(label, chosen.obs["library_size"].to_numpy(float), states.kl), states


@st.cache_resource(max_entries=32, show_spinner=False)
def probe(run_path: str, source: str, block: str) -> dict[str, float]:
    """``cradle.inside_blocks.probe`` of a block (or ``components``); shares in percent."""
    from cradle import inside_blocks

    cells, states = _states(run_path, source)
    if block == "components":
        n = states.responsive.shape[1] + states.invariant.shape[1]
        features = inside_blocks.components(states.expression, n)
    else:
        features = getattr(states, block)
    found = inside_blocks.probe(features, cells.labels.to_numpy(str), cells.library_size)
    shares = {name: v if name == "depth_r2" else 100 * v for name, v in found.items()}
    return {"n_features": features.shape[1], **shares}


@st.cache_resource(max_entries=4, show_spinner="Computing the map …", show_time=True)
def background_map(run_path: str, source: str) -> npt.NDArray[np.float32]:
    """t-SNE of the invariant block of the probed cells, ``(n_cells, 2)``."""
    states = _states(run_path, source)[1]
    return positions(states.invariant.astype(np.float32), "t-SNE", 0)

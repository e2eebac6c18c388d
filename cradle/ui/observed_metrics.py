"""Quality values of the observed cells of a dataset, measured once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import streamlit as st

from cradle.data.qc import CRITERIA, CellMetrics, QCThresholds, cell_metrics
from cradle.ui import store

if TYPE_CHECKING:
    from anndata import AnnData

#: None: not looked for. Else the run whose training and validation cells Scrublet takes together,
#: empty without a run.
Doublets = str | None
DOUBLETS_SKIPPED = "Doublets were not looked for yet."


@st.cache_resource(max_entries=6, show_spinner="Measuring the cells …")
def of(source: str, doublets: Doublets) -> CellMetrics:
    """Those that the dataset carries, else measured; doublets where they are asked for."""
    adata = store.cells_of(source)
    stored = _stored(adata)
    if stored is not None:
        return stored
    if doublets is not None:
        return cell_metrics(adata, reference_cells=_reference(adata, doublets))
    found = cell_metrics(adata, doublets=False)
    return CellMetrics(found.values, {**found.reasons, "doublet": DOUBLETS_SKIPPED}, found.sources)


def _reference(adata: AnnData, run_path: str) -> npt.NDArray[np.bool_] | None:
    if not run_path:
        return None
    split = store.run_at(run_path).split.reindex(adata.obs_names)
    return np.asarray(split.isin(["train", "val"]), dtype=bool)


def carried(adata: AnnData) -> bool:
    """Whether the dataset carries quality values."""
    return "thresholds" in adata.uns.get("cradle", {}) and set(CRITERIA) <= set(adata.obs)


def _stored(adata: AnnData) -> CellMetrics | None:
    """Quality values that the dataset carries, with the reasons its thresholds give."""
    if not carried(adata):
        return None
    fitted = QCThresholds.from_json(str(adata.uns["cradle"]["thresholds"])).observed
    columns = [c for c in (*CRITERIA, "doublet_score") if c in adata.obs]
    return CellMetrics(
        adata.obs[columns].astype(float),
        {c: t.reason for c, t in fitted.items() if not t.measurable},
        {c: t.source for c, t in fitted.items() if t.measurable},
    )

"""What the quality-control page shows: values, flags, counts, as tidy tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cradle.data.qc import (
    CRITERIA,
    CellMetrics,
    QCThresholds,
    apply_thresholds,
    cell_metrics,
    fit_thresholds,
    generable_metrics,
    judge,
)
from cradle.plots.density import densities
from cradle.ui import store
from cradle.ui.sidebar import Choices

if TYPE_CHECKING:
    from anndata import AnnData

DOUBLETS_SKIPPED = "Doublets were not looked for yet."


def thresholds(choices: Choices) -> QCThresholds:
    """Thresholds at the sidebar's k and criteria: those of the run, else fitted on the cells."""
    run = store.run(choices)
    if run is not None:
        fitted = run.thresholds
    else:
        fitted = _fitted(str(choices.dataset.source), with_doublets(choices))
    return fitted.at(mad=choices.mad, criteria=choices.criteria)


def metrics(choices: Choices) -> CellMetrics | None:
    """Quality values of the observed cells; None where the cells are not on this machine."""
    if choices.dataset.source is None:
        return None
    return _metrics(choices.dataset.source, with_doublets(choices))


def flags(choices: Choices) -> pd.DataFrame | None:
    """Flags of the observed cells at the sidebar's threshold, one row per cell."""
    values = metrics(choices)
    return None if values is None else apply_thresholds(values, thresholds(choices))


def with_doublets(choices: Choices) -> bool:
    """Whether Scrublet's calls are at hand or were asked for in this session."""
    source = choices.dataset.source
    if source is None or _stored_metrics(store.cells(choices)) is not None:
        return False
    return bool(st.session_state.get(f"doublets:{source}", False))


def doublets_missing(choices: Choices) -> bool:
    """Whether looking for doublets is still possible."""
    values = metrics(choices)
    return values is not None and values.reasons.get("doublet") == DOUBLETS_SKIPPED


def ask_for_doublets(choices: Choices) -> None:
    """Look for doublets from now on in this session."""
    st.session_state[f"doublets:{choices.dataset.source}"] = True


def curves(choices: Choices, criterion: str) -> pd.DataFrame:
    """Kernel density of one criterion over the observed cells, for ``violins``."""
    return _curves(str(choices.dataset.source), with_doublets(choices), criterion)


def judged_like_generated(choices: Choices, perturbation: str | None = None) -> pd.DataFrame | None:
    """Observed cells judged exactly as generated ones are: values and flags over modelled genes."""
    run = store.run(choices)
    if run is None or choices.dataset.source is None:
        return None
    values = _generable(choices.dataset.source, str(run.path))
    table = pd.concat([values.values, judge(values, thresholds(choices))], axis=1)
    if perturbation is None:
        return table
    labels = store.cells(choices).obs["perturbation"].astype(str)  # type: ignore[union-attr]
    return pd.DataFrame(table[(labels == perturbation).to_numpy()])


def _stored_metrics(adata: AnnData | None) -> CellMetrics | None:
    """Quality values that the dataset carries, with the reasons its thresholds give."""
    record = {} if adata is None else adata.uns.get("cradle", {})
    if "thresholds" not in record or adata is None or not set(CRITERIA) <= set(adata.obs):
        return None
    fitted = QCThresholds.from_json(str(record["thresholds"])).observed
    columns = [c for c in (*CRITERIA, "doublet_score") if c in adata.obs]
    return CellMetrics(
        adata.obs[columns].astype(float),
        {c: t.reason for c, t in fitted.items() if not t.measurable},
        {c: t.source for c, t in fitted.items() if t.measurable},
    )


@st.cache_resource(max_entries=6, show_spinner="Measuring the cells …")
def _metrics(source: str, doublets: bool) -> CellMetrics:
    adata = store.cells_of(source)
    stored = _stored_metrics(adata)
    if stored is not None:
        return stored
    found = cell_metrics(adata, doublets=doublets)
    if doublets:
        return found
    return CellMetrics(found.values, {**found.reasons, "doublet": DOUBLETS_SKIPPED}, found.sources)


@st.cache_resource(max_entries=6, show_spinner="Fitting the thresholds …")
def _fitted(source: str, doublets: bool) -> QCThresholds:
    return fit_thresholds(store.cells_of(source), metrics=_metrics(source, doublets))


@st.cache_resource(max_entries=4, show_spinner="Measuring the cells …")
def _generable(source: str, run_path: str) -> CellMetrics:
    run = store.run_at(run_path)
    return generable_metrics(
        store.cells_of(source), genes=run.genes, hb_genes=run.thresholds.hb_genes
    )


@st.cache_data(max_entries=60, show_spinner=False)
def _curves(source: str, doublets: bool, criterion: str) -> pd.DataFrame:
    values = _metrics(source, doublets).values[criterion]
    return densities(pd.DataFrame({"source": "observed", "value": values}), "value", "source")

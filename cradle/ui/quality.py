"""What the quality-control page shows: values, flags, counts, as tidy tables."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pandas as pd
import streamlit as st

from cradle.data.qc import (
    CRITERIA,
    CellMetrics,
    QCThresholds,
    Threshold,
    apply_thresholds,
    fit_thresholds,
    generable_metrics,
    judge,
    maybe_biology,
)
from cradle.plots.density import densities
from cradle.ui import observed_metrics, selection, store
from cradle.ui.observed_metrics import DOUBLETS_SKIPPED, Doublets
from cradle.ui.sidebar import Choices


def thresholds(choices: Choices) -> QCThresholds:
    """Thresholds at the sidebar's k and criteria: those of the run, else fitted on the cells."""
    key = key_of(choices)
    if key is not None:
        return _thresholds(key)
    run = store.needs_run(choices)
    return run.thresholds.at(mad=choices.mad, criteria=choices.criteria)


def measurable(choices: Choices) -> list[str]:
    """Criteria that these data can measure; doublets too where they were not looked for yet."""
    fitted = thresholds(replace(choices, criteria=CRITERIA))
    return [c for c in CRITERIA if fitted[c].measurable or fitted[c].reason == DOUBLETS_SKIPPED]


def metrics(choices: Choices) -> CellMetrics | None:
    """Quality values of the observed cells; None where the cells are not on this machine."""
    if choices.dataset.source is None:
        return None
    return observed_metrics.of(choices.dataset.source, _doublets_like(choices))


def flags(choices: Choices) -> pd.DataFrame | None:
    """Flags of the observed cells at the sidebar's threshold, one row per cell."""
    key = key_of(choices)
    return None if key is None else flags_of(key)


def biology(choices: Choices) -> dict[str, list[str]]:
    """Criteria that may be biology, with the perturbations that carry them."""
    key = key_of(choices)
    return {} if key is None else _biology(key)


def with_doublets(choices: Choices) -> bool:
    """Whether Scrublet's calls are at hand or were asked for in this session."""
    source = choices.dataset.source
    if source is None or observed_metrics.carried(store.cells_of(source)):
        return False
    return bool(st.session_state.get(f"doublets:{source}", False))


def doublets_missing(choices: Choices) -> bool:
    """Whether doublets count here and were not looked for yet."""
    values, run = metrics(choices), store.run(choices)
    counted = run is None or run.thresholds["doublet"].measurable
    return counted and values is not None and values.reasons.get("doublet") == DOUBLETS_SKIPPED


def ask_for_doublets(choices: Choices) -> None:
    """Look for doublets from now on in this session."""
    st.session_state[f"doublets:{choices.dataset.source}"] = True


def curves(choices: Choices, criterion: str, at: Threshold) -> pd.DataFrame:
    """Kernel density of one criterion over the observed cells, around a threshold."""
    source, doublets = str(choices.dataset.source), _doublets_like(choices)
    return _curves(source, doublets, criterion, at.threshold, at.side)


def marked(
    choices: Choices, criterion: str, names: pd.Index, *, alike: bool
) -> pd.DataFrame | None:
    """Values of some observed cells, to mark in the violin of all; None without cells.

    Parameters
    ----------
    choices
        Of the sidebar.
    criterion
        One of ``CRITERIA``.
    names
        Of cells.
    alike
        Whether to measure them as generated cells are.
    """
    if names.empty:
        return None
    if alike:
        table = judged_like_generated(choices)
    else:
        found = metrics(choices)
        table = None if found is None else found.values
    if table is None:
        return None
    values = table.reindex(names)[_shown_column(criterion, table)]
    return selection.marks(pd.DataFrame({"source": "observed", "value": values.to_numpy()}))


def _shown_column(criterion: str, table: pd.DataFrame) -> str:
    """A doublet call is 0 or 1; its score has a distribution to look at."""
    scored = criterion == "doublet" and "doublet_score" in table
    return "doublet_score" if scored else criterion


def judged_like_generated(choices: Choices, perturbation: str | None = None) -> pd.DataFrame | None:
    """Observed cells judged exactly as generated ones are: values and flags over modelled genes."""
    key = key_of(choices)
    if key is None or key.run_path is None:
        return None
    table = _judged(key)
    if perturbation is None:
        return table
    labels = store.cells(choices).obs["perturbation"].astype(str)  # type: ignore[union-attr]
    return pd.DataFrame(table[(labels == perturbation).to_numpy()])


def passing_like_generated(choices: Choices, perturbation: str) -> pd.DataFrame | None:
    """The same for the cells of one perturbation that pass every selected criterion."""
    table, found = judged_like_generated(choices, perturbation), flags(choices)
    if table is None or found is None:
        return None
    return table[~found["qc_fail"].reindex(table.index).astype(bool)]


def judged(found: pd.DataFrame, fitted: QCThresholds) -> list[str]:
    """Criteria that decide on these flags: selected, measurable, and measured."""
    return [c for c in fitted.judged if found[f"fails_{c}"].notna().any()]


def train_fail_share(choices: Choices) -> float | None:
    """Share of the training cells that fail a criterion by which generated cells are judged."""
    table, run = judged_like_generated(choices), store.run(choices)
    if table is None or run is None:
        return None
    train = run.split.reindex(table.index) == "train"
    return float(table.loc[train, "qc_fail"].mean()) if train.any() else None


def _doublets_like(choices: Choices) -> Doublets:
    if not with_doublets(choices):
        return None
    return "" if choices.run is None else str(choices.run.path)


class Key(NamedTuple):
    """What flags depend on."""

    source: str
    run_path: str | None
    doublets: Doublets
    mad: float
    criteria: tuple[str, ...]


def key_of(choices: Choices) -> Key | None:
    source, run = choices.dataset.source, choices.run
    if source is None:
        return None
    path = None if run is None else str(run.path)
    return Key(source, path, _doublets_like(choices), choices.mad, choices.criteria)


def _thresholds(key: Key) -> QCThresholds:
    if key.run_path is not None:
        fitted = store.run_at(key.run_path).thresholds
    else:
        fitted = _fitted(key.source, key.doublets)
    return fitted.at(mad=key.mad, criteria=key.criteria)


@st.cache_resource(max_entries=32, show_spinner=False)
def flags_of(key: Key) -> pd.DataFrame:
    """Flags of the observed cells, one row per cell."""
    return apply_thresholds(observed_metrics.of(key.source, key.doublets), _thresholds(key))


@st.cache_resource(max_entries=32, show_spinner=False)
def _biology(key: Key) -> dict[str, list[str]]:
    obs = store.cells_of(key.source).obs
    if "perturbation" not in obs:
        return {}
    return {c: who for c, who in maybe_biology(flags_of(key), obs["perturbation"]).items() if who}


@st.cache_resource(max_entries=32, show_spinner=False)
def _judged(key: Key) -> pd.DataFrame:
    assert key.run_path is not None
    values = _generable(key.source, key.run_path)
    return pd.concat([values.values, judge(values, _thresholds(key))], axis=1)


@st.cache_resource(max_entries=6, show_spinner="Fitting the thresholds …")
def _fitted(source: str, doublets: Doublets) -> QCThresholds:
    return fit_thresholds(store.cells_of(source), metrics=observed_metrics.of(source, doublets))


@st.cache_resource(max_entries=4, show_spinner="Measuring the cells …")
def _generable(source: str, run_path: str) -> CellMetrics:
    run = store.run_at(run_path)
    return generable_metrics(
        store.cells_of(source), genes=run.genes, hb_genes=run.thresholds.hb_genes
    )


@st.cache_resource(max_entries=60, show_spinner=False)
def _curves(
    source: str, doublets: Doublets, criterion: str, threshold: float | None, fails: str
) -> pd.DataFrame:
    table = observed_metrics.of(source, doublets).values
    values = table[_shown_column(criterion, table)]
    return densities(pd.DataFrame({"source": "observed", "value": values}), "value", "source",
                     threshold=threshold, fails=fails)  # fmt: skip

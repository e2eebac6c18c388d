"""Tables of effects to take along: their columns say what they are in."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cradle.ui import comparison, store
from cradle.ui.kept import once

#: Effects against control or the mean of perturbed cells; intervals hold 95 %.
_NAMES = {
    "observed": "observed_log2",
    "se": "observed_standard_error_log2",
    "n_cells": "observed_cells",
    "predicted": "predicted_log2",
    "lower": "predicted_lower_95_log2",
    "upper": "predicted_upper_95_log2",
    "added_up": "single_genes_added_up_log2",
}


@st.cache_resource(max_entries=24, show_spinner=False)
def effects_table(terms: comparison.Terms, rule: str | None) -> pd.DataFrame:
    """Every point of the scatter, with the effects of a rule where one is shown."""
    table = comparison.points(terms)
    if rule is not None:
        table = table.assign(**{f"{rule}_log2": comparison.points(terms, rule)["predicted"]})
    run = store.run_at(terms.run_path)
    data = run.provenance["data"]
    return with_units(
        table.assign(
            split=terms.split, observed_side=terms.side, against=terms.against, run=run.name,
            dataset=data["name"], simulated=bool(data.get("simulated", False)),
        )
    )  # fmt: skip


@once
def with_units(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``comparison.points`` under names with units, what was measured first."""
    named = table.drop(columns="row", errors="ignore").rename(columns=_NAMES)
    first = [name for name in ("perturbation", "gene", *_NAMES.values()) if name in named]
    return named[[*first, *(name for name in named if name not in first)]]

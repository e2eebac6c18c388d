"""Tables of the interactions page: what to measure next, and the measured pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cradle.evaluation.interactions import MIN_GENES
from cradle.evaluation.standing import MIN_PAIRS, held_out, judged, skill
from cradle.ui import interactions_view
from cradle.ui.figures import as_sent, table_twin
from cradle.ui.interactions_view import compared
from cradle.ui.kept import once
from cradle.ui.labels import safe_label

if TYPE_CHECKING:
    from cradle.runs import Run

N_NEXT = 25
ALONE = {2: "both genes", 1: "one gene", 0: "neither gene"}
_SCALE_HELP = ("Size of the pair's effect along the sum of its two single effects. 1: they add "
               "up; above: more than the sum; below: less.")  # fmt: skip
_STANDING_HELP = "More or less: the whole interval is more than 20 % from the sum."


def measure_next(table: pd.DataFrame, run: Run) -> None:
    """Unmeasured pairs, those with the largest certain interaction first."""
    ranked = _ranked(table)
    st.subheader("What to measure next")
    if ranked.empty:
        st.caption("No unmeasured pair can be ranked with this run.")
        return
    if words := doubt(table):
        st.warning(words, icon=":material/warning:")
    shown, left = _with_singles(ranked)
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    st.dataframe(
        as_sent(shown, N_NEXT), hide_index=True, placeholder="–", key="next",
        column_config={
            "pair": text("pair", pinned=True),
            "predicted_scale": number("× the sum", format="%.2f", help=_SCALE_HELP),
            "predicted_standing": text("predicted to be", width="medium", help=_STANDING_HELP),
            "strength": number("interaction, log2 units", format="%.3f",
                               help="Root mean square over the expressed genes of pair − first − "
                               "second: how far the predicted pair is from the sum."),
            "strength_low": number("at least", format="%.3f",
                                   help="Lower end of its 95 % posterior interval; the table is "
                                   "sorted by it."),
            "strength_high": number("at most", format="%.3f"),
            # how the genes make up the pair, not whether they interact: beside the verdict it
            # reads as another one
            "predicted_kind": None,
            "cells": number("cells behind", help="Training cells that carry the gene of the pair "
                            "with fewer of them."),
            "alone": text("measured alone", help="Without both singles nothing measured can say "
                          "what their sum is."),
        },
    )  # fmt: skip
    st.caption(
        f"The {min(N_NEXT, len(shown))} first of {len(shown):,} unmeasured pairs of run "
        f"{safe_label(run.name)}{left}. Sorted by the lower end of the interval of the "
        "interaction: how far the pair is from the sum in log2 units, over all expressed genes. A "
        "pair with strong effects can be far from it at nearly 1 × the sum, so also pairs *near "
        "the sum* stand first. The predicted class, how the two genes make up the pair whatever "
        "its size, is in the CSV. The interval covers the model's "
        "uncertainty about its parameters, not that the model is wrong; the figure above says how "
        "far to trust it. An effect that saturates (a gene cannot fall below zero) also counts "
        "as less than the sum."
    )
    table_twin(_with_units(shown), f"measure_next_{run.name}")


@once
def _with_units(rows: pd.DataFrame) -> pd.DataFrame:
    """As a file names the columns."""
    return rows.rename(columns={
        "predicted_scale": "predicted_times_the_sum", "predicted_standing": "predicted_to_be",
        "alone": "genes_measured_alone", "strength": "interaction_log2",
        "strength_low": "interaction_lower_95_log2", "strength_high": "interaction_upper_95_log2",
        "predicted_kind": "predicted_class", "cells": "training_cells_of_rarer_gene",
    })  # fmt: skip


@once
def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    """The unmeasured pairs, as they are shown."""
    rows = table[~table["measured"].astype(bool) & table["strength"].notna()]
    rows = rows.assign(cells=rows[["n_first", "n_second"]].min(axis=1),
                       alone=rows["alone"].map(ALONE))  # fmt: skip
    columns = ["pair", "predicted_scale", "predicted_standing", "alone", "strength", "strength_low",
               "strength_high", "predicted_kind", "support", "cells"]  # fmt: skip
    return pd.DataFrame(rows[columns])


@once
def doubt(table: pd.DataFrame) -> str:
    """Why not to rely on the ranking; empty where held-out pairs speak for the model."""
    held = held_out(judged(table))
    n = len(held)
    if n >= MIN_PAIRS and skill(held) > 0:
        return ""
    if n == 0:
        why = (f"No held-out pair in which at least {MIN_GENES} genes respond can check what the "
               "model says about pairs.")  # fmt: skip
    else:
        only = "Only " if n < MIN_PAIRS else ""
        why = (f"{only}{n} held-out pair{'s' * (n > 1)} can check it; "
               f"there its squared error is {compared(held)} than that of saying that every pair "
               "is the plain sum.")  # fmt: skip
    return f"**Do not choose experiments by this ranking alone.** {why}"


def _with_singles(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Pairs whose genes were both measured alone, unless the reader wants all; what was left."""
    both = _singles_measured(rows)
    if len(both) in (0, len(rows)):
        return rows, ""
    if st.toggle(f"Also the {len(rows) - len(both):,} pairs with a gene that was never measured "
                 "alone", key="without_singles", bind="query-params",
                 help="Even a measured pair could not be judged: the sum of its singles is not "
                 "known."):  # fmt: skip
        return rows, ""
    return both, ", both of whose genes were measured alone"


@once
def _singles_measured(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(rows[rows["alone"] == ALONE[2]])


def measured(table: pd.DataFrame, run: Run) -> None:
    """How the measured pairs stand, and their classes, observed beside predicted."""
    if interactions_view.measured(table).empty:
        return
    st.subheader("The measured pairs")
    rows, shown = _farthest_first(table)
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    st.dataframe(
        as_sent(shown), hide_index=True, placeholder="–", key="measured_pairs",
        column_config={
            "pair": text("pair", pinned=True),
            "observed_standing": text("observed to be", width="medium", help=_STANDING_HELP),
            "observed_scale": number("× the sum", format="%.2f", help=_SCALE_HELP),
            "observed_scale_low": number("from", format="%.2f", help="95 % interval."),
            "observed_scale_high": number("to", format="%.2f", help="95 % interval."),
            "interacts": text("truly interacts", help="Known truth of the simulated screen."),
            "predicted_scale": number("predicted × the sum", format="%.2f"),
            "predicted_standing": text("predicted to be", width="medium", help=_STANDING_HELP),
            "observed_kind": text("observed class", width="medium"),
            "predicted_kind": text("predicted class", width="medium"),
            "observed_dominant": text("dominant gene", help="Epistasis."),
            "observed_magnitude": number("m", format="%.2f", help="√((c₁² + c₂²)/2)"),
            "observed_fit": number("fit quality", format="%.2f"),
            "observed_similarity": number("ρ of the singles", format="%.2f"),
            "observed_n_genes": number("responding genes"),
            "observed_reason": text("why undetermined", width="large"),
        },
    )  # fmt: skip
    st.caption("Those farthest from the sum first. m: mean size of the two coefficients, 1 where "
               "both genes keep their full effect. A dash: not applicable. c₁, c₂ and their "
               "intervals are in the CSV.")  # fmt: skip
    table_twin(rows, f"measured_classes_{run.name}")


@once
def _farthest_first(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The measured pairs, those farthest from the sum first, and what is shown of them."""
    rows = interactions_view.measured(table)
    far = (rows["observed_scale"] - 1).abs()
    rows = rows.loc[far.sort_values(ascending=False, na_position="last").index]
    columns = ["pair", "observed_standing", "observed_scale", "observed_scale_low",
               "observed_scale_high", "interacts", "predicted_scale", "predicted_standing",
               "support", "observed_kind", "predicted_kind", "observed_dominant",
               "observed_magnitude", "observed_fit", "observed_similarity", "observed_n_genes",
               "observed_reason"]  # fmt: skip
    return rows, rows[[name for name in columns if name in rows]]

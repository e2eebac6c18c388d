"""Parts of the interactions page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cradle.errors import InputError
from cradle.evaluation.interactions import MIN_GENES, MIN_MEAN_UMI, MIN_Z
from cradle.plots.interactions import SIGNS, pair_map, predicted_interactions
from cradle.ui import pair_store
from cradle.ui.figures import figure_with_table, plotted, table_twin
from cradle.ui.labels import safe_label, safe_labels

if TYPE_CHECKING:
    from cradle.runs import Run

MAX_GENES = 40
N_NEXT = 25
CLASSES = {
    "additive": "the pair does what its two genes do, added up (m within 0.3 of 1)",
    "synergy": "the pair does more than the sum (m > 1.3)",
    "suppression": "the pair does less than the sum (m < 0.7)",
    "neomorphic": "the pair does something else than its genes (fit quality below 0.85)",
    "redundant": "the two genes do the same (correlation above 0.8), so that their shares cannot "
    "be told apart; read the multiple of the sum instead",
    "undetermined": "too few genes respond, or the class changes in more than 20 % of the "
    "replicates",
}
_SCALE_HELP = ("Size of the pair's effect along the sum of its two single effects. 1: they add "
               "up; above: more than the sum; below: less.")  # fmt: skip


def table_of(run: Run) -> pd.DataFrame | None:
    """The pairs of the run; a button that computes them where that was not done yet."""
    n_genes = len(run.perturbed_genes)
    if n_genes < 2:
        raise InputError(
            "Interactions need at least two perturbed genes.", f"{n_genes} in training.",
            "Choose a run of a screen with more perturbations.",
        )  # fmt: skip
    path = str(run.path)
    found = pair_store.table(path)
    if found is not None:
        return found
    st.info(f"The pairs of this run have not been computed yet: {n_genes} genes, at most 1,000 of "
            f"their {n_genes * (n_genes - 1) // 2:,} pairs. It takes from seconds to a few "
            "minutes, once; leaving the page stops it.", icon=":material/hourglass:")  # fmt: skip
    if not st.button("Compute the interactions", type="primary", icon=":material/play_arrow:"):
        return None
    bar = st.progress(0.0, "Loading the model …")

    def tell(done: int, of: int) -> None:
        bar.progress(done / of, f"Predicted {done:,} of {of:,} effects")

    pair_store.compute(path, tell)
    bar.empty()
    return pair_store.table(path)


def safe(table: pd.DataFrame) -> pd.DataFrame:
    """The table with names that no widget takes for markup; absent names stay absent."""
    names = ("pair", "first", "second", "observed_dominant", "predicted_dominant")
    return table.assign(**{
        name: safe_labels(table[name].astype(str)).where(table[name].notna(), None)
        for name in names
    })  # fmt: skip


def headline(table: pd.DataFrame) -> None:
    """What an interaction is, and what was found."""
    measured = table["observed_class"].notna()
    counts = table.loc[measured, "observed_class"].value_counts()
    st.markdown(
        "Two genes **interact** when perturbing both does something else than the two single "
        "effects added up."
    )
    found = ", ".join(f"{n} {kind}" for kind, n in counts.items())
    if measured.any():
        st.markdown(f"Of {len(table):,} pairs, **{measured.sum()}** were measured together with "
                    f"both of their single genes: {found}.")  # fmt: skip
        if set(counts.index) == {"undetermined"}:
            st.info("Too few genes respond in the single genes of these pairs to give them a "
                    "class: more cells per perturbation, or more genes, would be needed. The "
                    "table at the end of the page says why for each.")  # fmt: skip
    else:
        st.info("In this dataset no pair was measured together with both of its single genes, so "
                "nothing here can check the predicted interactions.")  # fmt: skip
    if table["predicted_class"].isna().all():
        st.info("This model predicts no interactions: it adds single effects, or cannot express "
                "a pair that it was not trained on. Choose the run of another model for "
                "predictions.")  # fmt: skip
    with st.expander("What the classes mean", icon=":material/help:"):
        st.markdown("\n".join(f"- **{SIGNS[name]} {name}**: {words}"
                              for name, words in CLASSES.items()))  # fmt: skip
        st.latex(r"\delta_{AB} \approx c_1\,\delta_A + c_2\,\delta_B, \qquad "
                 r"m = \sqrt{(c_1^2 + c_2^2)/2}")  # fmt: skip
        st.caption(
            "Theil–Sen regression without intercept (classes of Norman et al. 2019) over genes "
            f"with at least {MIN_MEAN_UMI} UMI per cell that respond to one of the two genes "
            f"alone (|effect| ≥ {MIN_Z:g} standard errors); below {MIN_GENES} such genes no class "
            "is given. A class must hold in 80 % of the replicates: bootstraps of the cells "
            "(observed), draws of the posterior (predicted). Epistasis: one coefficient is more "
            "than 1.8 times the other; that gene is named as dominant. Observed: all cells of all "
            "splits against control."
        )


def overview(table: pd.DataFrame, run: Run) -> None:
    """Map of all pairs."""
    ranked = pd.unique(table[["first", "second"]].to_numpy().ravel())
    kept = set(ranked[:MAX_GENES])
    shown = table[table["first"].isin(kept) & table["second"].isin(kept)]
    figure_with_table(
        plotted(pair_map, shown,
                title="Predicted pairs below the diagonal, measured ones above it"),
        _slim(shown), f"pairs_{run.name}",
        alt=f"Map of {len(shown)} pairs of genes; the table holds their classes and sizes.",
    )  # fmt: skip
    signs = " · ".join(f"**{sign}** {name}" for name, sign in SIGNS.items())
    capped = (
        ""
        if len(ranked) <= MAX_GENES
        else (f" The {MAX_GENES} genes with the strongest predicted interactions of {len(ranked)}.")
    )
    st.caption(
        f"Colour: effect of the pair as a multiple of the sum of its single effects (purple "
        f"more, orange less, white the sum). Signs: {signs}. Empty: not measured.{capped}"
    )


def against_observed(table: pd.DataFrame, run: Run) -> None:
    """Predicted against observed interaction of the measured pairs."""
    rows = table[table["observed_scale"].notna()]
    st.subheader("Does the model foresee interactions?")
    if rows.empty or rows["predicted_scale"].isna().all():
        st.caption("There is no measured pair to compare with a prediction.")
        return
    figure_with_table(
        plotted(predicted_interactions, rows, title="Measured pairs: predicted and observed size"),
        _slim(rows), f"measured_pairs_{run.name}",
        alt=f"Predicted against observed multiple of the sum for {len(rows)} measured pairs.",
    )  # fmt: skip
    st.markdown(reading(rows))
    st.caption("Bars: 95 % intervals, over bootstraps of the cells (observed) and draws of the "
               "posterior (predicted). Both sides use the same genes of each pair.")  # fmt: skip


def reading(rows: pd.DataFrame) -> str:
    """What the comparison of the measured pairs says, in a sentence or two."""
    held = rows[rows["support"] != "seen"]
    few = int((rows["observed_n_genes"] < MIN_GENES).sum())
    words = [f"{len(rows)} measured pairs, {len(held)} of them held out from training."]
    if few:
        words.append(f"For {few} of them fewer than {MIN_GENES} genes respond: no class is given.")
    shares = [f"{_foreseen(part):.0f} % for the {len(part)} {name}"
              for name, part in (("held out", held), ("in training", rows.drop(held.index)))
              if len(part) > 2]  # fmt: skip
    if shares:
        words.append("Of what sets them apart from the plain sum the model tells **"
                     + ", ".join(shares) + "** (100 %: all of it; 0 % or less: no better than "
                     "saying that every pair is the sum).")  # fmt: skip
    outside = rows["observed_scale"].sub(1).abs()
    predicted = rows["predicted_scale"].sub(1).abs()
    words.append(f"Observed pairs are {outside.median():.2f} from the sum in the median, "
                 f"predicted ones {predicted.median():.2f}.")  # fmt: skip
    return " ".join(words)


def _foreseen(rows: pd.DataFrame) -> float:
    """1 − squared error / squared distance from the plain sum, in percent."""
    error = (rows["observed_scale"] - rows["predicted_scale"]).pow(2).sum()
    return float(100 * (1 - error / (rows["observed_scale"] - 1).pow(2).sum()))


def measure_next(table: pd.DataFrame, run: Run) -> None:
    """Unmeasured pairs, those with the largest certain interaction first."""
    rows = table[~table["measured"].astype(bool) & table["strength"].notna()]
    st.subheader("What to measure next")
    if rows.empty:
        st.caption("No unmeasured pair can be ranked with this run.")
        return
    shown = rows.assign(
        cells=rows[["n_first", "n_second"]].min(axis=1),
        alone=rows["alone"].map({2: "both", 1: "one", 0: "none"}),
    )[["pair", "predicted_class", "direction", "strength", "strength_low", "strength_high",
       "predicted_scale", "support", "cells", "alone"]]  # fmt: skip
    number = st.column_config.NumberColumn
    st.dataframe(
        shown.head(N_NEXT), hide_index=True, placeholder="–", key="next",
        column_config={
            "pair": st.column_config.TextColumn("pair", pinned=True),
            "predicted_class": st.column_config.TextColumn("predicted class"),
            "direction": st.column_config.TextColumn("than the sum"),
            "strength": number("interaction, log2 units", format="%.3f",
                               help="Root mean square over the expressed genes of pair − first − "
                               "second: how far the predicted pair is from the sum."),
            "strength_low": number("at least", format="%.3f",
                                   help="Lower end of its 95 % posterior interval; the table is "
                                   "sorted by it."),
            "strength_high": number("at most", format="%.3f"),
            "predicted_scale": number("× the sum", format="%.2f", help=_SCALE_HELP),
            "cells": number("cells behind", help="Training cells that carry the gene of the pair "
                            "with fewer of them."),
            "alone": st.column_config.TextColumn("measured alone"),
        },
    )  # fmt: skip
    st.caption(
        f"The {min(N_NEXT, len(rows))} first of {len(rows):,} unmeasured pairs of run "
        f"{safe_label(run.name)}. Sorted by the lower end of the interval: large and certain "
        "first. The interval covers the model's uncertainty about its parameters, not that the "
        "model is wrong; the figure above says how far to trust it. An effect that saturates "
        "(a gene cannot fall below zero) also counts as less than the sum."
    )
    table_twin(shown, f"measure_next_{run.name}")


def measured(table: pd.DataFrame, run: Run) -> None:
    """Classes of the measured pairs, observed beside predicted."""
    rows = table[table["observed_class"].notna()]
    if rows.empty:
        return
    st.subheader("The measured pairs")
    columns = ["pair", "observed_class", "observed_dominant", "observed_scale",
               "observed_magnitude",
               "observed_fit", "observed_similarity", "observed_n_genes", "observed_reason",
               "predicted_class", "predicted_scale", "support"]  # fmt: skip
    number = st.column_config.NumberColumn
    st.dataframe(
        rows[columns], hide_index=True, placeholder="–", key="measured_pairs",
        column_config={
            "pair": st.column_config.TextColumn("pair", pinned=True),
            "observed_class": "observed class",
            "observed_dominant": st.column_config.TextColumn("dominant gene", help="Epistasis."),
            "observed_scale": number("× the sum", format="%.2f", help=_SCALE_HELP),
            "observed_magnitude": number("m", format="%.2f", help="√((c₁² + c₂²)/2)"),
            "observed_fit": number("fit quality", format="%.2f"),
            "observed_similarity": number("ρ of the singles", format="%.2f"),
            "observed_n_genes": number("responding genes"),
            "observed_reason": "why undetermined",
            "predicted_class": "predicted class",
            "predicted_scale": number("predicted × the sum", format="%.2f"),
        },
    )  # fmt: skip
    st.caption("A dash: not applicable. c₁, c₂ and their intervals are in the CSV.")
    table_twin(rows, f"measured_classes_{run.name}")


def _slim(table: pd.DataFrame) -> pd.DataFrame:
    names = ("class", "scale", "scale_low", "scale_high", "magnitude")
    return table[["pair", "support", *(f"{side}_{name}" for side in ("observed", "predicted")
                                       for name in names)]]  # fmt: skip

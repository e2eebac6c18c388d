"""Parts of the interactions page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cradle.errors import InputError
from cradle.evaluation.interactions import MIN_GENES, MIN_MEAN_UMI, MIN_Z
from cradle.evaluation.standing import (
    MARGIN,
    NEAR,
    STANDS_OUT,
    UNCLEAR,
    held_out,
    judged,
    skill,
    standing,
)
from cradle.plots.interactions import SIGNS, pair_map, predicted_interactions
from cradle.ui import pair_store, store
from cradle.ui.figures import figure_with_table, plotted
from cradle.ui.kept import once
from cradle.ui.labels import safe_labels

if TYPE_CHECKING:
    from cradle.runs import Run

MAX_GENES = 40
#: What each class is called on the page, and when a pair is of it.
CLASSES = {
    "additive": ("additive ±30 %", "each gene keeps its own effect, give or take 30 % (m within "
                 "0.3 of 1); a pair at 1.27 × the sum is still of this class"),
    "synergy": ("synergy", "the pair does more than the sum (m > 1.3)"),
    "suppression": ("suppression", "the pair does less than the sum (m < 0.7)"),
    "neomorphic": ("neomorphic", "the pair does something else than its genes (fit quality below "
                   "0.85)"),
    "redundant": ("redundant singles", "the two genes alone do the same (correlation above 0.8), "
                  "so that their shares in the pair cannot be told apart. Whether the pair is "
                  "more or less than the sum it does not say"),
    "undetermined": ("undetermined", "too few genes respond, or the class changes in more than "
                     "20 % of the replicates"),
}  # fmt: skip


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


def safe(table: pd.DataFrame, run: Run) -> pd.DataFrame:
    """The table in words, its names such that no widget takes them for markup.

    Adds for both sides ``*_standing`` (against the sum) and ``*_kind`` (the class as it is called
    here), and of a simulated screen ``interacts``, the known truth; absent names stay absent.
    """
    truth = store.scores_at(str(run.path)).get("truth")
    return _in_words(table, None if truth is None else tuple(truth.get("interacting_pairs", [])))


@once
def _in_words(table: pd.DataFrame, interacting: tuple[str, ...] | None) -> pd.DataFrame:
    words = {name: label for name, (label, _) in CLASSES.items()}
    for side in ("observed", "predicted"):
        table = table.assign(**{f"{side}_standing": standing(table, side),
                                f"{side}_kind": table[f"{side}_class"].map(words)})  # fmt: skip
    if interacting is not None:
        interacts = table["pair"].isin(interacting)
        table = table.assign(interacts=interacts.map({True: "yes", False: "no"}))
    names = ("pair", "first", "second", "observed_dominant", "predicted_dominant")
    return table.assign(**{
        name: safe_labels(table[name].astype(str)).where(table[name].notna(), None)
        for name in names
    })  # fmt: skip


@once
def measured(table: pd.DataFrame) -> pd.DataFrame:
    """The pairs that were measured together with both of their single genes."""
    return pd.DataFrame(table[table["observed_class"].notna()])


def headline(table: pd.DataFrame) -> None:
    """What an interaction is, and what was found."""
    rows = measured(table)
    st.markdown(
        "Two genes **interact** when perturbing both does something else than the two single "
        "effects added up."
    )
    if len(rows):
        st.markdown(found(rows, len(table)))
        if "interacts" in rows:
            st.markdown(against_truth(rows))
        _how_judged(rows)
    else:
        st.info("In this dataset no pair was measured together with both of its single genes, so "
                "nothing here can check the predicted interactions.")  # fmt: skip
    if table["predicted_class"].isna().all():
        st.info("This model predicts no interactions: it adds single effects, or cannot express "
                "a pair that it was not trained on. Choose the run of another model for "
                "predictions.")  # fmt: skip
    with st.expander("What the classes mean", icon=":material/help:"):
        st.markdown("The classes of Norman et al. 2019 say **how** two genes make up the effect "
                    "of the pair, read off their coefficients c₁ and c₂; m is the mean size of "
                    "the two.")  # fmt: skip
        st.markdown("\n".join(f"- **{label}**: {words}" for label, words in CLASSES.values()))
        st.latex(r"\delta_{AB} \approx c_1\,\delta_A + c_2\,\delta_B, \qquad "
                 r"m = \sqrt{(c_1^2 + c_2^2)/2}")  # fmt: skip
        st.caption(
            "Theil–Sen regression without intercept over genes "
            f"with at least {MIN_MEAN_UMI} UMI per cell that respond to one of the two genes "
            f"alone (|effect| ≥ {MIN_Z:g} standard errors); below {MIN_GENES} such genes no class "
            "is given. A class must hold in 80 % of the replicates: bootstraps of the cells "
            "(observed), draws of the posterior (predicted). Epistasis: one coefficient is more "
            "than 1.8 times the other; that gene is named as dominant. Observed: all cells of all "
            "splits against control."
        )


@once
def found(rows: pd.DataFrame, n_pairs: int) -> str:
    """How many measured pairs stand out from the sum, and which."""
    n = int(rows["observed_standing"].isin(STANDS_OUT).sum())
    parts = [f"Of {n_pairs:,} pairs, {len(rows)} were measured together with both of their single "
             f"genes. **{n} of them stand{'s' * (n == 1)} out** from the sum"]  # fmt: skip
    named = []
    for kind in STANDS_OUT:
        own = rows[rows["observed_standing"] == kind]
        pairs = ", ".join(f"{pair} ({scale:.2f}×)" for pair, scale in
                          zip(own["pair"], own["observed_scale"], strict=True))  # fmt: skip
        named += [f"**{kind}**: {pairs}"] if pairs else []
    if named:
        parts.append(": " + "; ".join(named))
    counts = rows["observed_standing"].value_counts()
    rest = [f"{counts[kind]} {kind}" for kind in (NEAR, UNCLEAR) if kind in counts]
    return "".join(parts) + "." + (f" The others: {', '.join(rest)}." if rest else "")


@once
def against_truth(rows: pd.DataFrame) -> str:
    """How many pairs that the simulator made interact stand out."""
    out = rows["observed_standing"].isin(STANDS_OUT)
    truly = rows["interacts"] == "yes"
    return (
        f"This screen is simulated, so the truth is known: {int(truly.sum())} of these pairs "
        f"truly interact ({', '.join(rows.loc[truly, 'pair']) or 'none'}). "
        f"**{int((out & truly).sum())} of {int(truly.sum())}** stand out; of the "
        f"{int((~truly).sum())} that truly add up, {int((out & ~truly).sum()) or 'none'}."
    )


def _how_judged(rows: pd.DataFrame) -> None:
    leaves_out = (rows["observed_scale_low"] > 1) | (rows["observed_scale_high"] < 1)
    enough = rows["observed_n_genes"] >= MIN_GENES
    near = int((leaves_out & rows["observed_standing"].eq(NEAR)).sum())
    flat = (
        f"The interval leaves out 1× for {near} of the pairs near the sum too. That alone is no "
        "sign of an interaction: effects are means of logarithms, which flatten large changes, so "
        "pairs that truly add up come out some percent below 1×. "
        if near
        else ""
    )
    st.caption(
        f"A pair stands out when its whole 95 % interval is more than {100 * MARGIN:.0f} % from "
        f"the sum (1×), or does something else by its class. {flat}"
        "Unclear: the interval crosses that border, or too few genes respond."
    )
    if not enough.any():
        st.info("Too few genes respond in the single genes of these pairs to say how they stand: "
                "more cells per perturbation, or more genes, would be needed. The table at the "
                "end of the page says why for each.")  # fmt: skip


def overview(table: pd.DataFrame, run: Run) -> None:
    """Map of all pairs."""
    shown, n_genes = _mapped(table)
    figure_with_table(
        plotted(pair_map, shown,
                title="Predicted pairs below the diagonal, measured ones above it"),
        _slim(shown), f"pairs_{run.name}",
        alt=f"Map of {len(shown)} pairs of genes; the table holds their classes and sizes.",
    )  # fmt: skip
    signs = ", ".join(f"**{sign}** {name}" for name, sign in SIGNS.items())
    capped = (
        ""
        if n_genes <= MAX_GENES
        else (f" The {MAX_GENES} genes with the strongest predicted interactions of {n_genes}.")
    )
    st.caption(
        f"Colour: effect of the pair as a multiple of the sum of its single effects (purple "
        f"more, orange less, white the sum). Grey: not measured, or no prediction. Signs: "
        f"{signs} (in a coloured cell, no sign).{capped}"
    )


@once
def _mapped(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The pairs of the map, and of how many genes there are."""
    ranked = pd.unique(table[["first", "second"]].to_numpy().ravel())
    kept = set(ranked[:MAX_GENES])
    return table[table["first"].isin(kept) & table["second"].isin(kept)], len(ranked)


@once
def _sized(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(table[table["observed_scale"].notna()])


def against_observed(table: pd.DataFrame, run: Run) -> None:
    """Predicted against observed interaction of the measured pairs."""
    rows = _sized(table)
    st.subheader("Does the model foresee interactions?")
    if rows.empty or rows["predicted_scale"].isna().all():
        st.caption("There is no measured pair to compare with a prediction.")
        return
    figure_with_table(
        plotted(predicted_interactions, rows, title="Measured pairs: predicted and observed size"),
        _slim(rows), f"measured_pairs_{run.name}",
        alt=f"Predicted against observed multiple of the sum for {len(rows)} measured pairs.",
    )  # fmt: skip
    st.markdown(reading(table))
    st.caption("Bars: 95 % intervals, over bootstraps of the cells (observed) and draws of the "
               "posterior (predicted). Both sides use the same genes of each pair.")  # fmt: skip


@once
def reading(table: pd.DataFrame) -> str:
    """What the comparison of the measured pairs says, in a few sentences."""
    rows = measured(table)
    fit = judged(rows)
    words = [f"{len(rows)} measured pairs, {len(held_out(rows))} of them held out from training."]
    if missing := int(rows["observed_scale"].isna().sum()):
        words.append(
            f"The figure leaves out {missing} without a size: no gene responds, or a group has too "
            "few cells."
        )
    if few := len(rows) - len(fit):
        words.append(f"In {few} of {len(rows)} fewer than {MIN_GENES} genes respond: their sizes "
                     "are mostly noise and speak neither for nor against the model.")  # fmt: skip
    held = held_out(fit)
    shares = [f"**{compared(part)} for the {len(part)} {name}**"
              for name, part in (("held out", held), ("in training", fit.drop(held.index)))
              if len(part) > 2]  # fmt: skip
    if shares:
        words.append("Beside saying that every pair is the plain sum, the model's squared error "
                     f"is {', and '.join(shares)}.")  # fmt: skip
    if len(fit):
        seen, told = fit["observed_scale"], fit["predicted_scale"]
        words.append(
            f"Observed pairs lie between {seen.min():.2f} and {seen.max():.2f} × the sum, "
            f"predicted ones between {told.min():.2f} and {told.max():.2f}."
        )
    return " ".join(words)


def compared(rows: pd.DataFrame) -> str:
    """The squared error of the model beside that of the plain sum, in words."""
    share = skill(rows)
    return f"{100 * abs(share):.0f} % {'smaller' if share > 0 else 'larger'}"


@once
def _slim(table: pd.DataFrame) -> pd.DataFrame:
    names = ("standing", "class", "scale", "scale_low", "scale_high", "magnitude")
    return table[["pair", "support", *(f"{side}_{name}" for side in ("observed", "predicted")
                                       for name in names)]]  # fmt: skip

"""Parts of the treatment-effects page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import pandas as pd
import streamlit as st

from cradle.evaluation.metrics import EFFECT_METRICS, METRICS
from cradle.evaluation.moments import Side
from cradle.models.baselines import BASELINES
from cradle.plots.effects import top_genes
from cradle.plots.scatter import effect_scatter, spots
from cradle.ui import comparison
from cradle.ui.effects_download import effects_table, with_units
from cradle.ui.evidence import interval_words
from cradle.ui.figures import figure_with_table, plotted, slug
from cradle.ui.gene_view import gene_violins
from cradle.ui.kept import once
from cradle.ui.labels import GLOSSARY, safe_label, safe_labels, split_name
from cradle.ui.sidebar import Choices
from cradle.ui.summaries import unseen

if TYPE_CHECKING:
    from cradle.runs import Run

ALL = "all perturbations"


class View(NamedTuple):
    """What the page shows: effects, a rule beside the model, whether targets count, and whether
    the model never saw the perturbations of the test split."""

    terms: comparison.Terms
    baseline: str | None
    targets: bool
    unseen: bool

    @property
    def slug(self) -> str:
        """Part of file names."""
        terms = self.terms
        kinds = [
            "passing" * (terms.side != "all"),
            "against_perturbed" * (terms.reference != "control"),
            "halved_control" * terms.disjoint,
        ]
        return slug("_".join(filter(None, [terms.perturbation or "all", terms.split, *kinds])))

    @property
    def split(self) -> str:
        """Name of the split in a sentence."""
        return f"split {split_name(self.terms.split, self.unseen)}"

    @property
    def words(self) -> str:
        """What every number of the page is of."""
        terms = self.terms
        who = ALL if terms.perturbation is None else safe_label(terms.perturbation)
        cells = "all cells" if terms.side == "all" else "QC-passing cells only"
        return f"{who}, {self.split}, observed side: {cells}, against {terms.against}"


def ask(run: Run) -> View:
    """The choices of the page."""
    first, second, third = st.columns(3)
    new = unseen(run.perturbations)
    split = first.selectbox(
        "Split", comparison.splits(str(run.path)), key="split", bind="query-params",
        format_func=split_name,  # the same words for every run: the choice outlives a switch
        help=GLOSSARY["split"] + f" Held out: {GLOSSARY['held_out']}" * new,
    )  # fmt: skip
    labels = comparison.compared(comparison.Terms(str(run.path), split)).observed.perturbations
    perturbation = second.selectbox(
        "Perturbation", [ALL, *sorted(labels)], key="perturbation", bind="query-params",
        format_func=safe_label,
    )  # fmt: skip
    baseline = third.selectbox(
        "Compare with a simple rule", ["none", *BASELINES], key="baseline", bind="query-params",
        format_func=lambda name: BASELINES[name].label if name in BASELINES else "none",
        help=GLOSSARY["floor"],
    )  # fmt: skip
    left_out = comparison.not_applicable(str(run.path))
    if left_out:
        st.caption(
            f":material/info: **Not applicable** to {safe_label(run.spec.label)}, so neither shown "
            f"nor scored here: {', '.join(map(safe_label, left_out))}."
        )
    with st.expander("More choices", icon=":material/tune:"):
        side = st.segmented_control(
            "Observed cells", ("all", "passing"), default="all", required=True, key="side",
            bind="query-params", help="The bars of the benchmark use all cells.",
        )  # fmt: skip
        reference = st.segmented_control(
            "Effects against", ("control", "perturbed"), default="control", required=True,
            key="reference", bind="query-params",
            help="Perturbed: the mean of all perturbed training cells, which takes away what every "
            "perturbation of the screen does alike.",
        )  # fmt: skip
        targets = st.toggle(
            "Count the targeted genes themselves", value=True, key="targets", bind="query-params",
            help="A perturbed gene changes by design; without it the scores are about its effects.",
        )  # fmt: skip
        halved = comparison.control_can_be_halved(str(run.path), cast("Side", side))
        disjoint = st.toggle(
            "Separate control cells for rules and observations", key="disjoint",
            bind="query-params", disabled=not halved or reference == "perturbed",
            help="The simple rules and the observed effects share their control cells, and with "
            "them the noise of these. On: one random half of the control for each.",
        )  # fmt: skip
    terms = comparison.Terms(
        str(run.path), split, cast("Side", side),
        cast("comparison.Reference", reference), None if perturbation == ALL else perturbation,
        bool(disjoint) and halved and reference == "control",
    )  # fmt: skip
    return View(terms, None if baseline == "none" else baseline, targets, new)


def scatter(view: View) -> str | None:
    """Predicted against observed; returns the gene that was clicked."""
    table = comparison.points(view.terms)
    shown = _spots(table)
    others = None if view.baseline is None else _spots(comparison.points(view.terms, view.baseline))
    rows = comparison.score_rows(view.terms, view.targets).set_index("who")
    n = rows["perturbations"]
    rows = rows[n == n[comparison.MODEL]]  # rules on fewer do not compare
    rho = rows.loc[comparison.MODEL, "ate_rho"]
    chosen = figure_with_table(
        plotted(
            effect_scatter,
            shown, title=f"Predicted and observed effects agree with ρ = {rho:.2f}",
            others=others,
            other_name="" if view.baseline is None else BASELINES[view.baseline].label,
        ),
        effects_table(view.terms, view.baseline), f"effects_{view.slug}",
        alt=f"Scatter of predicted against observed effects, {view.words}; correlation {rho:.2f}.",
        select=["points"],
    )  # fmt: skip
    st.caption(f"One point per perturbation and gene: {view.words}.{_drawn(shown)} "
               "Click a point to see its gene.")  # fmt: skip
    if ahead := not_behind(rows):
        st.caption(f":material/info: Here the model is **not ahead** of: {ahead}.")
    return str(table["gene"].iloc[chosen[0]]) if chosen else None


@once
def _spots(table: pd.DataFrame) -> pd.DataFrame:
    """The points that are drawn, with safe names."""
    shown = spots(table)
    return shown.assign(**{name: safe_labels(shown[name]) for name in ("perturbation", "gene")})


def not_behind(rows: pd.DataFrame) -> str:
    """Rules that do at least as well as the model by some score, with the scores in which; a full
    score of both is no distinction.

    Parameters
    ----------
    rows
        Scores of the model and of rules, by name.
    """
    scored = list(EFFECT_METRICS)
    at_least = rows[scored].ge(rows.loc[comparison.MODEL, scored]) & (rows[scored].round(2) < 1)
    named = []
    for name in at_least.index.intersection(list(BASELINES), sort=False):
        scores = [METRICS[score].label for score in scored if at_least.loc[name, score]]
        if scores:
            named.append(f"{BASELINES[name].label} ({', '.join(scores)})")
    return "; ".join(named)


def _drawn(shown: pd.DataFrame) -> str:
    """Says that points on the same spot are drawn once, where there are such."""
    n = int(shown["n"].sum())
    if len(shown) == n:
        return ""
    return (f" Points that would cover each other are drawn once, {len(shown):,} for {n:,}, also "
            "where you zoom in; scores and table use all.")  # fmt: skip


def gene(choices: Choices, run: Run, view: View, clicked: str | None) -> None:
    """One gene: its effect in every perturbation, or its distribution in the cells of one."""
    table = comparison.points(view.terms)
    genes = run.moments.genes
    if clicked is not None and clicked != st.session_state.get("last_clicked"):
        st.session_state["gene"] = st.session_state["last_clicked"] = clicked
    strongest = comparison.strongest_gene(table)
    name = st.selectbox(
        "One gene", genes, index=genes.index(strongest), key="gene", bind="query-params",
        format_func=safe_label, help="Click a point of the scatter, or search any modelled gene. "
        "At first: the gene that changes most.",
    )  # fmt: skip
    if view.terms.perturbation is None:
        _everywhere(view, table, str(name))
    else:
        gene_violins(choices, run, view.terms.perturbation, str(name))


def _everywhere(view: View, table: pd.DataFrame, name: str) -> None:
    """The effects on one gene of the perturbations that change it most."""
    rows, shown, few = comparison.strongest_of_gene(table, name)
    figure_with_table(
        plotted(top_genes, shown, title=f"{safe_label(name)} in each perturbation{few}"),
        with_units(rows), f"gene_{slug(name)}_{view.slug}",
        alt=f"Predicted and observed effect of each perturbation on {safe_label(name)}.",
    )  # fmt: skip
    st.caption(f"Of {view.words}. Bars: {interval_words(view.terms.run_path)} Choose one "
               "perturbation above to see this gene in its cells.")  # fmt: skip


def top(view: View) -> None:
    """Genes that change most in one perturbation."""
    name = safe_label(view.terms.perturbation)
    table = comparison.points(view.terms)
    by = st.segmented_control(
        "Rank genes by", ("predicted", "observed"), default="predicted", required=True,
        key="rank_by", bind="query-params",
    )  # fmt: skip
    table = comparison.strongest(table, by)
    shown = table.assign(gene=safe_labels(table["gene"]))
    figure_with_table(
        plotted(top_genes, shown, title=f"{name}: the 20 strongest effects, {by}"),
        with_units(table), f"strongest_{view.slug}",
        alt="Predicted effects with intervals and observed effects of the strongest genes.",
    )  # fmt: skip
    bars = interval_words(view.terms.run_path)
    st.caption(f"{GLOSSARY['effect']} Of {view.words}. Bars: {bars}")


def per_perturbation(view: View) -> None:
    """Ranking of perturbations by agreement."""
    st.subheader("Each perturbation by itself")
    table = comparison.agreement(view.terms).copy()
    table["perturbation"] = safe_labels(table["perturbation"])
    rule = BASELINES[comparison.BESIDE].label
    st.dataframe(
        table, hide_index=True, placeholder="–", key="agreement",
        column_config={
            "n_cells": st.column_config.NumberColumn("observed cells"),
            "ate_rho": st.column_config.ProgressColumn("ATE-ρ", format="%.2f", min_value=0.0,
                                                       max_value=1.0, width=110),
            **{name: st.column_config.NumberColumn(METRICS[name].label, format="%.2f",
                                                   help=METRICS[name].explanation)
               for name in EFFECT_METRICS if name != "ate_rho"},
            **{f"rule_{name}": st.column_config.NumberColumn(f"{rule}: {METRICS[name].label}",
                                                             format="%.2f")
               for name in comparison.RULE_SCORES},
        },
    )  # fmt: skip
    st.caption(
        f"Predicted against observed effects of each: {view.words}; all genes. {rule}: the simple "
        "rule, for comparison. Few cells lower the score of any model."
    )

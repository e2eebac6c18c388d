"""Parts of the page that compares models."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from cradle.evaluation.ablation import changes, in_words
from cradle.evaluation.benchmark_tables import describe, undefined
from cradle.models.registry import MODELS
from cradle.plots.comparison import model_scores
from cradle.ui.compare_filters import SHIPPED, View
from cradle.ui.figures import figure_with_table, plotted, table_twin
from cradle.ui.labels import GLOSSARY, safe_label
from cradle.ui.score_tables import NOTHING, row_name
from cradle.ui.sidebar import Choices

COUNTERFACTUAL = SHIPPED / "counterfactual_weight" / "table.csv"


def context(view: View, choices: Choices) -> None:
    """What the page is of: the benchmark that is shown, not the dataset of the sidebar."""
    # the figures too speak of the benchmark's cells
    st.session_state["simulated"] = view.simulated
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if view.simulated:
            st.badge("simulated", icon=":material/science:", color="violet",
                     help="No cell of this benchmark was measured as it is; its true effects are "
                     "known.")  # fmt: skip
        st.caption(f"Benchmark {view.name} · trained and judged at k = {view.mad:g} MAD",
                   width="content")  # fmt: skip
    if choices.mad != view.mad:
        st.caption(f"The threshold of the sidebar (k = {choices.mad:g}) changes nothing here: a "
                   "benchmark holds scores of models that were trained and judged at thresholds "
                   "of its own.")  # fmt: skip


def words(view: View) -> None:
    """Who wins, and whether the seeds allow to say so."""
    about = describe(view.metric)
    for sentence in view.said:
        st.markdown(sentence)
    if view.said:
        _spreads(view)
    elif view.drawn[0].empty:
        st.info(f"No trained model has a {about.label} here, so there is nothing to draw: "
                f"{undefined(view.metric) or NOTHING}.")  # fmt: skip
    else:
        st.info(f"{about.label}: neither more nor less of it is better, so nobody wins here.")
    if about.explanation:
        st.caption(f"{about.label}: {about.explanation}")


def _spreads(view: View) -> None:
    """What the numbers after ± are, and which seeds they leave out."""
    if (view.summary["n_seeds"] > 1).any():
        own = ("Each seed is a simulated screen of its own, so that rules without training vary "
               "too. " if view.unit != "seed" else "")  # fmt: skip
        short = view.unit.rsplit(maxsplit=1)[-1]
        st.caption(f"{own}± after a score: standard deviation over {short}s. ± after a "
                   f"difference: that of the differences {short} by {short}, which both sides "
                   "share; a difference smaller than it counts as none.")  # fmt: skip
    if view.left_out:
        seeds = "; ".join(f"{_label(model)}: {', '.join(map(str, own))}"
                          for model, own in view.left_out)  # fmt: skip
        st.caption("Over the seeds that every model here was run with. Left out, as another seed "
                   f"may be another screen: {seeds}.")  # fmt: skip
    if view.folds_left_out:
        folds = ", ".join(map(safe_label, view.folds_left_out))
        st.caption("Over the folds that every model and every rule with a score can answer. Left "
                   f"out: {folds}.")  # fmt: skip


def figure(view: View) -> None:
    """The chosen score of every model, with its spread, between floor and ceiling."""
    models, seeds, references = view.drawn
    if models.empty:
        return
    about = describe(view.metric)
    figure_with_table(
        plotted(
            model_scores,
            models, seeds, references,
            title=f"{about.label} of each model",
            x=f"{about.label}{about.arrow} ({about.unit})" if about.unit else about.label,
            ascending=about.higher_is_better is False,
        ),
        view.rows, f"scores_{view.slug}",
        alt=f"{about.label} of {len(models)} models with their spread over {view.unit}s, "
            f"{view.words}.",
    )  # fmt: skip
    st.caption(
        f"Of {view.words}. Bars: one standard deviation over {view.unit}s, also of what the "
        f"models are compared with where it varies; ticks: single {view.unit}s; lines: what to "
        f"compare with. Floor: {GLOSSARY['floor']} "
        f"Ceiling: {GLOSSARY['ceiling']} Replicate: {GLOSSARY['replicate']}"
    )
    variants = [MODELS[name] for name in MODELS if name in set(models["model"])]
    if short := [f"{spec.label}: {spec.summary}" for spec in variants if "w/o" in spec.label]:
        st.caption(f"w/o: without. {' '.join(short)}")


def one_score(view: View) -> None:
    """The chosen score as a table, with what the papers print in a column of its own."""
    about = describe(view.metric)
    st.subheader(f"{about.label}, model by model")
    table = view.scores
    number, short = st.column_config.NumberColumn, view.unit.rsplit(maxsplit=1)[-1]
    columns: dict[str, Any] = {
        "model": st.column_config.TextColumn("model", pinned=True),
        "mean": number(f"{about.label}{about.arrow}", format="%.3f"),
        "sd": number(f"sd over {short}s", format="%.3f", help="Standard deviation."),
        "n_seeds": number(f"{short}s"),
        "n_folds": number("folds", help="Ways to part the cells into training and held out; "
                          "averaged within each seed."),
        "what": "what it is",
        "status": st.column_config.TextColumn("note"),
        "published": number("published", format="%.3f",
                            help="As the paper prints it: the full screen, its own split and "
                            "preprocessing. Not computed here."),
        "published_sd": number("published sd", format="%.3f"),
        "published_source": "published in",
    }  # fmt: skip
    st.dataframe(table, hide_index=True, placeholder="–", key="one_score",
                 column_config={k: v for k, v in columns.items() if k in table})  # fmt: skip
    note = ""
    if "published" in table:
        note = (" Published: transcribed from the papers named, for the **full** screen; their "
                "split, genes and preprocessing differ, so the columns are not comparable digit "
                "by digit.")  # fmt: skip
    st.caption(f"Of {view.words}. {NOTHING.capitalize()}: the model cannot answer here, which is "
               f"no score of 0.{note}")  # fmt: skip
    table_twin(table, f"table_{view.slug}")


def all_scores(view: View) -> None:
    """The main scores of every model side by side."""
    st.subheader("All main scores")
    st.dataframe(
        view.wide,
        hide_index=True,
        key="all_scores",
        column_config={"model": st.column_config.TextColumn("model", pinned=True)},
    )
    st.caption(f"Mean ± standard deviation over {view.unit}s, of {view.words}. ↑ higher is "
               "better, ↓ lower. Training time is of the whole fit. A single seed has no "
               "±.")  # fmt: skip
    table_twin(view.wide, f"all_{view.slug}")


def counterfactual_term() -> None:
    """When the term that sets CRADLE-VAE apart helps, measured where the truth is known."""
    if not COUNTERFACTUAL.is_file():
        return
    table, found, sentences = _term()
    st.subheader("When the counterfactual term helps")
    st.markdown("It asks that the basal state of a cell stay the same when the cell is seen as if "
                "it had the artifact. What that changes:")  # fmt: skip
    st.markdown("\n".join(f"- {sentence}" for sentence in sentences))
    st.caption(
        "CRADLE-VAE (α = 5) minus CRADLE-VAE w/o CF, mean ± standard deviation over "
        f"{found['n'].max()} simulated screens of 2,500 cells × 1,000 genes that no other number "
        "here uses; strength 1: the artifact of the demo. Effects and artifact: correlation with "
        "the simulated truth. Pass rate: how much nearer it comes to that of clean cells kept for "
        "validation; below zero it moves away. No clear difference: within the spread."
    )
    table_twin(table, "counterfactual_term")


@st.cache_resource(show_spinner=False)
def _term() -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    table = pd.read_csv(COUNTERFACTUAL)
    found = changes(table)
    return table, found, in_words(found)


def _label(model: str) -> str:
    return row_name(pd.Series({"model": model, "train_cells": "all"}))

"""Parts of the page that compares models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from cradle.errors import InputError
from cradle.evaluation.benchmark_tables import (
    describe,
    kind_of,
    left_out,
    order,
    read_benchmark,
    seed_values,
    summarise,
)
from cradle.evaluation.verdict import verdict
from cradle.plots.comparison import model_scores
from cradle.ui.errors import problem
from cradle.ui.figures import figure_with_table, plotted, slug, table_twin
from cradle.ui.labels import GLOSSARY, safe_label
from cradle.ui.navigation import ROOT
from cradle.ui.score_tables import NOTHING, row_name, score_table, wide_table
from cradle.ui.sidebar import Choices

SHIPPED = ROOT / "assets" / "benchmarks"
SPLITS = {"test": "test (held out)", "val": "val", "train": "train", "all": "all cells"}
TRAINED = {"all": "all cells", "passing": "QC-passing cells only"}
_SIMULATED = ("simulated", "semi_synthetic")
_OF_THE_FIT = ("seconds", "peak_mb")


class View(NamedTuple):
    """Which rows of a benchmark the page shows."""

    title: str
    table: pd.DataFrame
    dataset: str
    metric: str
    mad: float
    split: str

    @property
    def words(self) -> str:
        """What every number of the page is of."""
        return (f"dataset {safe_label(self.dataset)}, split {SPLITS.get(self.split, self.split)}, "
                f"trained and evaluated at k = {self.mad:g} MAD")  # fmt: skip

    @property
    def slug(self) -> str:
        """Part of file names."""
        return slug(f"{self.dataset}_{self.metric}_{self.split}_{self.mad:g}")


def ask(choices: Choices) -> View:
    """The filters of the page."""
    tables = _tables()
    if not tables:
        raise InputError(
            "There is no benchmark to show.",
            "neither a shipped table nor one in the folder of runs.",
            f"Make one: python -m cradle benchmark {choices.dataset.name} "
            "--models cradle_vae,additive --seeds 0,1,2 --out runs/benchmark",
        )
    first, second, third = st.columns([2, 2, 1])
    titles = list(tables)
    wanted = "simulated" if choices.dataset.simulated else choices.dataset.name
    start = next((i for i, title in enumerate(titles) if title == wanted), 0)
    title = first.selectbox("Benchmark", titles, index=start, key="benchmark", bind="query-params",
                            format_func=safe_label,
                            help="Shipped results, and tables of `python -m cradle benchmark` in "
                            "the folder of runs.")  # fmt: skip
    table = tables[str(title)]
    present = set(table.loc[table["model"].isin(_models(table)), "metric"])
    metrics = order(present)
    metric = second.selectbox(
        "Score",
        metrics,
        key="metric",
        bind="query-params",
        format_func=_named,
        help="↑ higher is better, ↓ lower is better.",
    )
    table = table[table["metric"].eq(metric).groupby(table["qc_mad"]).transform("any")]
    mads = sorted(table["qc_mad"].unique())
    mad = third.selectbox("Threshold k (MAD)", mads, key="bench_mad", bind="query-params",
                          index=mads.index(choices.mad) if choices.mad in mads else 0,
                          format_func="{:g}".format, help=GLOSSARY["mad"])  # fmt: skip
    fourth, fifth = st.columns([2, 3])
    table = table[table["qc_mad"] == mad]
    having = table.loc[(table["metric"] == metric) & table["model"].isin(_models(table)), "split"]
    splits = [s for s in SPLITS if s in set(having)] or sorted(set(having))
    split = fourth.selectbox(
        "Split",
        splits,
        key="bench_split",
        bind="query-params",
        format_func=lambda s: SPLITS.get(s, s),
        help=GLOSSARY["split"],
    )
    trained = [t for t in TRAINED if t in set(table["train_cells"])]
    chosen = fifth.segmented_control(
        "Trained on", trained, selection_mode="multi", default=trained, key="trained_on",
        format_func=TRAINED.__getitem__, bind="query-params",
        help="Filtering, what one would do instead: the same model trained on QC-passing cells "
        "only.",
    )  # fmt: skip
    # Time and memory are of the whole fit, whatever the split.
    of_split = (table["split"] == split) | table["metric"].isin(_OF_THE_FIT)
    kept = table[of_split & table["train_cells"].isin(chosen or trained)]
    dataset = str(kept["dataset"].iloc[0]) if len(kept) else str(title)
    return View(str(title), kept, dataset, str(metric), float(mad), str(split))


def words(view: View) -> None:
    """Who wins, and whether the seeds allow to say so."""
    if view.dataset in _SIMULATED:
        st.badge("simulated", icon=":material/science:", color="violet")
    said = verdict(
        summarise(view.table, view.metric),
        seed_values(view.table, view.metric),
        view.metric,
        row_name,
    )
    for sentence in said:
        st.markdown(sentence)
    if said and (more := left_out(view.table, view.metric)):
        seeds = "; ".join(f"{_label(model)}: {', '.join(map(str, own))}" for model, own in more)
        st.caption("Over the seeds that every model here was run with. Left out, as another seed "
                   f"may be another screen: {seeds}.")  # fmt: skip
    if not said:
        st.info(f"{describe(view.metric).label}: neither more nor less of it is better, so nobody "
                "wins here.")  # fmt: skip
    if describe(view.metric).explanation:
        st.caption(f"{describe(view.metric).label}: {describe(view.metric).explanation}")


def figure(view: View) -> None:
    """The chosen score of every model, with its spread, between floor and ceiling."""
    summary = summarise(view.table, view.metric)
    models = summary[(summary["kind"] == "model") & summary["mean"].notna()]
    references = summary[~summary["kind"].isin(("model", "other")) & summary["mean"].notna()]
    seeds = seed_values(view.table, view.metric)
    seeds = seeds[seeds["model"].isin(models["model"])]
    about = describe(view.metric)
    # the figure speaks of the benchmark's cells, not of those chosen in the sidebar
    st.session_state["simulated"] = view.dataset in _SIMULATED
    figure_with_table(
        plotted(
            model_scores,
            models.assign(name=[row_name(row) for _, row in models.iterrows()]),
            seeds.assign(name=[row_name(row) for _, row in seeds.iterrows()]),
            references.assign(name=[row_name(row) for _, row in references.iterrows()]),
            title=f"{about.label} of each model",
            x=f"{about.label}{about.arrow} ({about.unit})" if about.unit else about.label,
            ascending=about.higher_is_better is False,
        ),
        view.table[view.table["metric"] == view.metric], f"scores_{view.slug}",
        alt=f"{about.label} of {len(models)} models with their spread over seeds, {view.words}.",
    )  # fmt: skip
    st.caption(
        f"Of {view.words}. Bars: one standard deviation over seeds; ticks: single seeds; lines: "
        f"what to compare with. Floor: {GLOSSARY['floor']} "
        f"Ceiling: {GLOSSARY['ceiling']} Replicate: {GLOSSARY['replicate']}"
    )


def one_score(view: View) -> None:
    """The chosen score as a table, with what the papers print in a column of its own."""
    about = describe(view.metric)
    st.subheader(f"{about.label}, model by model")
    table = score_table(view.table, view.metric, view.dataset, view.mad, view.split)
    number = st.column_config.NumberColumn
    columns: dict[str, Any] = {
        "model": st.column_config.TextColumn("model", pinned=True),
        "mean": number(f"{about.label}{about.arrow}", format="%.3f"),
        "sd": number("sd over seeds", format="%.3f"),
        "n_seeds": number("seeds"), "n_folds": number("folds"), "what": "what it is",
        "status": st.column_config.TextColumn("note"),
        "published": number("published", format="%.3f",
                            help="As the paper prints it: the full screen, its own split and "
                            "preprocessing. Not computed here."),
        "published_sd": number("published sd", format="%.3f"),
        "published_source": "published in",
    }  # fmt: skip
    if table["published"].isna().all():
        table = table.drop(columns=["published", "published_sd", "published_source"])
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
    table = _wide_table(view.table)
    st.dataframe(
        table,
        hide_index=True,
        key="all_scores",
        column_config={"model": st.column_config.TextColumn("model", pinned=True)},
    )
    st.caption(f"Mean ± standard deviation over seeds, of {view.words}. ↑ higher is better, ↓ "
               "lower. Training time is of the whole fit. A single seed has no ±.")  # fmt: skip
    table_twin(table, f"all_{view.slug}")


@st.cache_data(max_entries=16, show_spinner=False)
def _wide_table(table: pd.DataFrame) -> pd.DataFrame:
    return wide_table(table)


def _models(table: pd.DataFrame) -> set[str]:
    return {model for model in table["model"].unique() if kind_of(model) == "model"}


def _label(model: str) -> str:
    return row_name(pd.Series({"model": model, "train_cells": "all"}))


def _named(metric: str) -> str:
    about = describe(metric)
    return safe_label(about.label) + about.arrow


def _tables() -> dict[str, pd.DataFrame]:
    """Readable tables by title: the shipped ones, then those in the folder of runs."""
    found = {}
    for path in sorted(SHIPPED.glob("*/table.csv")):
        if (table := _benchmark(path)) is not None:
            found[path.parent.name] = table
    runs = Path(os.environ.get("CRADLE_RUNS_DIR", "runs"))
    for path in sorted({*runs.glob("table.csv"), *runs.glob("*/table.csv")}):
        try:
            table = _read(str(path), path.stat().st_mtime)
        except InputError as error:
            problem(error.what, error.found, error.do)
            continue
        if len(table):
            found[f"{path.parent.name} (yours)"] = table
    return found


def _benchmark(path: Path) -> pd.DataFrame | None:
    """A shipped table; None for one of another form, such as a search for settings."""
    try:
        table = _read(str(path), path.stat().st_mtime)
    except InputError:
        return None
    return table if len(table) else None


@st.cache_data(max_entries=32, show_spinner=False)
def _read(path: str, stamp: float) -> pd.DataFrame:
    return read_benchmark(Path(path))

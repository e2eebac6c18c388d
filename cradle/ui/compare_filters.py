"""Which rows of which benchmark the page Compare models shows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import streamlit as st

from cradle.data.catalogue import DATASETS
from cradle.errors import InputError
from cradle.evaluation.benchmark_tables import (
    describe,
    folds_left_out,
    kind_of,
    left_out,
    order,
    own_screens,
    read_benchmark,
    seed_values,
    summarise,
)
from cradle.evaluation.verdict import verdict
from cradle.ui.errors import problem
from cradle.ui.figures import slug
from cradle.ui.labels import GLOSSARY, safe_label, split_name
from cradle.ui.navigation import ROOT
from cradle.ui.score_tables import row_name, score_table, wide_table
from cradle.ui.sidebar import Choices

SHIPPED = ROOT / "assets" / "benchmarks"
SPLITS = ("test", "val", "train", "all")
TRAINED = {"all": "all cells", "passing": "QC-passing cells only"}
_ZERO_SHOT = "trained on control and single perturbations alone; all pairs are held out"
#: What the shipped benchmarks ask; others have their name alone.
QUESTIONS = {
    "simulated": "each seed a screen of its own, in which some pairs are held out",
    "simulated_searched": "each seed a screen of its own, in which some pairs are held out; each "
    "model at settings that a search of the same size chose for it",
    "simulated_unseen": "screens of seeds and sizes on which nothing was chosen",
    "simulated_zero_shot": _ZERO_SHOT,
    "semi_synthetic": "effects and artifacts put into real blood cells; some pairs are held out",
    "norman_subset": "five pairs are held out",
    "norman_subset_rotation": "each pair is held out by itself, in turn",
    "norman_subset_searched": "five pairs are held out; each model at settings that a search of "
    "the same size chose for it",
    "norman_subset_zero_shot": _ZERO_SHOT,
    "papalexi": "single perturbations; of each, some cells are held out",
}
_SIMULATED = ("simulated", "semi_synthetic")
_OF_THE_FIT = ("seconds", "peak_mb")


class Source(NamedTuple):
    """A benchmark table: its file and the file's time, by which what was read of it is kept."""

    path: str
    stamp: float


@dataclass(frozen=True)
class View:
    """Which rows of a benchmark the page shows; what follows from them is computed once."""

    title: str
    table: pd.DataFrame
    dataset: str
    metric: str
    mad: float
    split: str

    @property
    def simulated(self) -> bool:
        """Whether the cells of the benchmark were simulated, whatever the sidebar shows."""
        spec = DATASETS.get(self.dataset)
        return self.dataset.startswith(_SIMULATED) or (spec is not None and spec.simulated)

    @cached_property
    def unit(self) -> str:
        """What a seed of the benchmark is."""
        return "simulated screen" if self.simulated and own_screens(self.table) else "seed"

    @property
    def name(self) -> str:
        """The benchmark, and what it asks."""
        asks = QUESTIONS.get(self.title)
        return safe_label(self.title) + (f" ({asks})" if asks else "")

    @property
    def words(self) -> str:
        """What every number of the page is of."""
        return (f"dataset {safe_label(self.dataset)}, split {split_name(self.split)}, "
                f"trained and evaluated at k = {self.mad:g} MAD")  # fmt: skip

    @property
    def slug(self) -> str:
        """Part of file names."""
        return slug(f"{self.dataset}_{self.metric}_{self.split}_{self.mad:g}")

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Those of the score."""
        return pd.DataFrame(self.table[self.table["metric"] == self.metric])

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Of ``summarise``."""
        return summarise(self.table, self.metric)

    @cached_property
    def seeds(self) -> pd.DataFrame:
        """Of ``seed_values``."""
        return seed_values(self.table, self.metric)

    @cached_property
    def said(self) -> list[str]:
        """Of ``verdict``."""
        return verdict(self.summary, self.seeds, self.metric, row_name, self.unit)

    @cached_property
    def left_out(self) -> list[tuple[str, list[int]]]:
        """Of ``left_out``."""
        return left_out(self.table, self.metric)

    @cached_property
    def folds_left_out(self) -> list[str]:
        """Of ``folds_left_out``."""
        return folds_left_out(self.table, self.metric)

    @cached_property
    def drawn(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Models, their seeds and what they are compared with, each with its ``name``."""
        summary = self.summary[self.summary["mean"].notna()]
        models = summary[summary["kind"] == "model"]
        seeds = self.seeds[self.seeds["model"].isin(models["model"])]
        references = summary[~summary["kind"].isin(("model", "other"))]
        named = [rows.assign(name=[row_name(row) for _, row in rows.iterrows()])
                 for rows in (models, seeds, references)]  # fmt: skip
        return named[0], named[1], named[2]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Of ``score_table``, without columns that say nothing here."""
        table = score_table(self.table, self.metric, self.dataset, self.mad, self.split)
        if table["n_folds"].max() == 1:
            table = table.drop(columns="n_folds")
        if table["published"].isna().all():
            table = table.drop(columns=["published", "published_sd", "published_source"])
        return table

    @cached_property
    def wide(self) -> pd.DataFrame:
        """Of ``wide_table``."""
        return wide_table(self.table)


def ask(choices: Choices) -> View:
    """The filters of the page."""
    sources = _sources()
    if not sources:
        raise InputError(
            "There is no benchmark to show.",
            "neither a shipped table nor one in the folder of runs.",
            f"Make one: python -m cradle benchmark {choices.dataset.name} "
            "--models cradle_vae,additive --seeds 0,1,2 --out runs/benchmark",
        )
    first, second, third = st.columns([2, 2, 1])
    titles = list(sources)
    wanted = "simulated" if choices.dataset.simulated else choices.dataset.name
    start = next((i for i, title in enumerate(titles) if title == wanted), 0)
    title = first.selectbox("Benchmark", titles, index=start, key="benchmark", bind="query-params",
                            format_func=safe_label,
                            help="Shipped results, and tables of `python -m cradle benchmark` in "
                            "the folder of runs.")  # fmt: skip
    source = sources[str(title)]
    metric = second.selectbox(
        "Score",
        _metrics(source),
        key="metric",
        bind="query-params",
        format_func=_named,
        help="↑ higher is better, ↓ lower is better; without an arrow: neither.",
    )
    mads = _mads(source, metric)
    mad = third.selectbox("Threshold k (MAD)", mads, key="bench_mad", bind="query-params",
                          index=mads.index(choices.mad) if choices.mad in mads else 0,
                          format_func="{:g}".format, help=GLOSSARY["mad"])  # fmt: skip
    fourth, fifth = st.columns([2, 3])
    splits, trained = _parts(source, metric, mad)
    split = fourth.selectbox(
        "Split",
        splits,
        key="bench_split",
        bind="query-params",
        format_func=split_name,
        help=GLOSSARY["split"],
    )
    chosen = fifth.segmented_control(
        "Trained on", trained, selection_mode="multi", default=trained[:1], key="trained_on",
        format_func=TRAINED.__getitem__, bind="query-params",
        help="Filtering, what one would do instead: the same model trained on QC-passing cells "
        "only.",
    )  # fmt: skip
    return _view(source, str(title), metric, mad, split, chosen or trained[:1])


# Arguments are short, for Streamlit hashes them on every call, and the answers are shared.


@st.cache_resource(max_entries=32, show_spinner=False)
def _metrics(source: Source) -> list[str]:
    table = _of_models(_table(source))
    return order(set(table["metric"]))


@st.cache_resource(max_entries=64, show_spinner=False)
def _mads(source: Source, metric: str) -> list[float]:
    table = _table(source)
    return sorted(table.loc[table["metric"] == metric, "qc_mad"].unique())


@st.cache_resource(max_entries=64, show_spinner=False)
def _parts(source: Source, metric: str, mad: float) -> tuple[list[str], list[str]]:
    """Splits in which a model has the score, and the kinds of training cells there are."""
    table = _table(source)
    table = table[table["qc_mad"] == mad]
    having = set(_of_models(table).loc[lambda rows: rows["metric"] == metric, "split"])
    splits = [s for s in SPLITS if s in having] or sorted(having)
    return splits, [t for t in TRAINED if t in set(table["train_cells"])]


@st.cache_resource(max_entries=32, show_spinner=False)
def _view(
    source: Source, title: str, metric: str, mad: float, split: str, trained: list[str]
) -> View:
    table = _table(source)
    # Time and memory are of the whole fit, whatever the split.
    of_split = (table["split"] == split) | table["metric"].isin(_OF_THE_FIT)
    kept = table[(table["qc_mad"] == mad) & of_split & table["train_cells"].isin(trained)]
    dataset = str(kept["dataset"].iloc[0]) if len(kept) else title
    return View(title, kept, dataset, metric, mad, split)


def _of_models(table: pd.DataFrame) -> pd.DataFrame:
    models = {model for model in table["model"].unique() if kind_of(model) == "model"}
    return pd.DataFrame(table[table["model"].isin(models)])


def _named(metric: str) -> str:
    about = describe(metric)
    return safe_label(about.label) + about.arrow


def _sources() -> dict[str, Source]:
    """Readable tables by title: the shipped ones, then those in the folder of runs."""
    runs = Path(os.environ.get("CRADLE_RUNS_DIR", "runs"))
    own = sorted({*runs.glob("table.csv"), *runs.glob("*/table.csv")})
    found = {}
    for path in (*sorted(SHIPPED.glob("*/table.csv")), *own):
        source = Source(str(path), path.stat().st_mtime)
        table = _read(source)
        if isinstance(table, InputError):
            if path in own:  # a shipped one is of another form, such as a search for settings
                problem(table.what, table.found, table.do)
        elif len(table):
            found[path.parent.name + " (yours)" * (path in own)] = source
    return found


def _table(source: Source) -> pd.DataFrame:
    table = _read(source)
    assert isinstance(table, pd.DataFrame)
    return table


@st.cache_resource(max_entries=32, show_spinner=False)
def _read(source: Source) -> pd.DataFrame | InputError:
    try:
        return read_benchmark(Path(source.path))
    except InputError as error:
        return error

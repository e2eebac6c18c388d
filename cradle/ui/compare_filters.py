"""Which rows of which benchmark the page Compare models shows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import streamlit as st

from cradle.data.catalogue import DATASETS
from cradle.errors import InputError
from cradle.evaluation.benchmark_tables import (
    describe,
    kind_of,
    order,
    own_screens,
    read_benchmark,
)
from cradle.ui.errors import problem
from cradle.ui.figures import slug
from cradle.ui.labels import GLOSSARY, safe_label, split_name
from cradle.ui.navigation import ROOT
from cradle.ui.sidebar import Choices

SHIPPED = ROOT / "assets" / "benchmarks"
SPLITS = ("test", "val", "train", "all")
TRAINED = {"all": "all cells", "passing": "QC-passing cells only"}
_ZERO_SHOT = "trained on control and single perturbations alone; all pairs are held out"
#: What the shipped benchmarks ask; others have their name alone.
QUESTIONS = {
    "simulated": "each seed a screen of its own, in which some pairs are held out",
    "simulated_unseen": "screens of seeds and sizes on which nothing was chosen",
    "simulated_zero_shot": _ZERO_SHOT,
    "semi_synthetic": "effects and artifacts put into real blood cells; some pairs are held out",
    "norman_subset": "five pairs are held out",
    "norman_subset_searched": "five pairs are held out; each model at settings that a search of "
    "the same size chose for it",
    "norman_subset_zero_shot": _ZERO_SHOT,
    "papalexi": "single perturbations; of each, some cells are held out",
}
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
    def simulated(self) -> bool:
        """Whether the cells of the benchmark were simulated, whatever the sidebar shows."""
        spec = DATASETS.get(self.dataset)
        return self.dataset.startswith(_SIMULATED) or (spec is not None and spec.simulated)

    @property
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
        help="↑ higher is better, ↓ lower is better; without an arrow: neither.",
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
        format_func=split_name,
        help=GLOSSARY["split"],
    )
    trained = [t for t in TRAINED if t in set(table["train_cells"])]
    chosen = fifth.segmented_control(
        "Trained on", trained, selection_mode="multi", default=trained[:1], key="trained_on",
        format_func=TRAINED.__getitem__, bind="query-params",
        help="Filtering, what one would do instead: the same model trained on QC-passing cells "
        "only.",
    )  # fmt: skip
    # Time and memory are of the whole fit, whatever the split.
    of_split = (table["split"] == split) | table["metric"].isin(_OF_THE_FIT)
    kept = table[of_split & table["train_cells"].isin(chosen or trained[:1])]
    dataset = str(kept["dataset"].iloc[0]) if len(kept) else str(title)
    return View(str(title), kept, dataset, str(metric), float(mad), str(split))


def _models(table: pd.DataFrame) -> set[str]:
    return {model for model in table["model"].unique() if kind_of(model) == "model"}


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

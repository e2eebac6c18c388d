"""The tables of a benchmark: one for programs, one for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cradle.evaluation.benchmark_tables import describe, shared
from cradle.evaluation.field_metrics import FIELD_METRICS
from cradle.evaluation.metrics import METRICS
from cradle.evaluation.published import published
from cradle.evaluation.unpaired import UNPAIRED_METRICS, VARIANCE
from cradle.models.baselines import BASELINES
from cradle.models.registry import MODELS

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("dataset", "fold", "model", "train_cells", "seed", "qc_mad", "split", "metric")
REFERENCES = ("observed", "clean cells", "replicate", "ceiling")
#: Columns of the readable table: heading -> metrics, for the splits that are shown.
BLOCKS: dict[str, tuple[str, ...]] = {
    "Effects": ("ate_rho", "ate_r2", "jaccard_50", "sign_accuracy"),
    "Field metrics, mean level": (
        *("pearson_delta", "pearson_delta_perturbed", "l2"),
        *("weighted_mse", "centroid_rank", "e_distance"),
    ),
    "Quality and distributions": (
        *("qcpr", "energy_distance", "energy_distance_passing"),
        *("mmd", "mmd_passing"),
    ),
    "Unpaired cells and mean profiles (Jiang 2026)": (*UNPAIRED_METRICS, VARIANCE),
}
TRUTH = (
    "effect_correlation_seen",
    "effect_correlation_heldout",
    "artifact_correlation",
)
COST = ("seconds", "wall_seconds", "peak_mb")
TITLES = {"test": "held-out (test)", "val": "validation cells", "all": "all cells"}
LABELS = {
    VARIANCE: "variance of drawn cells / observed (1 is right)",
    "effect_correlation_seen": "true effects, seen ↑",
    "effect_correlation_heldout": "true effects, held out ↑",
    "artifact_correlation": "true artifact ↑",
    "seconds": "training, s ↓",
    "wall_seconds": "whole fit, s ↓",
    "peak_mb": "peak memory, MB ↓",
}
NOTES = """\
Mean ± standard deviation over the seeds that every trained model here has, folds averaged first.
↑ higher is better, ↓ lower. An empty cell (–) is *not applicable*: the model predicts no cells or
cannot express the perturbation, the score is undefined, fewer than 5 % of the training cells fail
quality control (QC pass rate), or the fit was interrupted (cost). *Floor*: baselines without a
network. *Replicate*: one half of the observed cells against the other. *Ceiling*: expected score
of the true means. Mean-level and distributional scores answer different questions and stand apart;
the floor's cells are training control cells moved by the predicted effect."""


def combined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Rows of several runs, in the order of the columns, each once.

    A baseline that is a run of its own is taken from there, else from the floor of the first run.
    """
    import pandas as pd

    columns = [*KEYS, "value"]
    present = [table for table in tables if len(table)]
    if not present:
        return pd.DataFrame(columns=columns)
    whole = pd.concat(present, ignore_index=True)[columns]
    return whole.drop_duplicates(list(KEYS), ignore_index=True)


def as_markdown(
    table: pd.DataFrame, command: str = "", failed: Mapping[str, str] | None = None
) -> str:
    """The readable table: a section for each threshold, rows models, floor and references."""
    names = ", ".join(map(str, table["dataset"].unique())) or "nothing yet"
    parts = [f"# Benchmark: {names}"]
    parts += [f"Made by `{command}`."] if command else []
    parts += [NOTES]
    for mad, own in table.groupby("qc_mad", sort=True):
        parts += [f"## Quality threshold {mad:g} MAD, {_seeds(own)}"]
        for split in ("test", "val"):
            for title, metrics in BLOCKS.items():
                parts += _block(f"{title}: {TITLES[split]}", own[own["split"] == split], metrics)
        parts += _beside_published(own[own["split"] == "test"], float(mad))  # type: ignore[arg-type]
        everywhere = own[own["split"] == "all"]
        parts += _block("Agreement with the simulated truth", everywhere, TRUTH)
        parts += _block("Cost of a fit", everywhere, COST)
    if failed:
        parts += ["## Failed", *(f"- `{run}`: {message}" for run, message in failed.items())]
    return "\n\n".join(parts) + "\n"


def _block(title: str, rows: pd.DataFrame, metrics: Sequence[str]) -> list[str]:
    """A heading and a table; nothing where no metric has a value."""
    rows = rows[rows["metric"].isin(metrics)]
    shown = [m for m in metrics if rows.loc[rows["metric"] == m, "value"].notna().any()]
    if not shown:
        return []
    lines = [
        ["model", "training cells", *(_heading(metric) for metric in shown)],
        ["---", "---", *["---:"] * len(shown)],
    ]
    keys = ["model", "train_cells"]
    rivals = sorted({(str(m), str(c)) for m, c in rows[keys].to_numpy()}, key=_order)
    seeds = {m: shared(rows, m).pivot_table("value", keys, "seed").reindex(rivals) for m in shown}
    for model, cells in rivals:
        texts = [_value(seeds[m].loc[[(model, cells)]]) for m in shown]
        # a model to which nothing applies is shown so; of the others, what there is
        if model in MODELS or any(text != "–" for text in texts):
            lines.append([_name(model), cells, *texts])
    return [f"### {title}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]


def _beside_published(rows: pd.DataFrame, mad: float) -> list[str]:
    """Ours and what the papers print, of their own data, splits and preprocessing."""
    lines = []
    known = [*METRICS, *FIELD_METRICS, *UNPAIRED_METRICS]
    for (dataset, metric), own in rows.groupby(["dataset", "metric"]):
        if metric not in known:
            continue
        for printed in published(str(dataset), str(metric), mad).to_dict("records"):
            ours = own[own["model"] == printed["model"]]
            per_seed = ours.groupby("seed")["value"].mean()
            lines.append([str(dataset), _name(str(printed["model"])), _heading(str(metric)),
                          _value(per_seed), f"{printed['published']:.4g}",
                          str(printed["published_source"])])  # fmt: skip
    if not lines:
        return []
    head = ["dataset", "model", "score", "here", "published", "published in"]
    table = [head, ["---", "---", "---", "---:", "---:", "---"], *lines]
    return [
        "### Published values, of the papers' own data, splits and preprocessing",
        "\n".join(f"| {' | '.join(line)} |" for line in table),
    ]


def _order(group: tuple[str, str]) -> tuple[int, int, str, str]:
    """Models first, then the floor, then what no model is."""
    model, cells = group
    known = list(MODELS).index(model) if model in MODELS else 0
    kind = 2 if model in REFERENCES else int(model in BASELINES)
    rank = REFERENCES.index(model) if kind == 2 else known
    return kind, rank, model, cells


def _name(model: str) -> str:
    label = MODELS[model].label if model in MODELS else model
    return f"{label} (floor)" if model in BASELINES else label


def _heading(metric: str) -> str:
    known = {**METRICS, **FIELD_METRICS, **UNPAIRED_METRICS}.get(metric)
    if known is None:
        return LABELS[metric]
    return known.label + describe(metric).arrow


def _value(per_seed: pd.DataFrame | pd.Series[float]) -> str:
    values = per_seed.to_numpy(float)
    found = values[~np.isnan(values)]
    if found.size == 0:
        return "–"
    digits = 0 if abs(found.mean()) >= 100 else 3
    spread = f" ± {found.std(ddof=1):.{digits}f}" if found.size > 1 else ""
    return f"{found.mean():.{digits}f}{spread}"


def _seeds(rows: pd.DataFrame) -> str:
    seeds, folds = sorted(rows["seed"].unique()), rows["fold"].nunique()
    text = f"seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"seed {seeds[0]}"
    return f"{text}, {folds} folds" if folds > 1 else text

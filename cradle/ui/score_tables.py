"""Benchmark scores as the tables of the page Compare models; no widgets, no caches."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cradle.evaluation.benchmark_tables import describe, summarise
from cradle.evaluation.published import MODELS as PAPERS
from cradle.evaluation.published import published
from cradle.models.baselines import BASELINES
from cradle.models.registry import MODELS
from cradle.ui.labels import safe_label

NOTHING = "not applicable"
_MAIN = ("ate_rho", "ate_r2", "jaccard_50", "qcpr_3", "qcpr_4", "qcpr_5", "pearson_delta",
         "e_distance", "seconds", "peak_mb")  # fmt: skip
_KINDS = {"model": "trained model", "floor": "simple rule (floor)", "ceiling": "ceiling",
          "replicate": "replicate", "observed": "observed cells", "other": "other"}  # fmt: skip
#: Rows that are no model of the registry, and models that only the papers have.
_WORDS = {
    "ceiling": "Ceiling",
    "replicate": "Replicate",
    "observed": "Observed cells",
    "clean cells": "Truly clean cells",
    **{ours: label for label, ours in PAPERS.items()},
}


def row_name(row: pd.Series) -> str:
    """Words for a row: the registry's label, and the cells that it was trained on."""
    model = str(row["model"])
    spec = BASELINES.get(model) or MODELS.get(model)
    words = spec.label if spec is not None else _WORDS.get(model) or safe_label(model)
    return f"{words}, passing cells" if row["train_cells"] == "passing" else words


def score_table(
    table: pd.DataFrame, metric: str, dataset: str, mad: float, split: str
) -> pd.DataFrame:
    """One score: our rows, and models that only the papers have.

    Parameters
    ----------
    table
        Benchmark rows of one dataset, threshold and split.
    metric, dataset, mad, split
        What they are of; published scores stand beside the held-out split only.

    Returns
    -------
    DataFrame
        model, mean, sd, n_seeds, n_folds, what, status (why there is no mean), published,
        published_sd, published_source.
    """
    summary = summarise(table, metric)
    printed = published(dataset, metric, mad)
    if split != "test":
        printed = printed.iloc[:0]  # the papers score held-out cells
    ours = summary[summary["kind"] != "other"]
    ours = ours.assign(status=np.where(ours["mean"].isna(), NOTHING, ""))
    elsewhere = printed[~printed["model"].isin(ours["model"])]
    only = pd.DataFrame({"model": elsewhere["model"], "train_cells": "all", "kind": "model",
                         "status": "not run here"})  # fmt: skip
    full = pd.concat([ours, only], ignore_index=True) if len(only) else ours
    on_all = full["train_cells"] == "all"
    joined = full.assign(key=full["model"].where(on_all)).merge(
        printed.rename(columns={"model": "key"}), on="key", how="left"
    )
    names = [row_name(row) for _, row in full.iterrows()]
    joined = joined.assign(model=names, what=joined["kind"].map(_KINDS))
    for count in ("n_seeds", "n_folds"):
        joined[count] = joined[count].where(joined["mean"].notna()).astype("Int64")
    return joined[["model", "mean", "sd", "n_seeds", "n_folds", "what", "status", "published",
                   "published_sd", "published_source"]]  # fmt: skip


def wide_table(table: pd.DataFrame) -> pd.DataFrame:
    """Models × main scores as text, the best of the first score on top.

    A score that a model or rule cannot have is *not applicable*; a bound without one has a dash.
    """
    present = set(table["metric"])
    metrics = [metric for metric in _MAIN if metric in present]
    columns: dict[str, dict[str, str]] = {}
    models: set[str] = set()
    for metric in metrics:
        about, rows = describe(metric), summarise(table, metric)
        rows = rows[rows["kind"] != "other"]
        names = [row_name(row) for _, row in rows.iterrows()]
        models |= {
            name
            for name, kind in zip(names, rows["kind"], strict=True)
            if kind in ("model", "floor")
        }
        values = map(_text, rows["mean"], rows["sd"])
        columns[about.label + about.arrow] = dict(zip(names, values, strict=True))
    order = list(dict.fromkeys(name for column in columns.values() for name in column))
    absent = [NOTHING if name in models else "–" for name in order]
    wide = pd.DataFrame(
        {label: list(map(column.get, order, absent)) for label, column in columns.items()}
    )
    wide.insert(0, "model", order)
    return wide


def _text(mean: float, sd: float) -> str:
    if np.isnan(mean):
        return NOTHING
    digits = 0 if abs(mean) >= 100 else 1 if abs(mean) >= 10 else 3
    return f"{mean:.{digits}f}" + ("" if np.isnan(sd) else f" ± {sd:.{digits}f}")

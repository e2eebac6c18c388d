"""Counts and rates of a screen as tidy tables; no widgets, no caches."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from cradle.data.qc import CRITERIA, QCThresholds
from cradle.data.schema import CONTROL


def rows_shown(n: int, limit: int) -> int:
    """How many of ``n`` rows a figure draws: ``limit``, or all where few more would be cut."""
    return n if n <= 1.5 * limit else limit


def unseen(table: pd.DataFrame) -> bool:
    """Whether every perturbation of the test split was kept out of training whole; ``table`` is
    ``Run.perturbations``."""
    tested = table[(table["n_test"] > 0) & (table["perturbation"] != CONTROL)]
    return len(tested) > 0 and bool(tested["held_out"].all())


def shown_words(names: Collection[str], rows: int, which: str) -> str:
    """Of how many perturbations a figure is, with control apart, to end its title.

    Parameters
    ----------
    names
        All of them, with or without control.
    rows
        How many are drawn.
    which
        How those drawn were chosen, such as largest.
    """
    control = " and control" * (CONTROL in names)
    of = f"{len(names) - (CONTROL in names):,}{control}"
    return f": {of}" if rows >= len(names) else f": the {rows} {which} of {of}"


def counts(found: pd.DataFrame, fitted: QCThresholds) -> pd.DataFrame:
    """One row per criterion: threshold with its formula, cells that fail, cells judged.

    Parameters
    ----------
    found
        Flags of the cells.
    fitted
        Thresholds that gave them.
    """
    rows = []
    for criterion in CRITERIA:
        threshold = fitted[criterion]
        judged = found[f"fails_{criterion}"].dropna()
        rows.append(
            {
                "criterion": criterion,
                "selected": criterion in fitted.criteria,
                "measurable": threshold.measurable,
                "side": threshold.side,
                "threshold": threshold.threshold,
                "median": threshold.median,
                "mad": threshold.mad,
                "n_judged": len(judged),
                "n_fail": int(judged.sum()),
                "values_from": threshold.source or threshold.reason,
            }
        )
    return pd.DataFrame(rows)


def overlap(found: pd.DataFrame, criteria: tuple[str, ...]) -> pd.DataFrame:
    """Failing cells by the exact set of criteria they fail, largest set first."""
    failing = pd.DataFrame({c: found[f"fails_{c}"] == 1 for c in criteria})
    failing = failing[failing.any(axis=1)]
    if failing.empty:
        return pd.DataFrame(columns=[*criteria, "n_cells"])
    sets = failing.groupby(list(criteria)).size().rename("n_cells").reset_index()
    return sets.sort_values("n_cells", ascending=False, kind="stable")


def pass_rates(qc_fail: pd.Series[bool], group: pd.Series[str]) -> pd.DataFrame:
    """Pass rate of each group of cells, lowest first; see ``rate_table``."""
    passing = (~qc_fail.astype(bool)).groupby(group.astype(str).to_numpy(), sort=False)
    table = passing.agg(["sum", "count"])
    return rate_table(table.index, table["sum"].to_numpy(), table["count"].to_numpy())


#: Names of a rate table's columns for a reader of its file.
RATE_NAMES = {
    "name": "perturbation", "rate": "cells_passing_percent", "low": "low_percent",
    "high": "high_percent", "n": "cells_judged",
}  # fmt: skip


def rate_table(names: Iterable[str], passed: np.ndarray, n: np.ndarray) -> pd.DataFrame:
    """Rates in percent with their 95 % Wilson intervals, lowest first.

    Returns
    -------
    DataFrame
        name, rate, low, high (percent), n (cells).
    """
    # Imported here: it brings scipy.stats, which most pages can do without.
    from cradle.evaluation.quality import wilson_interval

    bounds = [wilson_interval(int(k), int(of)) for k, of in zip(passed, n, strict=True)]
    low, high = np.array(bounds).reshape(-1, 2).T
    table = pd.DataFrame(
        {"name": list(names), "rate": 100 * passed / n, "low": 100 * low, "high": 100 * high,
         "n": n}
    )  # fmt: skip
    return table.sort_values("rate", kind="stable", ignore_index=True)


def composition(perturbation: pd.Series[str], split: pd.Series[str]) -> pd.DataFrame:
    """Cells per perturbation and split, the perturbations with most cells first.

    Returns
    -------
    DataFrame
        Columns perturbation, kind (control, single, combination), split, n_cells.
    """
    table = (
        pd.DataFrame({"perturbation": perturbation.astype(str).to_numpy(),
                      "split": split.astype(str).to_numpy()})
        .value_counts(sort=False).rename("n_cells").reset_index()
    )  # fmt: skip
    total = table.groupby("perturbation")["n_cells"].transform("sum")
    table["kind"] = table["perturbation"].map(kind)
    order = table.assign(total=total).sort_values(
        ["total", "perturbation", "split"], ascending=[False, True, True]
    )
    return order[["perturbation", "kind", "split", "n_cells"]].reset_index(drop=True)


def stored_composition(perturbations: pd.DataFrame) -> pd.DataFrame:
    """The same table from a run's ``perturbations.csv``, where its cells are not at hand."""
    long = perturbations.melt("perturbation", ["n_train", "n_val", "n_test"], "split", "n_cells")
    long = long[long["n_cells"] > 0].assign(split=lambda t: t["split"].str.removeprefix("n_"))
    cells = long.loc[long.index.repeat(long["n_cells"])]
    return composition(cells["perturbation"], cells["split"])


def kind(label: str) -> str:
    """What a canonical label is: control, single or combination."""
    if label == CONTROL:
        return CONTROL
    return "combination" if "+" in label else "single"

"""One observed cell that failed quality control, and the same cell without its artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st
from streamlit.dataframe_util import convert_pandas_df_to_arrow_table

from cradle.data.qc import CRITERIA
from cradle.plots.latents import before_after, criteria_moves
from cradle.ui import inside, inside_artifact, quality, store
from cradle.ui.failed import failed_marks, of_run
from cradle.ui.figures import csv_bytes, figure_with_table, plotted, slug
from cradle.ui.kept import once
from cradle.ui.labels import CRITERIA as NAMES
from cradle.ui.labels import criterion_label, safe_label, safe_labels
from cradle.ui.sidebar import Choices

if TYPE_CHECKING:
    from cradle.data.qc import QCThresholds
    from cradle.runs import Run

N_GENES = 20
MAX_ROWS = 1_000
CELL = "cell"  # in the link
_ALL = "all perturbations"


def counterfactual(choices: Choices, run: Run) -> None:
    """A table of failed cells to pick from, and the picked one before and after."""
    st.subheader("A failed cell, without its artifact")
    if not run.learned_artifact:
        st.info(f"Not possible with this run. {inside_artifact.why_no_artifact(run)}",
                icon=":material/info:")  # fmt: skip
        return
    source = choices.dataset.source
    if source is None:
        st.info("The observed cells are not on this machine (page Data), so there is no failed "
                "cell to pick. The parts above need none.", icon=":material/info:")  # fmt: skip
        return
    failed = failed_cells(choices, run)
    if failed.empty:
        st.info(f"No cell fails at the run's own threshold, k = {run.config['mad']:g} MAD.",
                icon=":material/info:")  # fmt: skip
        return
    _show(run, source, pick(failed, run))


def failed_cells(choices: Choices, run: Run) -> pd.DataFrame:
    """Cells that fail at the run's own threshold and that the model can express, worst first.

    Returns
    -------
    DataFrame
        Indexed by cell: cell, perturbation, split, fails (criteria in words), library_size and
        the measurable criteria. Nobody changes it.
    """
    return _failed_cells(quality.key_of(of_run(choices, run)), choices, run)


@st.cache_resource(max_entries=8, show_spinner=False)
def _failed_cells(key: quality.Key | None, _choices: Choices, _run: Run) -> pd.DataFrame:
    marks, values = failed_marks(_choices, _run), quality.metrics(_choices)
    adata = store.cells(_choices)
    assert values is not None
    assert adata is not None
    obs = adata.obs.loc[marks.index]
    table = pd.DataFrame(
        {
            "cell": marks.index.astype(str),
            "perturbation": obs["perturbation"].astype(str),
            "split": _run.split.reindex(marks.index).fillna("unused"),
            "fails": [", ".join(map(criterion_label, marks.columns[row]))
                      for row in marks.to_numpy()],
            "library_size": obs["library_size"].astype(float),
        },
        index=marks.index,
    )  # fmt: skip
    for criterion in marks.columns:
        if criterion not in ("doublet", "umi_counts"):
            table[criterion] = values.values.loc[marks.index, criterion]
    order = np.argsort(-marks.to_numpy().sum(axis=1), kind="stable")
    return table.iloc[order]


def pick(failed: pd.DataFrame, run: Run) -> pd.Series:
    """The row of the cell that the reader or the link has picked; the first one before that."""
    groups = _by_perturbation(failed)
    chosen = st.selectbox("Failed cells of", list(groups), key="cell_perturbation",
                          bind="query-params", format_func=safe_label)  # fmt: skip
    rows = groups[chosen]
    number = st.column_config.NumberColumn
    event = st.dataframe(
        _shown(rows), hide_index=True, height=250, placeholder="–", on_select="rerun",
        selection_mode="single-row", key=f"failed_{slug(str(chosen))}",
        column_config={
            "library_size": number("library size (counts)", format="%.0f"),
            "genes_detected": number("genes detected", format="%.0f"),
            **{c: number(f"{NAMES[c][0]} (%)", format="%.1f") for c in CRITERIA
               if c.endswith("_percent")},
        },
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        capped = "" if len(rows) <= MAX_ROWS else f", the first {MAX_ROWS:,} shown"
        st.caption(
            f"{len(rows):,} cells of all splits that fail at the run's own threshold, k = "
            f"{run.config['mad']:g} MAD{capped}; those that fail most criteria first. Tick the "
            "box of a row to pick its cell.", width="stretch",
        )  # fmt: skip
        st.download_button("Download CSV", lambda: csv_bytes(rows), f"failed_cells_{run.name}.csv",
                           "text/csv", icon=":material/download:", on_click="ignore")  # fmt: skip
    return rows.iloc[_position(rows, event["selection"]["rows"])]


@once
def _by_perturbation(failed: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The failed cells of all perturbations, and of each."""
    groups = {str(name): rows for name, rows in failed.groupby("perturbation")}
    return {_ALL: failed.copy(), **dict(sorted(groups.items()))}


@once
def _shown(rows: pd.DataFrame) -> pa.Table:
    """The rows of the table to pick from, in the form in which they are sent."""
    shown = rows.head(MAX_ROWS).copy()
    for name in ("cell", "perturbation", "split"):
        shown[name] = safe_labels(shown[name].astype(str))
    return convert_pandas_df_to_arrow_table(shown)


def _position(rows: pd.DataFrame, ticked: list[int]) -> int:
    """The ticked row, else the cell that the link names, else the first; the link then follows."""
    if ticked and ticked[0] < len(rows):
        st.query_params[CELL] = str(rows["cell"].iloc[ticked[0]])
        return ticked[0]
    found = np.flatnonzero(rows["cell"] == st.query_params.get(CELL))
    if len(found) == 0:
        st.query_params.pop(CELL, None)
        return 0
    return int(found[0])


def _show(run: Run, source: str, row: pd.Series) -> None:
    cell = str(row["cell"])
    told = inside.without_artifact(str(run.path), source, cell)
    name = f"{slug(cell)}_{run.name}"
    st.markdown(
        f"**Cell {safe_label(cell)}**, perturbation {safe_label(row['perturbation'])}, split "
        f"{safe_label(row['split'])}, {row['library_size']:,.0f} counts. "
        f"Fails: **{row['fails']}**."
    )
    hidden = unseen_by_model(str(row["fails"]), told.criteria)
    if hidden:
        st.info(
            f"{', '.join(hidden)}: judged on the full measurement the cell fails, over the "
            f"{len(run.genes):,} modelled genes alone it passes. The model sees little of this "
            "flaw.", icon=":material/info:",
        )  # fmt: skip
    st.markdown(
        "The model reads the cell with the artifact on, keeps everything it has found (basal "
        "state, perturbation, library size), and tells what it expects with the artifact **off**. "
        "Compare the two answers of the model: the observed cell is one noisy draw."
    )
    left, right = st.columns(2, gap="large")
    with left:
        _criteria(run.thresholds, told.criteria, name)
    with right:
        _genes(told.genes, name)


def unseen_by_model(fails: str, criteria: pd.DataFrame) -> list[str]:
    """Criteria that the cell fails as measured, and passes over the modelled genes."""
    if criteria.empty:
        return []
    passed = criteria.loc[~criteria["observed_fails"], "criterion"].map(criterion_label)
    return [name for name in passed if name in fails.split(", ")]


def _criteria(fitted: QCThresholds, table: pd.DataFrame, name: str) -> None:
    if table.empty:
        st.info("No criterion of this run can be judged on what the model generates, so only the "
                "genes are shown.", icon=":material/info:")  # fmt: skip
    else:
        moves = in_mads(table)
        if not moves.empty:
            figure_with_table(
                plotted(criteria_moves, moves, mad=fitted.mad,
                        title="Quality criteria, before and after"),
                _criteria_named(table),
                f"counterfactual_criteria_{name}",
                alt="Distance of the cell to the threshold of each criterion, artifact on and off.",
            )  # fmt: skip
        st.markdown("\n".join(f"- {line}" for line in criteria_words(table)))
    left_out = [f"**{criterion_label(c)}**: {why}" for c, why in fitted.not_generable.items()]
    st.caption(
        "Over the modelled genes, thresholds of the training cells. Bars: 95 % of 256 cells drawn "
        "in each state (32 posterior draws). The library size is kept, so what hangs on it stays: "
        "no model brings back counts that were never sequenced. "
        + " ".join(["Not judged:", *left_out])
    )


@once
def in_mads(table: pd.DataFrame) -> pd.DataFrame:
    """Distances to the median in MADs, positive on the bad side; without criteria whose MAD is 0.

    Parameters
    ----------
    table
        ``criteria`` of ``cradle.inside.WithoutArtifact``.
    """
    table = table[table["mad"] > 0]
    sign = np.where(table["side"] == "low", -1.0, 1.0)
    moved = pd.DataFrame({"name": [criterion_label(c) for c in table["criterion"]]})
    for state in ("observed", "before", "after"):
        ends = [f"{state}{end}" for end in ("", "_low", "_high")]
        found = [column for column in ends if column in table]
        distance = (table[found].sub(table["median"], axis=0)).div(table["mad"], axis=0)
        distance = distance.mul(sign, axis=0)
        if len(found) > 1:  # on the low side the ends change places
            pair = np.sort(distance[found[1:]].to_numpy(float), axis=1)
            distance[found[1:]] = pair
        moved[found] = distance.to_numpy(float)
    return moved


@once
def _criteria_named(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(criterion=table["criterion"].map(criterion_label))


def criteria_words(table: pd.DataFrame) -> list[str]:
    """One sentence a criterion: the cell, and the share of drawn cells that fail on and off."""
    lines = []
    for row in table.to_dict("records"):
        unit = " %" if str(row["criterion"]).endswith("_percent") else ""
        verdict = "fails" if row["observed_fails"] else "passes"
        beyond = "below" if row["side"] == "low" else "above"
        lines.append(
            f"**{criterion_label(row['criterion'])}** (fails {beyond} {row['threshold']:.3g}"
            f"{unit}): the cell {verdict} with {row['observed']:.3g}{unit}. Model, artifact on → "
            f"off: {row['before']:.3g} → **{row['after']:.3g}{unit}**; such cells fail: "
            f"{row['before_percent_failing']:.0f} → **{row['after_percent_failing']:.0f} %**."
        )
    return lines


@once
def _genes_named(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The genes with safe names, and those of them that are drawn."""
    table = table.assign(gene=safe_labels(table["gene"]))
    return table, table.head(N_GENES)


def _genes(table: pd.DataFrame, name: str) -> None:
    table, top = _genes_named(table)
    figure_with_table(
        plotted(before_after, top, title=f"The {len(top)} genes that change most"), table,
        f"counterfactual_genes_{name}",
        alt="Expression of genes in the cell: observed, and by the model with artifact on and off.",
    )  # fmt: skip
    sure = int(((table["lower"] > 0) | (table["upper"] < 0)).sum())
    st.caption(
        "Orange square to green diamond: expected counts with the artifact on and off, mean of 32 "
        "posterior draws; hollow circle: the counts of the cell itself, mostly 0 or 1 per gene. "
        f"The 95 % interval of the change leaves out 0 in {sure:,} of {len(table):,} genes (in the "
        "CSV)."
    )

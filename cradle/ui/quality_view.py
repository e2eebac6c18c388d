"""Parts of the quality-control page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import streamlit as st

from cradle.data.qc import CRITERIA, QCThresholds
from cradle.data.qc_biology import BIOLOGY_MAX_P, BIOLOGY_MIN_CELLS, BIOLOGY_RATIO
from cradle.data.schema import CONTROL
from cradle.plots.bars import overlap_bars, rate_dots
from cradle.ui import distances, quality, sidebar, store, summaries
from cradle.ui.figures import figure_with_table, plotted
from cradle.ui.kept import once
from cradle.ui.labels import (
    GLOSSARY,
    QC_FORMULAS,
    criterion_label,
    safe_label,
    safe_labels,
)
from cradle.ui.sidebar import Choices

MAX_ROWS = 20
MAX_SETS = 15


def threshold_note(choices: Choices, stays: str = "") -> None:
    """Say so when the sidebar judges cells otherwise than the run was trained.

    Parameters
    ----------
    choices
        Of the sidebar.
    stays
        What is on a page that the sidebar does not move; by default its cells are judged anew.
    """
    run = store.run(choices)
    if run is None:
        return
    here = full_threshold_words(choices.mad, choices.criteria, run.config["criteria"])
    trained = full_threshold_words(run.config["mad"], run.config["criteria"], choices.criteria)
    if here != trained:
        judged = stays or (
            "Cells are judged here as the sidebar says; what the model calls artifact stays as it "
            "was trained."
        )
        st.info(
            f"The sidebar says {here}; the run {safe_label(run.name)} was trained at {trained}. "
            f"{judged}",
            icon=":material/compare_arrows:",
        )


def full_threshold_words(mad: float, criteria: Sequence[str], others: Sequence[str]) -> str:
    """By what cells are judged, the criteria left out by name where ``others`` are not the same."""
    words = f"k = {mad:g} MAD"
    if set(criteria) == set(others):
        return words
    left_out = [criterion_label(c) for c in CRITERIA if c not in criteria]
    return f"{words}, without {', '.join(left_out)}" if left_out else f"{words}, all criteria"


def headline(found: pd.DataFrame, fitted: QCThresholds) -> None:
    """Pass and fail counts at the sidebar's threshold."""
    failed = int(found["qc_fail"].sum())
    columns = st.columns(3)
    columns[0].metric("Cells that pass", f"{len(found) - failed:,}", border=True)
    columns[1].metric("Cells that fail", f"{failed:,}", border=True)
    columns[2].metric("Pass rate", f"{100 * (1 - failed / len(found)):.1f} %", border=True,
                      help=GLOSSARY["qc_pass_rate"])  # fmt: skip
    by = quality.judged(found, fitted)
    st.caption(
        f"Of all {len(found):,} observed cells at k = {fitted.mad:g} MAD; thresholds fitted on "
        f"{fitted.fitted_on}. A cell fails when it fails any of {len(by)} of {len(CRITERIA)} "
        f"criteria: {', '.join(map(criterion_label, by)) or 'none'}."
    )
    unseen = [c for c in CRITERIA if c != "doublet" and not fitted[c].measurable]
    if unseen:
        st.info(
            "**A pass says less here than elsewhere**: a cell that is flawed only in what these "
            f"data cannot measure passes ({', '.join(map(criterion_label, unseen))}).",
            icon=":material/visibility_off:",
        )
    for warning in fitted.warnings:
        name, _, words = warning.partition(": ")
        named = f"{criterion_label(name)}: {words}" if name in CRITERIA else warning
        st.warning(named, icon=":material/warning:")


def doublet_button(choices: Choices) -> None:
    """Offer to look for doublets where that has not happened."""
    if quality.doublets_missing(choices):
        st.button(
            "Look for doublets too", icon=":material/join:", on_click=quality.ask_for_doublets,
            args=(choices,),
            help="Doublets are not counted yet. This runs Scrublet on every batch, which takes "
            "from seconds to a few minutes.",
        )  # fmt: skip


def not_measurable(fitted: QCThresholds) -> None:
    """Name the criteria that these data cannot judge, with the reason."""
    missing = [c for c in CRITERIA if not fitted[c].measurable]
    if missing:
        lines = [f"- **{criterion_label(c)}**: {fitted[c].reason}" for c in missing]
        with st.expander(f"Not measurable here: {len(missing)} of 6 criteria", expanded=False,
                         icon=":material/block:"):  # fmt: skip
            st.markdown("\n".join(lines) + "\n\nThey count neither as a pass nor as a failure.")


def biology(choices: Choices) -> None:
    """Flag criteria that some perturbations fail far more often than control."""
    flagged = quality.biology(choices)
    for criterion in flagged:
        who = [safe_label(label) for label in flagged[criterion]]
        names = ", ".join(who[:8]) + (f" and {len(who) - 8} more" if len(who) > 8 else "")
        counts = criterion in choices.criteria
        with st.container(border=True):
            st.markdown(
                f":material/biotech: **{criterion_label(criterion)} may be biology.** Cells of "
                f"{names} fail it at least {BIOLOGY_RATIO:g} times as often as control cells. "
                f"Named are perturbations of at least {BIOLOGY_MIN_CELLS} judged cells, where "
                f"chance alone would do so in fewer than {100 * BIOLOGY_MAX_P:g} % of cases."
                + " It is **not counted** as artifact."
                * (not counts)
            )
            st.button(
                "Do not count it as artifact" if counts else "Count it again",
                key=f"leave_{criterion}", on_click=sidebar.count, args=(criterion,),
                kwargs={"counts": not counts}, disabled=counts and len(choices.criteria) == 1,
                icon=None if counts else ":material/undo:",
                help="The criteria that count stand in the sidebar, too.",
            )  # fmt: skip


def threshold_table(found: pd.DataFrame, fitted: QCThresholds) -> None:
    """Formula, threshold and counts of every criterion."""
    with st.container(horizontal=True, horizontal_alignment="center", gap="medium"):
        for formula in QC_FORMULAS:
            st.latex(formula, width="content")
    table = summaries.counts(found, fitted)
    shown = table.assign(
        criterion=table["criterion"].map(criterion_label),
        # what cannot be measured counts neither way
        selected=table["selected"].map({True: "yes", False: "no"}).where(table["measurable"]),
        # the reasons are sentences, which a cell would cut
        values_from=table["values_from"].where(table["measurable"], "not measurable: see above"),
    )
    st.dataframe(
        shown, hide_index=True, placeholder="–", key="thresholds",
        column_config={
            "selected": st.column_config.TextColumn(
                "counts as artifact", help="Chosen in the sidebar under What counts as artifact."
            ),
            "side": st.column_config.TextColumn("fails when", help="low: below the threshold"),
            "measurable": None,  # the last column says it
            "values_from": "values from",
            "n_judged": "cells judged", "n_fail": "cells that fail",
            "threshold": st.column_config.NumberColumn(format="%.4g"),
            "median": st.column_config.NumberColumn(format="%.4g"),
            "mad": st.column_config.NumberColumn("MAD", format="%.4g"),
        },
    )  # fmt: skip
    if fitted["doublet"].measurable:
        st.caption("Doublets are called by Scrublet; k does not move its threshold.")


def overlap(found: pd.DataFrame, fitted: QCThresholds) -> None:
    """Which criteria fail together."""
    counted = tuple(quality.judged(found, fitted))
    named = _sets(found, counted)
    if named.empty:
        st.info(f"No cell fails any criterion at k = {fitted.mad:g}: there is no artifact to see.")
        return
    labels = [criterion_label(c) for c in counted]
    figure_with_table(
        plotted(overlap_bars, named.head(MAX_SETS), labels,
                title="Failing cells by the set of criteria they fail"
                + f", {MAX_SETS} largest of {len(named)}" * (len(named) > MAX_SETS)),
        named, "quality_overlap",
        alt="Bars: cells that fail exactly the criteria marked below each bar.",
    )  # fmt: skip


@once
def _sets(found: pd.DataFrame, criteria: tuple[str, ...]) -> pd.DataFrame:
    table = summaries.overlap(found, criteria)
    return table.rename(columns={c: criterion_label(c) for c in criteria})


def per_perturbation(choices: Choices, found: pd.DataFrame) -> None:
    """Pass rate of each perturbation."""
    adata = store.cells(choices)
    if adata is None or "perturbation" not in adata.obs:
        st.info("These cells carry no perturbation labels, so there is no rate per perturbation.")
        return
    rates = _rates(found, str(choices.dataset.source))
    figure_with_table(
        plotted(rate_dots, rates.shown, category="name",
                title=f"Pass rate per perturbation{rates.words}",
                x="cells that pass (%, 95 % interval)", emphasise=[CONTROL]),
        rates.every.rename(columns=summaries.RATE_NAMES), "quality_pass_rates",
        alt="Pass rate of each perturbation with its interval; control is a diamond.",
    )  # fmt: skip


class _Rates(NamedTuple):
    """Pass rates of all perturbations, and which of them are drawn."""

    every: pd.DataFrame
    shown: pd.DataFrame
    words: str


@once
def _rates(found: pd.DataFrame, source: str) -> _Rates:
    table = summaries.pass_rates(found["qc_fail"], store.cells_of(source).obs["perturbation"])
    table["name"] = safe_labels(table["name"])
    rows = summaries.rows_shown(len(table), MAX_ROWS)
    shown = table.head(rows)
    if CONTROL not in set(shown["name"]):
        shown = pd.concat([shown, table[table["name"] == CONTROL]])
    return _Rates(table, shown, summaries.shown_words(table["name"].tolist(), rows, "lowest"))


def without_cells(choices: Choices, fitted: QCThresholds) -> None:
    """What can be said without the cells: the stored thresholds and counts."""
    run = store.run(choices)
    assert run is not None
    missing_cells(choices, "the violins and the counts at another threshold")
    st.subheader("Stored thresholds")
    rows = [
        {"criterion": criterion_label(c), "threshold": t.threshold, "fails when": t.side,
         "median": t.median, "MAD": t.mad, "reason": t.reason}
        for c, t in fitted.observed.items()
    ]  # fmt: skip
    st.dataframe(pd.DataFrame(rows), hide_index=True, placeholder="–")
    st.caption(f"At k = {fitted.mad:g} MAD; fitted on {fitted.fitted_on}.")
    distances.draw_stored(str(run.path), run.config["mad"])
    table = run.perturbations[["perturbation", "n_train", "n_fail_train"]]
    table = table[table["n_train"] > 0]
    passed = table["n_train"] - table["n_fail_train"]
    rates = summaries.rate_table(
        safe_labels(table["perturbation"]), passed.to_numpy(), table["n_train"].to_numpy()
    )
    figure_with_table(
        plotted(rate_dots, rates.head(MAX_ROWS), category="name", emphasise=[CONTROL],
                title=f"Training cells that pass, k = {run.config['mad']:g} (stored)",
                x="cells that pass (%, 95 % interval)"),
        rates.rename(columns=summaries.RATE_NAMES), "quality_pass_rates_stored",
        alt="Stored pass rate of the training cells of each perturbation.",
    )  # fmt: skip


def missing_cells(choices: Choices, what: str) -> None:
    """Say that the cells are not here, what is missing for it, and how to get them."""
    name = safe_label(choices.dataset.name)
    st.info(
        f"The cells of **{name}** are not on this machine, so {what} cannot be shown. What the run "
        f"stored is below. To get the cells: page **Data**, or `python -m cradle fetch {name}`.",
        icon=":material/cloud_download:",
    )

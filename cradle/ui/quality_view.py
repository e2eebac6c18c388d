"""Parts of the quality-control page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from cradle.data.qc import CRITERIA, QCThresholds
from cradle.data.schema import CONTROL
from cradle.plots.bars import overlap_bars, rate_dots
from cradle.plots.density import densities
from cradle.plots.violins import violins
from cradle.ui import distances, generation, quality, selection, store, summaries
from cradle.ui.figures import figure, figure_with_table, plotted, table_twin
from cradle.ui.labels import CRITERIA as NAMES
from cradle.ui.labels import GLOSSARY, criterion_label, safe_label, safe_labels
from cradle.ui.sidebar import Choices

MAX_ROWS = 20
N_GENERATED = 300


def threshold_note(choices: Choices) -> None:
    """Say so when the sidebar's threshold is not the one that the run was trained at."""
    run = store.run(choices)
    if run is not None and run.config["mad"] != choices.mad:
        st.info(
            f"The sidebar says k = {choices.mad:g}; the run {safe_label(run.name)} was trained at "
            f"k = {run.config['mad']:g}. Cells are judged here at k = {choices.mad:g}; what the "
            "model calls artifact stays as it was trained.",
            icon=":material/compare_arrows:",
        )


def headline(found: pd.DataFrame, fitted: QCThresholds) -> None:
    """Pass and fail counts at the sidebar's threshold."""
    failed = int(found["qc_fail"].sum())
    columns = st.columns(3)
    columns[0].metric("Cells that pass", f"{len(found) - failed:,}", border=True)
    columns[1].metric("Cells that fail", f"{failed:,}", border=True)
    columns[2].metric("Pass rate", f"{100 * (1 - failed / len(found)):.1f} %", border=True,
                      help=GLOSSARY["qc_pass_rate"])  # fmt: skip
    st.caption(
        f"Of all {len(found):,} observed cells at k = {fitted.mad:g} MAD; thresholds fitted on "
        f"{fitted.fitted_on}. A cell fails when it fails any of: "
        f"{', '.join(criterion_label(c) for c in quality.judged(found, fitted)) or 'none'}."
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
    for criterion in [c for c in flagged if c in choices.criteria]:
        who = [safe_label(label) for label in flagged[criterion]]
        names = ", ".join(who[:8]) + (f" and {len(who) - 8} more" if len(who) > 8 else "")
        with st.container(border=True):
            st.markdown(
                f":material/biotech: **{criterion_label(criterion)} may be biology.** It fails at "
                f"least three times as often as in control in: {names}."
            )
            st.button(
                "Do not count it as artifact", key=f"leave_{criterion}",
                on_click=_leave_out, args=(criterion,),
                disabled=len(choices.criteria) == 1,
                help="Leaves it out of the criteria in the sidebar; add it again there.",
            )  # fmt: skip


def _leave_out(criterion: str) -> None:
    st.session_state["criteria"] = [c for c in st.session_state["criteria"] if c != criterion]


def violin_grid(choices: Choices, found: pd.DataFrame, fitted: QCThresholds) -> None:
    """One violin per criterion, generated cells beside the observed ones on demand."""
    beside = None
    if store.run(choices) is not None:
        beside = _generated_beside(choices, fitted)
    shown = [c for c in CRITERIA if found[f"fails_{c}"].notna().any()]
    linked, rows = _linked(choices), []
    for start in range(0, len(shown), 3):
        for column, criterion in zip(st.columns(3), shown[start : start + 3], strict=False):
            with column:
                rows.append(_violin(choices, criterion, found, fitted, beside, linked))
    if rows:
        table_twin(pd.concat(rows, ignore_index=True), "quality_violins")
    if beside is not None and fitted.generable:
        _distances(choices, beside, fitted)


def _linked(choices: Choices) -> pd.Index:
    """Observed cells that are selected on the map; says so."""
    linked = selection.observed_names(choices)
    if len(linked):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                f":material/gesture: Crosses: {len(linked):,} observed cells selected on page "
                f"Embeddings, at most {selection.MAX_MARKS} of them drawn.", width="content",
            )  # fmt: skip
            st.button("Clear the selection", icon=":material/close:", on_click=selection.clear,
                      type="tertiary")  # fmt: skip
    return linked


def _violin(
    choices: Choices,
    criterion: str,
    found: pd.DataFrame,
    fitted: QCThresholds,
    beside: pd.DataFrame | None,
    linked: pd.Index,
) -> pd.DataFrame:
    name, unit = NAMES[criterion]
    threshold = fitted[criterion]
    drawn = criterion == "umi_counts"  # generated cells have it, but by construction
    compared = beside is not None and (drawn or criterion in fitted.generable)
    if beside is not None and compared:
        # The same measure on both sides: over the modelled genes, with its own threshold.
        threshold = threshold if drawn else fitted.generated[criterion]
        curves = densities(beside.rename(columns={criterion: "value"}), "value", "source")
        observed = beside["source"] == "observed"
        failed = (
            found[f"fails_{criterion}"] if drawn else beside.loc[observed, f"fails_{criterion}"]
        )
    else:
        curves = quality.curves(choices, criterion)
        failed = found[f"fails_{criterion}"]
    line = threshold.threshold  # of several Scrublet runs there is none
    fig = plotted(violins, curves,
                  title=f"{name}: {100 * failed.mean():.1f}\u00a0%\u00a0fail", unit=unit,
                  threshold=line, fails=threshold.side,
                  marked=quality.marked(choices, criterion, linked, alike=compared))  # fmt: skip
    figure(
        fig, f"qc_{criterion}",
        alt=f"{name} of the cells; {int(failed.sum())} of {failed.notna().sum()} observed cells "
        f"fail.",
    )  # fmt: skip
    if beside is not None and criterion in fitted.not_generable:
        st.caption(f"Not judged on generated cells: {fitted.not_generable[criterion]}")
    return curves.assign(criterion=criterion, threshold=np.nan if line is None else line)


def _generated_beside(choices: Choices, fitted: QCThresholds) -> pd.DataFrame | None:
    run = store.run(choices)
    assert run is not None
    if not run.spec.generates or not st.toggle(
        "Show generated cells beside the observed ones", key="beside", bind="query-params",
        help=f"{N_GENERATED} control cells with the artifact off and, where the run has learned "
        "one, as many with it on, seed 0. "
        "Both sides are then measured over the modelled genes.",
    ):  # fmt: skip
        return None
    switch: generation.Switch = "twins" if run.learned_artifact else "off"
    cells = generation.cells(str(run.path), CONTROL, N_GENERATED, switch, 0, None)
    judged = generation.verdicts(cells, fitted)
    return generation.with_observed(judged, quality.judged_like_generated(choices, CONTROL))


def _distances(choices: Choices, beside: pd.DataFrame, fitted: QCThresholds) -> None:
    """Distances of generated control cells to observed ones, and of the whole run as stored."""
    passing = quality.passing_like_generated(choices, CONTROL)
    if passing is not None and len(passing):
        distances.draw(
            distances.between(beside[beside["source"] != "observed"], passing, fitted), "beside",
            f"{N_GENERATED} generated control cells a side against {len(passing):,} observed "
            f"control cells that pass every selected criterion at k = {fitted.mad:g} MAD; over "
            "the modelled genes.",
        )  # fmt: skip
    distances.draw_stored(str(store.needs_run(choices).path), choices.mad)


def threshold_table(found: pd.DataFrame, fitted: QCThresholds) -> None:
    """Formula, threshold and counts of every criterion."""
    st.latex(
        r"\text{low: } v < \mathrm{median} - k\cdot\mathrm{MAD} \qquad "
        r"\text{high: } v > \mathrm{median} + k\cdot\mathrm{MAD} \qquad "
        r"\mathrm{MAD} = \mathrm{median}(|v - \mathrm{median}(v)|)"
    )
    table = summaries.counts(found, fitted)
    shown = table.assign(criterion=table["criterion"].map(criterion_label))
    st.dataframe(
        shown, hide_index=True, placeholder="–", key="thresholds",
        column_config={
            "side": st.column_config.TextColumn("fails when", help="low: below the threshold"),
            "values_from": "values from, or why there are none",
            "n_judged": "cells judged", "n_fail": "cells that fail",
            "threshold": st.column_config.NumberColumn(format="%.4g"),
            "median": st.column_config.NumberColumn(format="%.4g"),
            "mad": st.column_config.NumberColumn("MAD", format="%.4g"),
        },
    )  # fmt: skip
    st.caption("Doublets are called by Scrublet; k does not move its threshold.")


def overlap(found: pd.DataFrame, fitted: QCThresholds) -> None:
    """Which criteria fail together."""
    counted = tuple(quality.judged(found, fitted))
    table = summaries.overlap(found, counted)
    if table.empty:
        st.info(f"No cell fails any criterion at k = {fitted.mad:g}: there is no artifact to see.")
        return
    named = table.rename(columns={c: criterion_label(c) for c in counted})
    labels = [criterion_label(c) for c in counted]
    figure_with_table(
        plotted(overlap_bars, named, labels,
                title="Failing cells by the set of criteria they fail"),
        named, "quality_overlap",
        alt="Bars: cells that fail exactly the criteria marked below each bar.",
    )  # fmt: skip


def per_perturbation(choices: Choices, found: pd.DataFrame) -> None:
    """Pass rate of each perturbation."""
    adata = store.cells(choices)
    if adata is None or "perturbation" not in adata.obs:
        st.info("These cells carry no perturbation labels, so there is no rate per perturbation.")
        return
    table = summaries.pass_rates(found["qc_fail"], adata.obs["perturbation"])
    table["name"] = safe_labels(table["name"])
    shown = table.head(MAX_ROWS)
    if CONTROL not in set(shown["name"]):
        shown = pd.concat([shown, table[table["name"] == CONTROL]])
    words = "" if len(shown) == len(table) else f", the {MAX_ROWS} lowest of {len(table)}"
    figure_with_table(
        plotted(rate_dots, shown, category="name", title=f"Pass rate per perturbation{words}",
                x="cells that pass (%, 95 % interval)", emphasise=[CONTROL]),
        table, "quality_pass_rates",
        alt="Pass rate of each perturbation with its interval; control is a diamond.",
    )  # fmt: skip


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
        rates, "quality_pass_rates_stored",
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

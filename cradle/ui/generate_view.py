"""Parts of the generate page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import pandas as pd
import streamlit as st

from cradle.data.qc import CRITERIA, QCThresholds
from cradle.data.schema import CONTROL
from cradle.errors import InputError
from cradle.evaluation.moments import observed_effects
from cradle.plots.effects import top_genes
from cradle.plots.palette import ARTIFACT_ON
from cradle.plots.violins import violins
from cradle.ui import (
    distances,
    generate_extras,
    generation,
    picker,
    quality,
    store,
    summaries,
    surprise,
)
from cradle.ui.figures import csv_bytes, figure, figure_with_table, plotted, slug, table_twin
from cradle.ui.labels import CRITERIA as NAMES
from cradle.ui.labels import GLOSSARY, criterion_label, safe_label, safe_labels
from cradle.ui.quality_view import threshold_note
from cradle.ui.sidebar import Choices

if TYPE_CHECKING:
    from cradle.runs import Run

SHOWN = "generated"  # in the link: the cells were asked for


class Query(NamedTuple):
    """What to generate; see ``Predictor.generate``."""

    label: str
    n_cells: int
    artifact: generation.Switch
    seed: int
    library_size: float | None


def ask(run: Run) -> Query | None:
    """The form; returns the query last asked for with this run."""
    if not run.spec.generates:
        raise InputError(
            "This model predicts effects but generates no cells.",
            f"{run.spec.label}: {run.spec.why_no_cells}.", "Choose another run in the sidebar.",
        )  # fmt: skip
    with st.container(border=True):
        label = picker.label(run)
        with st.container(horizontal=True, vertical_alignment="center"):
            lucky = surprise.button(run)
            picker.badge(run, label)
    with st.form("query_form", border=True):
        left, middle, right, last = st.columns([4, 3, 3, 3])
        artifact = left.segmented_control(
            "Artifact", ["off", "on", "twins"] if run.learned_artifact else ["off"],
            default="off",
            required=True, key="artifact", bind="query-params",
            help=f"{GLOSSARY['artifact']} Off: clean cells. On: flawed ones. {GLOSSARY['twins']}",
        )  # fmt: skip
        n_cells = middle.number_input("Cells", 10, 5000, 500, 50, key="n_cells",
                                      bind="query-params")  # fmt: skip
        size = right.number_input(
            "Library size (0: drawn)", 0, 200_000, 0, 1000, key="library_size",
            bind="query-params", help=GLOSSARY["library_size"] + " With 0 it is drawn from "
            "training cells: QC-passing ones with the artifact off, QC-failed ones with it on.",
        )  # fmt: skip
        seed = last.number_input("Seed", 0, 9999, 0, key="seed", bind="query-params",
                                 help=GLOSSARY["seed"])  # fmt: skip
        pressed = st.form_submit_button("Generate", type="primary", icon=":material/play_arrow:")
    pressed = pressed or lucky
    if pressed:
        st.query_params[SHOWN] = "yes"  # a link then shows the cells too, not only the form
    linked = "query" not in st.session_state and st.query_params.get(SHOWN) == "yes"
    if pressed or linked:
        switch = cast("generation.Switch", artifact)
        st.session_state["query"] = (
            str(run.path),
            Query(label, int(n_cells), switch, int(seed), float(size) or None),
        )
    path, query = st.session_state.get("query", (None, None))
    return query if path == str(run.path) else None


def nothing_yet() -> None:
    """Empty state."""
    st.info(
        "Pick one or more genes and press **Generate**. Without genes you get control cells. "
        "500 cells take a few seconds.",
        icon=":material/arrow_upward:",
    )


def results(choices: Choices, query: Query) -> None:
    """Everything about the generated cells."""
    run = store.needs_run(choices)
    threshold_note(choices)
    fitted = quality.thresholds(choices)
    generated = generation.cells(str(run.path), *query)
    judged = generation.verdicts(generated, fitted)
    observed = quality.judged_like_generated(choices, query.label)
    together = generation.with_observed(judged, observed)
    n_observed = 0 if observed is None else len(observed)
    st.caption(
        f"{generated.n_obs:,} generated cells, seed {query.seed}; {n_observed:,} observed cells of "
        f"the same perturbation beside them, all splits, judged by the same criteria "
        f"({', '.join(criterion_label(c) for c in fitted.generable) or 'none measurable'}) at "
        f"k = {fitted.mad:g} MAD."
    )
    if observed is None and choices.dataset.source is None:
        st.info("The observed cells are not on this machine (page Data), so none stand beside.")
    _rates(together, fitted)
    downloads(run, query, judged)
    tabs = st.tabs(["Top genes", "Quality control", "What the artifact changes",
                    "Compare combinations"])  # fmt: skip
    with tabs[0]:
        _top_genes(run, query)
    with tabs[1]:
        _quality(choices, together, fitted, query.label)
    with tabs[2]:
        _twins(run, query, fitted)
    with tabs[3]:
        generate_extras.compare(run, query)


def _rates(together: pd.DataFrame, fitted: QCThresholds) -> None:
    """Pass rate of each source with its interval, side by side."""
    rates = summaries.pass_rates(together["qc_fail"], together["source"]).set_index("name")
    if not fitted.generable:
        return
    sources = list(dict.fromkeys(together["source"]))
    for column, source in zip(st.columns(max(len(sources), 3)), sources, strict=False):
        row = rates.loc[source]
        column.metric(
            f"Pass QC: {source}", f"{row['rate']:.1f} %", border=True, delta_color="off",
            delta=f"95 % interval {row['low']:.1f}–{row['high']:.1f}", delta_arrow="off",
            help=f"{GLOSSARY['qc_pass_rate']} Of {int(row['n']):,} cells.",
        )  # fmt: skip


def downloads(run: Run, query: Query, judged: pd.DataFrame) -> None:
    """The cells as ``.h5ad``, their table as CSV, and all of it as a bundle."""
    name = slug(f"{query.label}_artifact_{query.artifact}_seed{query.seed}")
    with st.container(horizontal=True):
        st.download_button(
            "Cells (.h5ad)", lambda: generation.h5ad(str(run.path), *query), f"{name}.h5ad",
            "application/octet-stream", icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            "Table of cells (.csv)", lambda: csv_bytes(judged), f"{name}_cells.csv", "text/csv",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        generate_extras.save(run, query, judged, name)


def _top_genes(run: Run, query: Query) -> None:
    if query.label == CONTROL:
        st.info("Control cells have no effect: pick a gene above to see what it changes.")
        return
    predicted = generation.effects(str(run.path), query.label, query.seed)
    table = generation.top_genes(predicted, observed_effects(run.moments))
    figure_with_table(
        top_genes(table.assign(gene=safe_labels(table["gene"])),
                  title=f"{safe_label(query.label)}: the 20 genes predicted to change most"),
        table, f"top_genes_{slug(query.label)}",
        alt="Predicted effect of each gene with its interval, and the observed one.",
    )  # fmt: skip
    n = int(table["n_cells"].max())
    observed = f"Observed: all {n:,} cells of all splits." if n else "Never measured."
    st.caption(
        f"{GLOSSARY['effect']} Predicted with the artifact off, seed {query.seed}; bars: "
        f"{GLOSSARY['interval']} {observed}"
    )


def _quality(choices: Choices, together: pd.DataFrame, fitted: QCThresholds, label: str) -> None:
    shown = [c for c in ("umi_counts", *fitted.generable) if c != "doublet"]
    tables = []
    for start in range(0, len(shown), 3):
        for column, criterion in zip(st.columns(3), shown[start : start + 3], strict=False):
            with column:
                tables.append(_violin(together, criterion, fitted))
    table_twin(pd.concat(tables, ignore_index=True), "generated_violins")
    if fitted.generable:
        _fail_rates(together, fitted)
        _distances(choices, together, fitted, label)
    _not_judged(fitted)


def _distances(choices: Choices, together: pd.DataFrame, fitted: QCThresholds, label: str) -> None:
    """Distances to the passing cells of the same perturbation, else those that the run stored."""
    passing = quality.passing_like_generated(choices, label)
    run = store.needs_run(choices)
    if passing is None or passing.empty:
        distances.draw_stored(str(run.path), choices.mad)
        return
    generated = together[together["source"] != "observed"]
    distances.draw(
        distances.between(generated, passing, fitted), "generated",
        f"Against {len(passing):,} observed cells with {safe_label(label)}, all splits, that pass "
        f"every selected criterion at k = {fitted.mad:g} MAD; over the modelled genes. "
        "Artifact on should lie far away, artifact off near.",
    )  # fmt: skip


def _violin(together: pd.DataFrame, criterion: str, fitted: QCThresholds) -> pd.DataFrame:
    curves = generation.curves(together, criterion)
    by_construction = criterion not in fitted.generable
    threshold = fitted.generated[criterion]
    name, unit = NAMES[criterion]
    title = f"{name}, as drawn" if by_construction else name
    fig = plotted(violins, curves, title=title, unit=unit, fails=threshold.side,
                  threshold=None if by_construction else threshold.threshold)  # fmt: skip
    figure(fig, f"generated_{criterion}", alt=f"{title} of observed and generated cells.")
    return curves.assign(criterion=criterion)


def _fail_rates(judged: pd.DataFrame, fitted: QCThresholds) -> None:
    st.markdown(f"**Cells that fail each criterion (%), k = {fitted.mad:g} MAD**")
    rates = generation.fail_rates(judged, fitted.generable)
    rates["criterion"] = rates["criterion"].map(criterion_label)
    percent = st.column_config.NumberColumn(format="%.1f")
    st.dataframe(rates, hide_index=True, placeholder="–",
                 column_config=dict.fromkeys(rates.columns[1:], percent))  # fmt: skip


def _not_judged(fitted: QCThresholds) -> None:
    lines = [f"- **{criterion_label(c)}**: {why}" for c, why in fitted.not_generable.items()]
    with st.expander(f"Not judged on generated cells: {len(lines)} of {len(CRITERIA)} criteria"):
        st.markdown("\n".join(lines))


def _twins(run: Run, query: Query, fitted: QCThresholds) -> None:
    if query.artifact != "twins":
        st.info(
            "Set the artifact to **twins** and press Generate: each cell then comes twice, with "
            "the artifact off and on, all else equal.",
            icon=":material/arrow_upward:",
        )
        return
    twins = generation.cells(str(run.path), *query)
    table = generation.twin_genes(twins)
    shown = table.rename(columns={"change": "predicted", "change_counts": "observed"})
    figure = top_genes(
        shown.assign(gene=safe_labels(shown["gene"])),
        title="The 20 genes that the artifact alone changes most", names=("expected", "counts"),
        x="artifact on minus off (log2 units)", style=ARTIFACT_ON,
        beside=ARTIFACT_ON,
    )  # fmt: skip
    left, right = st.columns([3, 2], gap="large")
    with left:
        figure_with_table(figure, table, f"twins_{slug(query.label)}",
                          alt="Change of each gene when the artifact is switched on.")  # fmt: skip
        st.caption(
            f"{query.n_cells:,} pairs of twins, seed {query.seed}: mean of "
            "log2(1 + 10,000 · x / library size), on minus off, for expected and drawn counts x."
        )
    with right:
        _fail_rates(generation.verdicts(twins, fitted), fitted)

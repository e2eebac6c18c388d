"""Results of the generate page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cradle.data.qc import CRITERIA, QCThresholds
from cradle.data.schema import CONTROL
from cradle.plots.effects import top_genes
from cradle.plots.palette import ARTIFACT_ON
from cradle.plots.violins import violins
from cradle.ui import (
    distances,
    generate_extras,
    generation,
    quality,
    quality_view,
    store,
    summaries,
)
from cradle.ui.effects_download import with_units
from cradle.ui.evidence import interval_words
from cradle.ui.figures import csv_bytes, figure, figure_with_table, plotted, slug, table_twin
from cradle.ui.labels import CRITERIA as NAMES
from cradle.ui.labels import GLOSSARY, by_criteria, criterion_label, safe_label, safe_labels
from cradle.ui.sidebar import Choices

if TYPE_CHECKING:
    from cradle.runs import Run
    from cradle.ui.generate_form import Query

_SWITCH = {"off": "off", "on": "on", "twins": "off and on (twins)"}
_WHATEVER = (
    ", whatever the switch says: a flaw is no effect of the perturbation (what it changes is in "
    "the tab *What the artifact changes*)"
)


def results(choices: Choices, query: Query) -> None:
    """Everything about the generated cells."""
    run = store.needs_run(choices)
    quality_view.threshold_note(choices)
    fitted = quality.thresholds(choices)
    generated = generation.cells(str(run.path), *query)
    judged = generation.judged(str(run.path), choices.mad, choices.criteria, *query)
    observed = quality.judged_like_generated(choices, query.label)
    together = generation.with_observed(judged, observed)
    beside = _beside(choices, observed)
    st.caption(
        f"{generated.n_obs:,} generated cells, artifact {_SWITCH[query.artifact]}, seed "
        f"{query.seed}. {generation.sizes_in_words(run, query.artifact, query.library_size)} "
        f"{beside} Judged over the modelled genes by "
        f"{by_criteria(fitted.generable)} at k = {fitted.mad:g} MAD."
    )
    if observed is None and choices.dataset.source is None:
        st.info("The observed cells are not on this machine (page Data), so none stand beside.")
    _rates(together, fitted)
    _hardly_any_fails(choices, fitted)
    downloads(run, query, generation.table(generated, judged, **_of(choices, query)))
    tabs = st.tabs(["Top genes", "Quality control", "What the artifact changes",
                    "Compare combinations"])  # fmt: skip
    with tabs[0]:
        _top_genes(run, query)
    with tabs[1]:
        _quality(choices, together, fitted, query.label)
    with tabs[2]:
        _twins(run, query, judged, fitted)
    with tabs[3]:
        generate_extras.compare(run, query)


def _beside(choices: Choices, observed: pd.DataFrame | None) -> str:
    """Which observed cells stand beside the generated ones."""
    if observed is not None and len(observed):
        return (f"The {len(observed):,} observed cells of the same perturbation, all splits, stand "
                "beside them.")  # fmt: skip
    if observed is None and choices.dataset.source is None:
        return ""  # a box says so
    return "Nobody measured this perturbation in this screen: no observed cells stand beside them."


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
            help=f"Of {int(row['n']):,} cells, judged by {by_criteria(fitted.generable)}.",
        )  # fmt: skip


def _hardly_any_fails(choices: Choices, fitted: QCThresholds) -> None:
    """Warn beside the pass rates where next to no observed cell would fail either."""
    from cradle.evaluation.quality import MIN_FAIL_SHARE

    share = quality.train_fail_share(choices)
    if share is None:
        stored = distances.stored_pass_rate(str(store.needs_run(choices).path), choices.mad)
        share = (stored or {}).get("train_fail_rate")
    if fitted.generable and share is not None and share < MIN_FAIL_SHARE:
        st.warning(
            f"**These pass rates can hardly tell good cells from bad ones**: only "
            f"{100 * share:.2g} % of the training cells fail by what can be judged on generated "
            f"cells ({', '.join(map(criterion_label, fitted.generable))}).",
            icon=":material/warning:",
        )


def _of(choices: Choices, query: Query) -> dict[str, object]:
    """What a table of the cells has to say of itself, wherever it is opened."""
    return {
        "seed": query.seed, "qc_mad": choices.mad, "dataset": choices.dataset.name,
        "simulated": choices.dataset.simulated, "run": store.needs_run(choices).name,
    }  # fmt: skip


def downloads(run: Run, query: Query, cells: pd.DataFrame) -> None:
    """The cells as ``.h5ad``, their table as CSV, and all of it as a bundle."""
    name = slug(f"{query.label}_artifact_{query.artifact}_seed{query.seed}")
    with st.container(horizontal=True):
        st.download_button(
            "Cells (.h5ad)", lambda: generation.h5ad(str(run.path), *query), f"{name}.h5ad",
            "application/octet-stream", icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            "Table of cells (.csv)", lambda: csv_bytes(cells), f"{name}_cells.csv", "text/csv",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        generate_extras.save(run, query, cells, name)


def _top_genes(run: Run, query: Query) -> None:
    if query.label == CONTROL:
        st.info("Control cells have no effect: pick a gene above to see what it changes.")
        return
    predicted = generation.effects(str(run.path), query.label, query.seed)
    path = str(run.path)
    table = generation.top_genes(predicted, generation.observed(path), generation.adding_up(path))
    figure_with_table(
        plotted(top_genes, table.assign(gene=safe_labels(table["gene"])),
                title=f"{safe_label(query.label)}: the 20 genes predicted to change most"),
        with_units(table), f"top_genes_{slug(query.label)}",
        alt="Predicted effect of each gene with its interval, and the observed one.",
    )  # fmt: skip
    n = int(table["n_cells"].max())
    observed = f"Observed: all {n:,} cells of all splits." if n else "Never measured."
    if "added_up" in table:
        observed += " Added up: the measured effects of its single genes, in training cells."
    st.caption(
        f"{GLOSSARY['effect']} Predicted with the artifact off"
        f"{'' if query.artifact == 'off' else _WHATEVER}, seed {query.seed}; bars: "
        f"{interval_words(path, query.label)} {observed}"
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
    found = quality.flags(choices)
    assert found is not None
    table = distances.between(together[together["source"] != "observed"], passing, fitted)
    distances.draw(
        table, "generated",
        f"Over the modelled genes, against the {len(passing):,} observed cells with "
        f"{safe_label(label)}, all splits, that pass on page Quality control: over all genes, by "
        f"{by_criteria(quality.judged(found, fitted))} at k = {fitted.mad:g} MAD. "
        f"{distances.in_words(table)}",
    )  # fmt: skip


def _violin(together: pd.DataFrame, criterion: str, fitted: QCThresholds) -> pd.DataFrame:
    by_construction = criterion not in fitted.generable
    threshold = fitted.generated[criterion]
    curves = generation.curves(together, criterion, threshold)
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


def _twins(run: Run, query: Query, judged: pd.DataFrame, fitted: QCThresholds) -> None:
    if query.artifact != "twins":
        st.info(
            "Set the artifact to **twins** and press Generate: each cell then comes twice, with "
            "the artifact off and on, all else equal.",
            icon=":material/arrow_upward:",
        )
        return
    table = generation.changed_by_artifact(str(run.path), *query)
    shown = table.rename(columns={"change": "predicted", "change_counts": "observed"})
    figure = plotted(
        top_genes, shown.assign(gene=safe_labels(shown["gene"])),
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
            "log2(1 + 10,000 · x / library size), on minus off. **Expected**: x is the mean that "
            "the model gives each cell. **Counts**: x is drawn around that mean, as sequencing "
            "would count it; with more pairs the two come closer."
        )
    with right:
        _fail_rates(judged, fitted)

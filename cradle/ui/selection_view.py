"""Parts of the embeddings page that describe the selected cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from cradle.data.qc import passing
from cradle.plots.density import densities
from cradle.plots.violins import violins
from cradle.ui import embedding, map_numbers, quality, selection
from cradle.ui.embedding import CellMap
from cradle.ui.figures import csv_button, figure, table_twin
from cradle.ui.labels import CRITERIA, GLOSSARY, by_criteria, safe_labels
from cradle.ui.sidebar import Choices

MIN_CELLS = 3  # of either side, for a comparison of genes


def describe(choices: Choices, drawn: CellMap, selected: list[int]) -> None:
    """Counts, composition, differential genes and quality of the selected cells."""
    st.subheader("Selected cells")
    if not selected or max(selected) >= len(drawn.obs):
        st.info(
            "Draw around cells on the map with the lasso: this part then says what they are, which "
            "genes set them apart, and where they lie in quality control.",
            icon=":material/gesture:",
        )
        return
    obs = _judged(choices, drawn)
    _headline(drawn, obs, selected)
    _composition(obs, selected)
    if drawn.request.run_path is not None:
        fitted = quality.thresholds(choices)
        st.caption(
            "Quality control: all cells judged as generated ones are, over the modelled genes, by "
            f"{by_criteria(fitted.generable)} at k = {fitted.mad:g} MAD."
        )
    _genes(drawn, selected)
    _quality(choices, drawn, selected)


def _judged(choices: Choices, drawn: CellMap) -> pd.DataFrame:
    """The cells, observed and generated ones judged alike at the threshold of the sidebar."""
    if drawn.request.run_path is None:
        return drawn.obs
    return drawn.obs.assign(qc_fail=~passing(drawn.obs, quality.thresholds(choices)))


def _headline(drawn: CellMap, obs: pd.DataFrame, selected: list[int]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{len(selected):,} of {len(drawn.obs):,} cells on the map**",
                    width="content")  # fmt: skip
        st.button("Clear the selection", icon=":material/close:", on_click=selection.clear)
        cells = obs.iloc[selected].assign(
            x=drawn.positions[selected, 0], y=drawn.positions[selected, 1]
        )
        csv_button(cells, "selected_cells", "Selected cells (.csv)")


def _composition(obs: pd.DataFrame, selected: list[int]) -> None:
    st.markdown("**What they are**")
    table = selection.composition(obs, selected)
    table["group"] = safe_labels(table["group"])
    percent = st.column_config.NumberColumn
    st.dataframe(
        table, hide_index=True, key="selection_composition",
        column_config={
            "group": "cells", "on_map": "on the map",
            "percent_of_selected": percent("% of the selection", format="%.1f"),
            "percent_of_group": percent("% of such cells", format="%.1f",
                                        help="How many of these cells on the map are selected."),
        },
    )  # fmt: skip
    csv_button(table, "selection_composition")


def _genes(drawn: CellMap, selected: list[int]) -> None:
    st.markdown("**Genes that differ from all other cells on the map**")
    n, rest = len(selected), len(drawn.obs) - len(selected)
    if min(n, rest) < MIN_CELLS:
        st.info(f"{n:,} cells are selected and {rest:,} are not; a comparison of genes needs at "
                f"least {MIN_CELLS} on either side.")  # fmt: skip
        return
    table = map_numbers.differential_genes(embedding.expression(drawn.request), selected)
    table["gene"] = safe_labels(table["gene"])
    number = st.column_config.NumberColumn
    shown = table.head(map_numbers.N_SHOWN)
    st.dataframe(
        shown.assign(p_adjusted=shown["p_adjusted"].map(_p)), hide_index=True,
        placeholder="–", key="selection_genes",
        column_config={
            "direction": "up or down",
            "difference": number("log2 units", format="%+.2f",
                                 help="Mean expression, selected minus rest. 1 means about twice."),
            "p_adjusted": st.column_config.TextColumn("adjusted p", help=GLOSSARY["p_adjusted"]),
            "percent_selected": number("selected, % with counts", format="%.0f"),
            "percent_rest": number("rest, % with counts", format="%.0f"),
            "n_selected": None, "n_rest": None,
            "t": number("Welch t", format="%.1f"), "p": None,
        },
    )  # fmt: skip
    csv_button(table, "selection_genes", f"Download CSV (all {len(table):,} genes)")
    st.caption(
        f"Welch's t-test per gene on log2(1 + 10,000 · x / library size), {n:,} selected against "
        f"{rest:,} other cells, observed and generated alike; p adjusted over {len(table):,} genes "
        f"(Benjamini–Hochberg); the {map_numbers.N_SHOWN} largest |t|. **Cells are not "
        "replicates**, and these were chosen by eye on a map made from the same genes, so even "
        "tiny p values are no proof: go by the difference, and check it in other cells."
    )


def _p(value: float) -> str:
    """A p value for reading; below what a float can hold there is no number to show."""
    return f"{value:.1e}" if value > 1e-300 else "< 1e-300"


def _quality(choices: Choices, drawn: CellMap, selected: list[int]) -> None:
    """Violins of all cells on the map, the selected ones marked."""
    st.markdown("**Where they lie in quality control**")
    shown = selection.criteria(drawn.obs)
    if not shown:
        st.caption("The cells of this map carry no quality values; see page Quality control.")
        return
    fitted = quality.thresholds(choices)
    lines = fitted.generated if drawn.request.run_path is not None else fitted.observed
    inside, tables = np.zeros(len(drawn.obs), dtype=bool), []
    inside[selected] = True
    for start in range(0, len(shown), 3):
        columns = st.columns(3)
        for column, criterion in zip(columns, shown[start : start + 3], strict=False):
            values = pd.DataFrame({"source": drawn.obs["source"].astype(str).to_numpy(),
                                   "value": drawn.obs[criterion].to_numpy()})  # fmt: skip
            line = lines[criterion]
            # Generated cells have their UMI counts by construction; that is no verdict.
            judged = criterion != "umi_counts" or drawn.request.run_path is None
            name, unit = CRITERIA[criterion]
            with column:
                figure(
                    violins(densities(values, "value", "source", threshold=line.threshold,
                                      fails=line.side), title=name, unit=unit,
                            threshold=line.threshold if judged else None, fails=line.side,
                            marked=selection.marks(values[inside])),
                    f"selection_{criterion}",
                    alt=f"{name} of all cells on the map, {inside.sum()} selected ones marked.",
                )  # fmt: skip
            tables.append(values[inside].assign(criterion=criterion, cell=np.flatnonzero(inside)))
    st.caption(
        f"Violins: all {len(drawn.obs):,} cells on the map; crosses: the selected ones, at most "
        f"{selection.MAX_MARKS} of each kind. Dashed: threshold at k = {fitted.mad:g} MAD. The "
        "observed ones among them are marked on page Quality control too."
    )
    table_twin(pd.concat(tables, ignore_index=True), "selection_quality")

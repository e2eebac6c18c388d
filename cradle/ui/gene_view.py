"""One gene in the cells of one perturbation: observed, artifact off, artifact on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from cradle.data.schema import CONTROL
from cradle.evaluation.moments import log2_expression
from cradle.plots.density import densities
from cradle.plots.violins import violins
from cradle.ui import generation, store
from cradle.ui.figures import figure_with_table, slug
from cradle.ui.labels import safe_label
from cradle.ui.sidebar import Choices

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.runs import Run

N_CELLS = 500


def gene_violins(choices: Choices, run: Run, perturbation: str, gene: str) -> None:
    """Expression of a gene; generated cells come on a click, for they load the model."""
    parts = _observed(store.cells(choices), perturbation, gene)
    if run.spec.generates and st.toggle(
        f"Generate {N_CELLS} cells to compare with", key="gene_cells", bind="query-params",
        help="With the artifact off and, where the run has learned one, on; seed 0.",
    ):  # fmt: skip
        switch: generation.Switch = "twins" if run.learned_artifact else "off"
        cells = generation.cells(str(run.path), perturbation, N_CELLS, switch, 0, None)
        source = cells.obs["artifact"].astype(str).map(generation.SOURCES)
        parts.append(pd.DataFrame({"source": source.to_numpy(), "value": values(cells, gene)}))
    if not parts:
        st.info("The observed cells are not on this machine (page Data). Generate cells to see "
                "the model's side.")  # fmt: skip
        return
    table = pd.concat(parts, ignore_index=True)
    shares = table.assign(detected=table["value"] > 0).groupby("source", sort=False)
    summary = shares.agg(
        cells=("value", "size"), mean_log2_cp10k=("value", "mean"),
        median_log2_cp10k=("value", "median"),
        percent_with_counts=("detected", lambda x: 100 * x.mean()),
    ).reset_index()  # fmt: skip
    figure_with_table(
        violins(densities(table, "value", "source"), unit="log2(1 + 10,000 · x / library size)",
                title=f"{safe_label(gene)} in cells with {safe_label(perturbation)}"),
        summary, f"gene_{slug(gene)}_{slug(perturbation)}",
        alt=f"Violins of {safe_label(gene)} in observed and generated cells.",
    )  # fmt: skip
    st.caption("All observed cells of all splits; width is the density of cells, the mark the "
               "median. Most genes have no count in most cells, hence the base at 0. The effect is "
               "a difference of means, batch by batch where there are batches, so it need not be "
               "that of the means in this table.")  # fmt: skip


def values(adata: AnnData, gene: str) -> np.ndarray:
    """log2(1 + 1e4·x/library size) of one gene, (n_cells,)."""
    column = adata[:, [gene]].X
    sizes = adata.obs["library_size"].to_numpy(float)
    return np.asarray(log2_expression(column, sizes).toarray()).ravel()


def _observed(adata: AnnData | None, perturbation: str, gene: str) -> list[pd.DataFrame]:
    if adata is None:
        return []
    labels = adata.obs["perturbation"].astype(str)
    return [
        pd.DataFrame({"source": name, "value": values(adata[(labels == label).to_numpy()], gene)})
        for name, label in (("control cells", CONTROL), ("observed", perturbation))
    ]

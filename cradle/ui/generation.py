"""Generated cells of one query, and the tables that describe them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import streamlit as st

from cradle.bundle import asked, origin
from cradle.data.dosage import genes_of
from cradle.data.qc import QCThresholds, Threshold, judge_generated
from cradle.evaluation.effects import Effects
from cradle.evaluation.moments import observed_effects
from cradle.evaluation.sections import train_means
from cradle.models.baselines import Baseline, fit_baseline
from cradle.plots.density import densities
from cradle.plots.palette import ARTIFACT_OFF, ARTIFACT_ON
from cradle.ui import store

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.runs import Run

Switch = Literal["off", "on", "twins"]
SOURCES = {"off": ARTIFACT_OFF.label, "on": ARTIFACT_ON.label}


@st.cache_resource(max_entries=12, show_spinner="Generating cells …")
def cells(
    run_path: str, label: str, n_cells: int, artifact: Switch, seed: int, library_size: float | None
) -> AnnData:
    """Generated cells; see ``Predictor.generate``."""
    return store.predictor_at(run_path).generate(
        label, n_cells, artifact=artifact, seed=seed, library_size=library_size
    )


@st.cache_resource(max_entries=32, show_spinner="Predicting effects …")
def effects(run_path: str, label: str, seed: int) -> Effects:
    """Predicted effects of one query with intervals, artifact off."""
    predicted: Effects = store.predictor_at(run_path).treatment_effects([label], seed=seed)
    return predicted


def sizes_in_words(run: Run, artifact: Switch, library_size: float | None) -> str:
    """Where the library sizes of generated cells come from; see ``Predictor.generate``."""
    from cradle.generated import size_pool

    fixed = library_size or run.config["settings"].get("library_size")
    if fixed:
        return f"Each has a library size of {fixed:,.0f}."
    failed = artifact == "on"
    median = np.median(size_pool(run.library_sizes, failed=failed))
    words = f"Their library sizes are those of training cells that {'fail' if failed else 'pass'} "
    words += f"quality control (drawn; median {median:,.0f})"
    if failed:
        return words + "; twins keep those of passing cells, so they pass at another rate."
    return words + ("; both of a pair have the same." if artifact == "twins" else ".")


@st.cache_resource(max_entries=12, show_spinner="Judging the cells …")
def judged(run_path: str, mad: float, criteria: tuple[str, ...], *query: Any) -> pd.DataFrame:
    """``verdicts`` of the cells of a query, at a threshold of the run; see ``cells``."""
    fitted = store.run_at(run_path).thresholds.at(mad=mad, criteria=criteria)
    return verdicts(cells(run_path, *query), fitted)


def verdicts(generated: AnnData, thresholds: QCThresholds) -> pd.DataFrame:
    """Values and flags of generated cells at the given thresholds, with ``source``."""
    table = judge_generated(generated, thresholds)
    return table.assign(source=generated.obs["artifact"].astype(str).map(SOURCES).to_numpy())


def table(generated: AnnData, judged: pd.DataFrame, **of: object) -> pd.DataFrame:
    """The generated cells for a spreadsheet: which, of what, and how they were judged.

    Parameters
    ----------
    generated, judged
        Cells, and their ``verdicts``.
    of
        Further columns, the same for all cells.
    """
    known = [c for c in ("perturbation", "artifact", "twin", "library_size") if c in generated.obs]
    conditions = generated.obs[known].rename_axis("cell").reset_index()
    verdict = judged.drop(columns="source").reset_index(drop=True)
    made: pd.DataFrame = pd.concat([conditions, verdict], axis=1).assign(**of)
    return made


def with_observed(judged: pd.DataFrame, observed: pd.DataFrame | None) -> pd.DataFrame:
    """Observed cells, judged alike, in front of the generated ones."""
    if observed is None or observed.empty:
        return judged
    return pd.concat([observed.assign(source="observed"), judged], ignore_index=True)


def curves(judged: pd.DataFrame, criterion: str, at: Threshold) -> pd.DataFrame:
    """Kernel density of one criterion per source, around a threshold, for ``violins``."""
    return densities(judged.rename(columns={criterion: "value"}), "value", "source",
                     threshold=at.threshold, fails=at.side)  # fmt: skip


@st.cache_resource(max_entries=4, show_spinner=False)
def observed(run_path: str) -> Effects:
    """Observed effects of all cells of a run."""
    return observed_effects(store.run_at(run_path).moments)


@st.cache_resource(max_entries=4, show_spinner=False)
def adding_up(run_path: str) -> Baseline:
    """The rule that adds up the effects of single genes in the training cells of a run."""
    run = store.run_at(run_path)
    return fit_baseline("additive", train_means(run.moments, run.passing_only))


def top_genes(
    predicted: Effects, observed: Effects | None, rule: Baseline | None = None, limit: int = 20
) -> pd.DataFrame:
    """Genes that the query changes most, with intervals and the observed effect beside.

    Returns
    -------
    DataFrame
        gene, direction, predicted, lower, upper, observed, n_cells and, of a combination whose
        genes the rule knows, added_up; log2 units.
    """
    table = predicted.to_frame().rename(columns={"effect": "predicted"})
    label = predicted.perturbations[0]
    columns = ["gene", "direction", "predicted", "lower", "upper", "observed", "n_cells"]
    if rule is not None and len(genes_of(label)) > 1:
        told = rule.treatment_effects([label]).columns(predicted.genes).mean[0]
        if np.isfinite(told).all():
            table["added_up"] = told
            columns.append("added_up")
    table["observed"], table["n_cells"] = np.nan, 0
    if observed is not None and label in observed.perturbations:
        row = observed.rows([label]).columns(predicted.genes)
        table["observed"] = row.mean[0]
        table["n_cells"] = 0 if row.n_cells is None else int(row.n_cells[0])
    table["direction"] = np.where(table["predicted"] > 0, "up", "down")
    order = table["predicted"].abs().sort_values(ascending=False, kind="stable").index[:limit]
    return table.loc[order, columns].reset_index(drop=True)


@st.cache_resource(max_entries=12, show_spinner="Comparing the twins …")
def changed_by_artifact(run_path: str, *query: Any) -> pd.DataFrame:
    """``twin_genes`` of the cells of a query; see ``cells``."""
    return twin_genes(cells(run_path, *query))


def twin_genes(twins: AnnData, limit: int = 20) -> pd.DataFrame:
    """What the artifact alone changes: mean log2 change of each gene from off to on.

    Parameters
    ----------
    twins
        Cells of ``generate(..., artifact="twins")``.
    limit
        Number of genes, those that change most first.

    Returns
    -------
    DataFrame
        gene, direction, change (of the expected counts) and change_counts (of the drawn
        counts), both log2(1 + 1e4·x/library size), on minus off.
    """
    scale = 1e4 / twins.obs["library_size"].to_numpy()[:, None]
    on = (twins.obs["artifact"] == "on").to_numpy()
    expected = np.log2(1 + twins.layers["mean"] * scale)
    drawn = twins.X.multiply(scale).tocsr()
    drawn.data = np.log2(1 + drawn.data)
    change = expected[on].mean(axis=0) - expected[~on].mean(axis=0)
    change_counts = np.asarray(drawn[on].mean(axis=0) - drawn[~on].mean(axis=0)).ravel()
    table = pd.DataFrame(
        {"gene": twins.var_names.astype(str), "direction": np.where(change > 0, "up", "down"),
         "change": change, "change_counts": change_counts}
    )  # fmt: skip
    order = table["change"].abs().sort_values(ascending=False, kind="stable").index[:limit]
    return table.loc[order].reset_index(drop=True)


def fail_rates(judged: pd.DataFrame, criteria: tuple[str, ...]) -> pd.DataFrame:
    """Share of cells, in percent, that fail each criterion, one column per source."""
    flags = judged[[f"fails_{c}" for c in criteria]].astype(float) * 100
    table = flags.groupby(judged["source"], sort=False).mean().T
    table.index = pd.Index(criteria, name="criterion")
    return table.reset_index()


@st.cache_data(max_entries=4, show_spinner="Writing the file …")
def h5ad(
    run_path: str, label: str, n_cells: int, artifact: Switch, seed: int, library_size: float | None
) -> bytes:
    """The generated cells as an ``.h5ad`` file."""
    import tempfile
    from pathlib import Path

    query = label, n_cells, artifact, seed, library_size
    adata = cells(run_path, *query).copy()
    adata.uns["cradle"] = {"generated": origin(store.run_at(run_path), asked(*query))}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5ad"
        adata.write_h5ad(path, compression="gzip")
        return path.read_bytes()

"""How well a finite screen can show its own truth: what no evaluation can exceed."""

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from cradle.data.qc import apply_thresholds, cell_metrics, fit_thresholds
from cradle.data.schema import CONTROL
from cradle.evaluation.moments import log2_expression
from cradle.simulation.design import Floats

MADS = (3, 4, 5)


def truth_ceiling(adata: AnnData, *, seed: int = 0) -> dict[str, Any]:
    """Scores of the observed cells against the truth of their simulated screen.

    Parameters
    ----------
    adata
        As made by ``simulate`` or ``semi_synthetic``; a ``split`` adds the groups of its labels.
    seed
        For Scrublet.

    Returns
    -------
    ``effect_correlation``
        Pearson correlation of observed and true effects over perturbations and genes, from
        ``clean_cells`` and from ``all_cells``, for groups of labels: singles, pairs,
        pairs_additive, pairs_interacting, and with a split heldout and seen. None for an empty
        group.
    ``clean_pass_rate``, ``observed_pass_rate``
        By MAD ("3", "4", "5"): QC pass rate of truly clean cells and of all cells.
    ``fail_rate``
        By MAD: failing share of each criterion for every kind of artifact.
    """
    groups = _label_groups(adata)
    sides = {"clean_cells": adata.obs["true_clean"].to_numpy(), "all_cells": np.True_}
    correlation = {
        side: _correlations(adata, np.broadcast_to(mask, adata.n_obs), groups)
        for side, mask in sides.items()
    }
    return {"effect_correlation": correlation, **_quality(adata, seed)}


def _label_groups(adata: AnnData) -> dict[str, list[str]]:
    pairs = adata.uns["cradle"]["truth"]["pairs"]
    kinds = dict(zip(pairs["label"], pairs["interaction"], strict=True))
    labels = list(adata.varm["true_effects"].columns)
    groups = {
        "singles": [label for label in labels if label not in kinds],
        "pairs": list(kinds),
        "pairs_additive": [label for label, kind in kinds.items() if kind == "none"],
        "pairs_interacting": [label for label, kind in kinds.items() if kind != "none"],
    }
    if "split" in adata.obs:
        trained = set(adata.obs.loc[adata.obs["split"] == "train", "perturbation"])
        groups["seen"] = [label for label in labels if label in trained]
        groups["heldout"] = [label for label in labels if label not in trained]
    return groups


def _correlations(
    adata: AnnData, cells: np.ndarray[Any, np.dtype[np.bool_]], groups: dict[str, list[str]]
) -> dict[str, float | None]:
    observed = _observed_effects(adata[cells])
    found: dict[str, float | None] = {}
    for name, labels in groups.items():
        present = [label for label in labels if label in observed]
        true = adata.varm["true_effects"][present].to_numpy().ravel()
        seen = observed[present].to_numpy().ravel()
        found[name] = float(np.corrcoef(true, seen)[0, 1]) if present and true.std() > 0 else None
    return found


def _observed_effects(adata: AnnData) -> pd.DataFrame:
    """Mean log2(1 + 1e4·x/l) minus that of control, (n_genes, n_labels)."""
    expression = log2_expression(adata.X, adata.obs["library_size"].to_numpy(np.float64))
    labels = adata.obs["perturbation"].astype(str).to_numpy()
    means: dict[str, Floats] = {
        label: np.asarray(expression[labels == label].mean(axis=0)).ravel()
        for label in np.unique(labels)
    }
    table = pd.DataFrame(means)
    return table.drop(columns=CONTROL).sub(table[CONTROL], axis=0)


def _quality(adata: AnnData, seed: int) -> dict[str, Any]:
    metrics = cell_metrics(adata, seed=seed)
    report: dict[str, Any] = {"clean_pass_rate": {}, "observed_pass_rate": {}, "fail_rate": {}}
    for mad in MADS:
        flags = apply_thresholds(metrics, fit_thresholds(adata, mad=mad, metrics=metrics))
        by_kind = flags.groupby(adata.obs["true_artifact"].to_numpy(), observed=True).mean()
        clean = flags["qc_fail"][adata.obs["true_clean"].to_numpy()]
        report["clean_pass_rate"][str(mad)] = float(1 - clean.mean())
        report["observed_pass_rate"][str(mad)] = float(1 - flags["qc_fail"].mean())
        report["fail_rate"][str(mad)] = {
            str(kind): {str(name): float(rate) for name, rate in rates.items()}
            for kind, rates in by_kind.iterrows()
        }
    return report

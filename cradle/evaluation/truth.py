"""Scores against the truth of a simulated screen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cradle.data.qc import QCThresholds
from cradle.errors import InputError
from cradle.evaluation.effects import Effects
from cradle.evaluation.metrics import ate_rho
from cradle.evaluation.moments import log2_expression
from cradle.evaluation.quality import MADS, MeasuredCells
from cradle.evaluation.scores import matched

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.models.baselines import Baseline

#: Twins share a library size, so their change is that of the profile at the same depth.
ARTIFACT_SLOT = "true_artifact_effect_same_depth"
AVERAGE = "average"

JSON = dict[str, Any]
Twins = Callable[[str, int, int], "AnnData"]  # label, number of pairs, seed


@dataclass(frozen=True)
class Truth:
    """What a simulated screen knows about itself.

    Parameters
    ----------
    effects
        Treatment effects of clean cells in expectation, log2(1 + 1e4·x/library size).
    interacting
        Pairs whose effect is not the sum of its singles.
    artifact
        Mean change that each kind of artifact makes, and their `average`; one row a gene.
    clean
        Which cells are no artifact, (n_cells,).
    """

    effects: Effects
    interacting: frozenset[str]
    artifact: pd.DataFrame
    clean: npt.NDArray[np.bool_]


def truth_of(adata: AnnData) -> Truth | None:
    """The truth that the simulator left in a screen; None for measured cells."""
    if "true_effects" not in adata.varm or "true_clean" not in adata.obs:
        return None
    try:
        table = adata.varm["true_effects"]
        pairs = adata.uns["cradle"]["truth"]["pairs"]
        interacts = np.asarray(pairs["interaction"]).astype(str) != "none"
        return Truth(
            Effects(
                tuple(map(str, table.columns)), tuple(map(str, adata.var_names)), table.to_numpy().T
            ),
            frozenset(np.asarray(pairs["label"]).astype(str)[interacts].tolist()),
            adata.varm[ARTIFACT_SLOT],
            adata.obs["true_clean"].to_numpy(bool),
        )
    except (KeyError, AttributeError, TypeError, ValueError, IndexError) as error:
        raise InputError(
            "The truth of the simulated screen is damaged.",
            f"{type(error).__name__}: {error}.",
            "Simulate the screen again, or remove varm['true_effects'] from the file.",
        ) from error


def effect_correlations(
    truth: Truth, predicted: Effects, trained: Collection[str], held_out: Collection[str]
) -> JSON:
    """Pearson correlation of predicted and true effects over perturbations and genes.

    `effect_correlation_seen`: perturbations trained on. `effect_correlation_heldout`: held-out
    ones without interaction. `effect_correlation_heldout_interacting`: the others, which no
    model can know. None where there is no such perturbation.
    """
    return {
        f"effect_correlation_{name}": _correlation(truth.effects, predicted, labels)
        for name, labels in _groups(truth, trained, held_out).items()
    }


def floor_correlations(
    truth: Truth,
    baselines: Mapping[str, Baseline],
    trained: Collection[str],
    held_out: Collection[str],
) -> JSON:
    """:func:`effect_correlations` of each baseline; None where it cannot answer for the group."""
    found: JSON = {}
    for name, baseline in baselines.items():
        told = baseline.treatment_effects(sorted({*trained, *held_out}))
        answered = set(told.applicable)
        found[name] = {
            f"effect_correlation_{group}": _correlation(truth.effects, told, labels)
            if labels <= answered
            else None
            for group, labels in _groups(truth, trained, held_out).items()
        }
    return found


def interval_coverages(
    truth: Truth, predicted: Effects, trained: Collection[str], held_out: Collection[str]
) -> JSON:
    """Share of true effects inside the predicted intervals, of the groups of
    :func:`effect_correlations`; None where there are no intervals or perturbations."""
    return {
        f"interval_coverage_{name}": _covered(truth.effects, predicted, labels)
        for name, labels in _groups(truth, trained, held_out).items()
    }


def clean_pass_rates(
    truth: Truth, observed: MeasuredCells, rows: npt.NDArray[np.bool_], thresholds: QCThresholds
) -> JSON:
    """QC pass rate of the truly clean cells among `rows`, by the generable criteria, by MAD."""
    chosen = rows & truth.clean
    rates = {f"{mad:g}": observed.passes(thresholds.at(mad=mad)) for mad in MADS}
    return {
        mad: float(passed[chosen].mean()) if chosen.any() and thresholds.generable else None
        for mad, passed in rates.items()
    }


def artifact_correlations(
    truth: Truth, twins: Twins, labels: Collection[str], n_pairs: int
) -> JSON:
    """Correlation over genes of the twins' mean log2 change with the true artifact.

    `artifact_correlation`: with the mean over the kinds of artifact in their true shares, at
    the same library size; `artifact_correlation_by_kind`: with each kind. None, with the
    reason, where the model has no artifact.
    """
    try:
        change = twin_change(twins, labels, n_pairs)
    except InputError as error:
        return {"artifact_correlation": None, "artifact_reason": f"{error.what} {error.found}"}
    found = {str(kind): _finite(ate_rho(truth.artifact[kind].to_numpy(float), change))
             for kind in truth.artifact}  # fmt: skip
    return {"artifact_correlation": found.pop(AVERAGE), "artifact_correlation_by_kind": found}


def twin_change(twins: Twins, labels: Collection[str], n_pairs: int) -> npt.NDArray[np.float64]:
    """Mean of log2(1 + 1e4·x/library size) with the artifact on minus off, (n_genes,)."""
    each = max(1, n_pairs // max(1, len(labels)))
    changes = [_change(twins(label, each, seed)) for seed, label in enumerate(sorted(labels))]
    return np.asarray(np.mean(changes, axis=0), dtype=np.float64)


def _change(cells: AnnData) -> npt.NDArray[np.float64]:
    expression = log2_expression(cells.X, cells.obs["library_size"].to_numpy(np.float64))
    on = (cells.obs["artifact"] == "on").to_numpy()
    return np.asarray(expression[on].mean(axis=0) - expression[~on].mean(axis=0)).ravel()


def _groups(
    truth: Truth, trained: Collection[str], held_out: Collection[str]
) -> dict[str, set[str]]:
    return {
        "seen": set(trained),
        "heldout": set(held_out) - truth.interacting,
        "heldout_interacting": set(held_out) & truth.interacting,
    }


def _both(true: Effects, predicted: Effects, labels: Collection[str]) -> tuple[Effects, Effects]:
    return matched(true.rows([p for p in true.perturbations if p in labels]), predicted)


def _covered(true: Effects, predicted: Effects, labels: Collection[str]) -> float | None:
    known, told = _both(true, predicted, labels)
    if told.lower is None or told.upper is None or not known.perturbations:
        return None
    return float(((told.lower <= known.mean) & (known.mean <= told.upper)).mean())


def _correlation(true: Effects, predicted: Effects, labels: Collection[str]) -> float | None:
    known, told = _both(true, predicted, labels)
    return _finite(ate_rho(known.mean, told.mean)) if known.perturbations else None


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None

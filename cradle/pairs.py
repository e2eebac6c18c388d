"""Genetic interactions of a run: every measured pair, and the unmeasured ones it can predict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cradle.data.dosage import genes_of
from cradle.data.schema import CONTROL
from cradle.evaluation.interactions import (
    MIN_CELLS,
    MIN_MEAN_UMI,
    Genes,
    Interaction,
    fit_pair,
    interaction,
    responding,
    strength,
)
from cradle.evaluation.moments import SCORED_SPLITS, observed_effects

if TYPE_CHECKING:
    from cradle.evaluation.moments import Moments
    from cradle.runs import Run

Progress = Callable[[int, int], None]
Array = npt.NDArray[np.floating]

N_BOOTSTRAPS = 100
N_DRAWS, N_CELLS = 16, 64  # posterior draws, basal states common to all of them
_TINY = 1e-12
MAX_PREDICTED = 1_000  # pairs; about a tenth of a second each
#: Of each side, observed and predicted.
SIDE = (
    "class", "dominant", "c_first", "c_second", "magnitude", "magnitude_low", "magnitude_high",
    "scale", "scale_low", "scale_high", "fit", "similarity", "agreement", "n_genes", "reason",
)  # fmt: skip


def interaction_table(run: Run, progress: Progress | None = None) -> pd.DataFrame:
    """Class and magnitude of each pair, observed and predicted, most promising pairs first.

    Returns
    -------
    DataFrame
        pair, first, second, measured, support, n_first and n_second (training cells that carry
        the gene), alone (how many of the two genes were measured alone), ``observed_*`` and
        ``predicted_*`` (``SIDE``; empty where not applicable), and of the prediction strength,
        strength_low, strength_high (log2 units) and direction (stronger or weaker than the sum).
    """
    table = _pairs(run)
    observed = _observed(run)
    genes = {label: used for label, (_, used) in observed.items() if used is not None}
    predicted = _predicted(run, list(table["pair"]), genes, progress)
    sides = [
        _row(pair, observed.get(pair, (None, None))[0], *predicted.get(pair, (None, None)))
        for pair in table["pair"]
    ]
    full = pd.concat([table, pd.DataFrame(sides)], axis=1)
    certain = full["strength_low"].fillna(full["strength"])
    return full.iloc[np.lexsort((-full["strength"], -certain))].reset_index(drop=True)


def expressed(run: Run) -> npt.NDArray[np.bool_]:
    """Genes with at least ``MIN_MEAN_UMI`` counts per training cell, (n_genes,)."""
    size = float(run.library_sizes["library_size"].mean())
    if "mean_profile" in run.gene_table:
        return np.asarray(run.gene_table["mean_profile"].to_numpy(float) * size >= MIN_MEAN_UMI)
    pooled = run.moments.pool(["train"])  # a baseline: from the mean of log2(1 + 1e4·x/ℓ)
    mean = (pooled.n / pooled.n.sum()) @ pooled.mean
    return np.asarray((2.0**mean - 1) * size / 1e4 >= MIN_MEAN_UMI)


def _pairs(run: Run) -> pd.DataFrame:
    """Measured pairs, then unmeasured ones, those with most cells behind both genes first."""
    cells = run.perturbations
    trained = dict(zip(cells["perturbation"], cells["n_train"], strict=True))
    known = {label for label in cells["perturbation"] if label != CONTROL}
    behind = {g: sum(int(n) for label, n in trained.items() if g in genes_of(label))
              for g in run.perturbed_genes}  # fmt: skip
    rows = [
        {"pair": f"{a}+{b}", "first": a, "second": b, "measured": f"{a}+{b}" in known,
         "support": run.support(f"{a}+{b}"), "n_first": behind[a], "n_second": behind[b],
         "alone": (a in known) + (b in known)}
        for a, b in combinations(sorted(behind), 2)
    ]  # fmt: skip
    columns = ["pair", "first", "second", "measured", "support", "n_first", "n_second", "alone"]
    table = pd.DataFrame(rows, columns=columns)
    few = table[["n_first", "n_second"]].min(axis=1)
    order = np.lexsort((-few, -table["alone"], ~table["measured"].astype(bool)))
    return table.iloc[order].head(MAX_PREDICTED).reset_index(drop=True)


def _observed(run: Run) -> dict[str, tuple[Interaction, Genes | None]]:
    """Interactions of the measured pairs whose genes were measured alone, and their genes.

    All cells of train, val and test. The replicates are the bootstrap of cells in its normal
    limit: means drawn with the cells' variance and the correlation of their genes, the noise of the
    control, and of the controls of each batch, common to all three effects.
    No genes, and no class, where one of the four groups has fewer than ``MIN_CELLS``.
    """
    pooled = run.moments.pool()
    row = {label: i for i, label in enumerate(pooled.labels)}
    rng = np.random.default_rng(0)
    usable = expressed(run)
    found: dict[str, tuple[Interaction, Genes | None]] = {}
    sd = np.sqrt(np.nan_to_num(pooled.var) / pooled.n[:, None])
    if CONTROL not in row:
        return found
    errors = observed_effects(run.moments, pooled_variance=True)
    if run.moments.batches is not None:
        shares = run.moments.batch_shares(SCORED_SPLITS, None, passing_only=False)
        far = shares - shares[row[CONTROL]]

    def replicated(label: str) -> Array:
        i = row[label]
        noise = run.moments.noise(N_BOOTSTRAPS, rng)
        return np.concatenate([pooled.mean[[i]], pooled.mean[i] + noise * sd[i]])

    for pair in pooled.labels:
        genes = genes_of(pair)
        if len(genes) != 2 or any(g not in row for g in genes):
            continue
        labels = (*genes, pair)
        few = [f"{label} has {pooled.n[row[label]]} of {MIN_CELLS} cells"
               for label in (CONTROL, *labels) if pooled.n[row[label]] < MIN_CELLS]  # fmt: skip
        if few:
            no_genes = Genes(*np.zeros((2, len(usable)), bool))
            judged = _judged(np.zeros((3, 2, len(usable))), no_genes)
            found[pair] = replace(judged, reason=f"{few[0]} that are needed"), None
            continue
        control = replicated(CONTROL)
        effects = [replicated(label) - control for label in labels]
        if run.moments.batches is not None:
            drawn = _of_batches(run.moments, far[[row[label] for label in labels]])
            for effect, noise in zip(effects, drawn, strict=True):
                effect[1:] += noise
        se = errors.rows(labels).se
        assert se is not None
        used = responding(usable, *(_z(e[0], s) for e, s in zip(effects, se, strict=True)))
        found[pair] = _judged(effects, used), used
    return found


def _of_batches(moments: Moments, far: Array) -> Array:
    """What the noise in the controls of each batch adds to effects measured against them.

    Parameters
    ----------
    far
        Share of an effect's cells in each batch, minus that of control, (n_effects, n_batches).

    Returns
    -------
    (n_effects, N_BOOTSTRAPS, n_genes); in a replicate a batch moves all effects together.
    """
    assert moments.batches is not None
    error = moments.batches.error.astype(float)
    n_effects, n_genes = len(far), error.shape[1]
    joint = np.einsum("ib,bg,jb->gij", far, error, far)
    root = np.linalg.cholesky(joint + _TINY * np.eye(n_effects))
    drawn = moments.noise(N_BOOTSTRAPS * n_effects, np.random.default_rng(0))
    each = drawn.reshape(N_BOOTSTRAPS, n_effects, n_genes)
    return np.asarray(np.einsum("gij,njg->ing", root, each, optimize=True))


def _predicted(
    run: Run, pairs: list[str], observed: dict[str, Genes], progress: Progress | None
) -> dict[str, tuple[Interaction, tuple[float, float, float]]]:
    """Interactions that the model predicts; none for a model that adds effects or cannot say.

    A measured pair is judged by the genes of its observation, any other by those whose predicted
    effect is at least ``MIN_Z`` posterior standard deviations.
    """
    if not (run.spec.is_network and run.spec.combinations) or not pairs:
        return {}
    from cradle.effect_draws import effect_draws

    singles = sorted({gene for pair in pairs for gene in genes_of(pair)})
    names = singles + pairs
    in_turn = effect_draws(
        run.predictor(), names,  # type: ignore[arg-type]  # it generates
        n_draws=N_DRAWS, n_cells=N_CELLS,
    )  # fmt: skip
    draws = {}
    for done, (name, effect) in enumerate(zip(names, in_turn, strict=True), 1):
        draws[name] = effect
        if progress is not None:
            progress(done, len(names))
    usable, found = expressed(run), {}
    for pair in pairs:
        each = [draws[name].astype(float) for name in (*genes_of(pair), pair)]
        effects = [np.concatenate([e.mean(axis=0, keepdims=True), e]) for e in each]
        z = [_z(e.mean(axis=0), e.std(axis=0, ddof=1)) for e in each]
        used = observed.get(pair) or responding(usable, *z)
        departures = (each[2] - each[0] - each[1])[:, usable]
        found[pair] = _judged(effects, used), strength(departures)
    return found


def _judged(effects: Sequence[Array] | Array, used: Genes) -> Interaction:
    """Class from effects whose first row is the estimate and whose others are replicates."""
    first, second, pair = effects
    fits = fit_pair(first, second, pair, used)
    point, replicates = (type(fits)(*(x[rows] for x in fits)) for rows in (0, slice(1, None)))
    return interaction(point, replicates, int(used.coefficients.sum()))


def _z(effect: Array, se: Array) -> Array:
    out = np.zeros_like(effect, dtype=float)
    return np.asarray(np.divide(effect, se, out=out, where=se > 0))


def _row(
    pair: str,
    observed: Interaction | None,
    predicted: Interaction | None,
    size: tuple[float, float, float] | None,
) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for prefix, side in (("observed_", observed), ("predicted_", predicted)):
        values = _values(side, genes_of(pair)) if side is not None else dict.fromkeys(SIDE)
        row |= {prefix + name: values[name] for name in SIDE}
    middle, low, high = size or (np.nan, np.nan, np.nan)
    row |= {"strength": middle, "strength_low": low, "strength_high": high}
    scale = np.nan if predicted is None else float(predicted.fit.scale)
    row["direction"] = None if np.isnan(scale) else "stronger" if scale > 1 else "weaker"
    return row


def _values(side: Interaction, genes: tuple[str, ...]) -> dict[str, Any]:
    fit = side.fit
    return {
        "class": side.kind,
        "dominant": None if side.dominant is None else genes[side.dominant],
        "c_first": float(fit.first), "c_second": float(fit.second),
        "magnitude": float(fit.magnitude),
        "magnitude_low": side.magnitude[0], "magnitude_high": side.magnitude[1],
        "scale": float(fit.scale), "scale_low": side.scale[0], "scale_high": side.scale[1],
        "fit": float(fit.quality), "similarity": float(fit.similarity),
        "agreement": side.agreement, "n_genes": side.n_genes, "reason": side.reason or None,
    }  # fmt: skip

"""Genetic interactions: does a pair do what its two genes do by themselves, added up?

Norman et al. 2019 fit the pair's effect by its two singles, δ_AB ≈ c₁ δ_A + c₂ δ_B, robustly and
without intercept, and read the class off the coefficients. SPEC 7 gives the limits used here.

Two departures, because the plain fit over all expressed genes returns c ≈ 0.4 for exactly additive
pairs of the simulator (most genes do not respond, and noise in δ_A and δ_B shrinks c): the
coefficients come from *responding* genes only, and each pair of genes in the Theil–Sen estimate
counts by how well it determines them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from cradle.evaluation.effects import draw_margin

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]
Class = Literal["additive", "synergy", "suppression", "neomorphic", "redundant", "undetermined"]

MIN_MEAN_UMI = 0.05  # counts per cell; genes below it are left out
MIN_Z = 3.0  # |effect| / standard error from which a gene responds
MIN_GENES = 10  # responding genes below which no class is given
MIN_CELLS = 10  # of each group: the variance among fewer cells is hardly known
ADDITIVE = 0.3  # |m − 1| up to which a pair is additive
NEOMORPHIC = 0.85  # fit quality below which the singles do not explain the pair
EPISTASIS = 0.25  # |log10(c₁/c₂)| above which one gene dominates
REDUNDANT = 0.8  # correlation of the singles above which c₁ and c₂ cannot be told apart
STABLE = 0.8  # share of the replicates that must agree on a class
_COUPLES = 10_000  # of genes, behind the coefficients of a pair
_OF_REPLICATES = 1_000  # behind those of each replicate, drawn for each: chance is in their spread
_ITERATIONS = 100
_TINY = 1e-12


class Fit(NamedTuple):
    """Theil–Sen fit of a pair by its singles; every field has the leading shape of the effects.

    Parameters
    ----------
    first, second
        Coefficients c₁ and c₂ of the two singles; 1 and 1 where the effects add up.
    quality
        Pearson correlation of the fitted and the given effect of the pair.
    similarity
        Pearson correlation of the two singles.
    scale
        The pair along the sum of its singles, ⟨δ_AB, δ_A + δ_B⟩ / ‖δ_A + δ_B‖²; 1 where they
        add up, and defined also where the singles are alike.
    """

    first: FloatArray
    second: FloatArray
    quality: FloatArray
    similarity: FloatArray
    scale: FloatArray

    @property
    def magnitude(self) -> FloatArray:
        """m = √((c₁² + c₂²)/2)."""
        return np.sqrt((self.first**2 + self.second**2) / 2)


class Genes(NamedTuple):
    """Which genes are used, (n_genes,): for the coefficients, and for the two correlations."""

    coefficients: BoolArray
    correlations: BoolArray


@dataclass(frozen=True)
class Interaction:
    """What kind of interaction a pair shows.

    Parameters
    ----------
    kind
        Class; undetermined where fewer than ``STABLE`` of the replicates agree on it.
    dominant
        0 or 1, the gene with the larger coefficient under epistasis; None without epistasis or
        where it is undefined (a coefficient ≤ 0, singles alike) or not stable.
    fit
        Of the effects themselves.
    magnitude, scale
        95 % interval: the spread of the replicates about the value of the effects themselves
        (replicates carry their noise twice, so they shrink toward zero).
    agreement
        Share of the replicates with the class of the effects themselves.
    n_genes
        Responding genes behind the coefficients.
    reason
        Why the class is undetermined; empty otherwise.
    """

    kind: Class
    dominant: Literal[0, 1] | None
    fit: Fit
    magnitude: tuple[float, float]
    scale: tuple[float, float]
    agreement: float
    n_genes: int
    reason: str = ""


def theil_sen(
    first: FloatArray, second: FloatArray, pair: FloatArray, *, seed: int = 0
) -> FloatArray:
    """c₁ and c₂ of pair ≈ c₁ first + c₂ second, robust to outlying genes, no intercept.

    Solves the two equations of two genes, for every two of them (a seeded draw where there are
    many, another one for each fit), and takes the spatial median of the solutions (Dang et al.
    2008), each weighted by its determinant, as Jaeckel 1972 weights slopes by their distance in x.

    Parameters
    ----------
    first, second, pair
        Effects, (..., n_genes).

    Returns
    -------
    (..., 2); NaN where no two genes determine both coefficients.
    """
    effects = np.broadcast_arrays(first, second, pair)
    i, j = _couples(effects[0].shape, seed)
    a, b, y = (np.take_along_axis(x, i, axis=-1) for x in effects)
    c, d, z = (np.take_along_axis(x, j, axis=-1) for x in effects)
    determinant = a * d - b * c
    size = np.abs(determinant)
    usable = size > _TINY * np.maximum(size.max(axis=-1, keepdims=True, initial=0.0), _TINY)
    safe = np.where(usable, determinant, 1.0)
    solutions = np.stack([d * y - b * z, a * z - c * y], axis=-1) / safe[..., None]
    return _spatial_median(solutions, np.where(usable, size, 0.0))


def fit_pair(first: FloatArray, second: FloatArray, pair: FloatArray, genes: Genes) -> Fit:
    """Fit a pair's effect by those of its singles, all (..., n_genes); NaN below two genes."""
    if genes.coefficients.sum() < 2:
        return Fit(*np.full((5, *pair.shape[:-1]), np.nan))
    a, b, y = (x[..., genes.coefficients] for x in (first, second, pair))
    c = theil_sen(a, b, y)
    total = a + b
    norm = (total**2).sum(axis=-1)
    scale = np.divide(
        (y * total).sum(axis=-1), norm, where=norm > 0, out=np.full_like(norm, np.nan)
    )
    a, b, y = (x[..., genes.correlations] for x in (first, second, pair))
    fitted = c[..., :1] * a + c[..., 1:] * b
    return Fit(c[..., 0], c[..., 1], _correlation(fitted, y), _correlation(a, b), scale)


def responding(expressed: BoolArray, first_z: FloatArray, second_z: FloatArray,
               pair_z: FloatArray) -> Genes:  # fmt: skip
    """Genes that a pair is judged by.

    Coefficients: expressed genes that respond to one of the singles. A choice by the pair itself
    would bias them. Correlations: also those that respond to the pair alone, which speak for a
    neomorphic pair.

    Parameters
    ----------
    expressed
        Genes with at least ``MIN_MEAN_UMI`` counts per cell, (n_genes,).
    first_z, second_z, pair_z
        Effect / standard error, same shape.
    """
    single = np.maximum(np.abs(first_z), np.abs(second_z)) >= MIN_Z
    return Genes(expressed & single, expressed & (single | (np.abs(pair_z) >= MIN_Z)))


def classes(fit: Fit) -> npt.NDArray[np.str_]:
    """Class of each fit, in the order of SPEC 7; ``undetermined`` where nothing could be fitted."""
    magnitude = fit.magnitude
    return np.select(
        [
            ~np.isfinite(fit.quality + fit.similarity + magnitude),
            fit.similarity > REDUNDANT,
            fit.quality < NEOMORPHIC,
            magnitude > 1 + ADDITIVE,
            magnitude < 1 - ADDITIVE,
        ],
        ["undetermined", "redundant", "neomorphic", "synergy", "suppression"],
        default="additive",
    )


def dominance(fit: Fit) -> npt.NDArray[np.int_]:
    """Epistasis: 0 or 1 for the gene that dominates, −1 for none or undefined (c ≤ 0)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log10(fit.first / fit.second)
    defined = (fit.first > 0) & (fit.second > 0) & (fit.similarity <= REDUNDANT)
    return np.where(defined & (np.abs(ratio) > EPISTASIS), np.where(ratio > 0, 0, 1), -1)


def interaction(fit: Fit, replicates: Fit, n_genes: int) -> Interaction:
    """Class of a pair where enough replicates (bootstraps, posterior draws) agree on it.

    Parameters
    ----------
    fit
        Of the effects themselves, scalars.
    replicates
        Fits of the replicates, (n_replicates,).
    n_genes
        Responding genes behind the coefficients.
    """
    kind, kinds = str(classes(fit)), classes(replicates)
    agreement = float(np.mean(kinds == kind))
    reason = ""
    if n_genes < MIN_GENES:
        reason = f"{n_genes} responding genes, {MIN_GENES} are needed"
    elif kind == "undetermined":
        reason = "the effects determine no coefficients"
    elif agreement < STABLE:
        reason = f"{kind} in only {100 * agreement:.0f} % of the replicates"
    leading, leaders = int(dominance(fit)), dominance(replicates)
    dominates = leading >= 0 and not reason and float(np.mean(leaders == leading)) >= STABLE
    return Interaction(
        cast("Class", "undetermined" if reason else kind),
        (0 if leading == 0 else 1) if dominates else None,
        fit,
        _interval(fit.magnitude, replicates.magnitude),
        _interval(fit.scale, replicates.scale),
        agreement,
        n_genes,
        reason,
    )


def strength(departures: FloatArray, level: float = 0.95) -> tuple[float, float, float]:
    """How far a predicted pair is from the sum of its singles, with its interval.

    Root mean square over genes of δ_AB − δ_A − δ_B. Each draw is projected on the mean of the
    others, so that disagreeing draws average to zero instead of adding up to a size.

    Parameters
    ----------
    departures
        δ_AB − δ_A − δ_B of each posterior draw, (n_draws, n_genes), log2 units.
    level
        Mass of the Student interval of a further draw; NaN where all draws are the same.
    """
    n_draws, n_genes = departures.shape
    others = (departures.sum(axis=0) - departures) / (n_draws - 1)
    norm = np.linalg.norm(others, axis=1, keepdims=True)
    direction = np.divide(others, norm, out=np.zeros_like(others), where=norm > 0)
    sizes = (departures * direction).sum(axis=1) / np.sqrt(n_genes)
    mean, margin = float(sizes.mean()), float(draw_margin(sizes, level))
    if np.ptp(departures, axis=0).max() == 0:
        return mean, float("nan"), float("nan")  # the model knows no uncertainty
    return mean, mean - margin, mean + margin


def _couples(shape: tuple[int, ...], seed: int) -> tuple[IntArray, IntArray]:
    """Two different genes each, (..., n_couples), for fits of this shape (..., n_genes)."""
    *fits, n = shape
    most = _OF_REPLICATES if fits else _COUPLES
    if n * (n - 1) // 2 <= most:
        first, second = (np.broadcast_to(x, (*fits, x.size)) for x in np.triu_indices(n, 1))
        return first, second
    rng = np.random.default_rng(seed)
    i = rng.integers(0, n, (*fits, most))
    return i, (i + rng.integers(1, n, i.shape)) % n


def _spatial_median(points: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted point of least summed distance, (..., 2), by Weiszfeld's iteration."""
    total = weights.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = (points * weights[..., None]).sum(axis=-2) / total[..., None]
        for _ in range(_ITERATIONS):
            distance = np.linalg.norm(points - centre[..., None, :], axis=-1)
            pull = weights / np.maximum(distance, _TINY)
            moved = (points * pull[..., None]).sum(axis=-2) / pull.sum(axis=-1)[..., None]
            still = np.nanmax(np.abs(moved - centre), initial=0.0) < 1e-6
            centre = moved
            if still:
                break
    return np.asarray(centre)


def _correlation(x: FloatArray, y: FloatArray) -> FloatArray:
    x = x - x.mean(axis=-1, keepdims=True)
    y = y - y.mean(axis=-1, keepdims=True)
    norm = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    undefined = np.full(np.shape(norm), np.nan)
    return np.asarray(np.divide((x * y).sum(axis=-1), norm, where=norm > 0, out=undefined))


def _interval(at: FloatArray, replicates: FloatArray, level: float = 0.95) -> tuple[float, float]:
    if (finite := replicates[np.isfinite(replicates)]).size == 0:
        return float("nan"), float("nan")
    low, high = at + np.quantile(finite, [(1 - level) / 2, (1 + level) / 2]) - np.median(finite)
    return float(low), float(high)

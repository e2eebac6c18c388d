"""Kernel densities, so that a violin sends a curve to the browser and not every cell."""

import math

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

GRID_POINTS = 128
_BINS = 1024
_THRESHOLDS = 3.0  # multiples of a threshold that are drawn whatever lies there
_SHARE = 0.8  # of every group that is drawn at least


def kernel_density(values: ArrayLike, *, n_grid: int = GRID_POINTS) -> pd.DataFrame:
    """Gaussian kernel density with Silverman's bandwidth, cut at the data's own range.

    The values are binned first, so that the cost does not grow with the number of cells.

    Parameters
    ----------
    values
        One number per cell; NaN (not measurable) are left out.
    n_grid
        Points of the curve.

    Returns
    -------
    DataFrame
        Columns ``value`` (the unit of the input) and ``density`` (per unit, integral 1).
        Empty without values; one point of density 1 where all values are equal.
    """
    kept = np.asarray(values, dtype=float)
    kept = kept[~np.isnan(kept)]
    if kept.size == 0:
        return pd.DataFrame({"value": [], "density": []}, dtype=float)
    low, high = kept.min(), kept.max()
    if low == high:
        return pd.DataFrame({"value": [low], "density": [1.0]})
    counts, edges = np.histogram(kept, bins=_BINS, range=(low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    grid = np.linspace(low, high, n_grid)
    width = max(_silverman(kept), (high - low) / n_grid)
    weights = np.exp(-0.5 * ((grid[:, None] - centres[None, :]) / width) ** 2)
    density = weights @ counts
    density /= np.trapezoid(density, grid)
    return pd.DataFrame({"value": grid, "density": density})


def densities(
    frame: pd.DataFrame, value: str, by: str, *, threshold: float | None = None,
    fails: str | None = None,
) -> pd.DataFrame:  # fmt: skip
    """One kernel density per group.

    A few failing cells far above a threshold would squash all that lies around it. Where a
    criterion fails above its threshold, all curves therefore end at the same value: three times
    the threshold, or farther up where less than 80 % of a group would lie below that.

    Parameters
    ----------
    frame
        One row per cell.
    value
        Column of numbers.
    by
        Column of group names; groups keep the order of their first appearance.
    threshold
        Where the criterion starts to fail, in the unit of ``value``; None draws all values.
    fails
        ``low`` or ``high``: the side of the threshold that fails.

    Returns
    -------
    DataFrame
        Columns ``by``, ``value``, ``density``, and the group's ``n`` and ``median``, how many of
        its cells lie ``above`` the end of the curves, and its ``largest`` value.
    """
    most = frame.groupby(by, observed=True)[value].quantile(_SHARE)
    parts, end = [], _end(most, threshold, fails)
    for group, rows in frame.groupby(by, sort=False, observed=True):
        present = rows[value].dropna()
        about = {by: group, "n": len(present), "median": present.median(),
                 "above": int((present > end).sum()), "largest": present.max()}  # fmt: skip
        parts.append(kernel_density(present[present <= end]).assign(**about))
    columns = [by, "value", "density", "n", "median", "above", "largest"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _end(most: pd.Series, threshold: float | None, fails: str | None) -> float:
    """The largest value that is drawn: at least those below which most of each group lies."""
    if threshold is None or fails != "high" or threshold <= 0:
        return math.inf
    return max(_THRESHOLDS * threshold, float(most.max()))


def _silverman(values: np.ndarray) -> float:
    quartiles = np.percentile(values, [25, 75])
    spread = min(values.std(), (quartiles[1] - quartiles[0]) / 1.34) or values.std()
    return float(0.9 * spread * values.size ** (-0.2))

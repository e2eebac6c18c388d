"""Kernel densities, so that a violin sends a curve to the browser and not every cell."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

GRID_POINTS = 128
_BINS = 1024


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


def densities(frame: pd.DataFrame, value: str, by: str) -> pd.DataFrame:
    """One kernel density per group.

    Parameters
    ----------
    frame
        One row per cell.
    value
        Column of numbers.
    by
        Column of group names; groups keep the order of their first appearance.

    Returns
    -------
    DataFrame
        Columns ``by``, ``value``, ``density``, and the group's ``n`` and ``median``.
    """
    parts = []
    for group, rows in frame.groupby(by, sort=False, observed=True):
        part = kernel_density(rows[value])
        present = rows[value].dropna()
        parts.append(part.assign(**{by: group}, n=len(present), median=present.median()))
    columns = [by, "value", "density", "n", "median"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _silverman(values: np.ndarray) -> float:
    quartiles = np.percentile(values, [25, 75])
    spread = min(values.std(), (quartiles[1] - quartiles[0]) / 1.34) or values.std()
    return float(0.9 * spread * values.size ** (-0.2))

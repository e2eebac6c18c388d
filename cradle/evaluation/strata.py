"""Batches: each cell is compared with the control cells of its own batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

FloatArray = npt.NDArray[np.float64]
#: Fewer training controls than this in a batch say more about noise than about the batch.
MIN_CONTROLS = 30


class Batches(NamedTuple):
    """Batches in which cells are compared with the training controls of their own.

    Parameters
    ----------
    cells
        Cells of each group of cells in each of them, (n_groups, n_batches).
    error
        Squared standard error of the mean of their training controls, (n_batches, n_genes).
    """

    cells: npt.NDArray[np.float32]
    error: npt.NDArray[np.float32]


def batches_of(
    groups: pd.DataFrame, keys: Sequence[str], mean: FloatArray, m2: FloatArray, control: str
) -> Batches | None:
    """The batches of ``batch_offsets``, with the cells of the groups of ``merged``; None where
    there are none.

    Parameters
    ----------
    m2
        Sum of squared deviations of each group, (n_groups, n_genes); the others as there.
    """
    enough = _with_controls(groups, control)
    if len(enough) < 2:
        return None
    cells = groups.pivot_table(
        index=list(keys), columns="batch", values="n_cells", aggfunc="sum", fill_value=0
    )
    sizes = groups["n_cells"].to_numpy(np.float64)
    error = []
    for rows in enough.values():
        n = sizes[rows].sum()
        own = np.average(mean[rows], axis=0, weights=sizes[rows])
        squares = m2[rows] + sizes[rows, None] * (mean[rows] - own) ** 2
        error.append(squares.sum(axis=0) / ((n - 1) * n))
    return Batches(cells[list(enough)].to_numpy(np.float32), np.array(error, np.float32))


def batch_offsets(groups: pd.DataFrame, mean: FloatArray, control: str) -> FloatArray:
    """How far the training controls of each group's batch lie from all training controls.

    Subtracting it makes a treatment effect the mean over batches, weighted by treated cells, of
    treated minus control within the batch. Only training controls are used, so that nothing of
    validation or test cells reaches a baseline through the correction.

    Parameters
    ----------
    groups
        perturbation, split, batch and n_cells of each group.
    mean
        Mean expression of each group, (n_groups, n_genes).
    control
        Label of the control.

    Returns
    -------
    (n_groups, n_genes); zero in batches with fewer than ``MIN_CONTROLS`` training controls.
    """
    sizes = groups["n_cells"].to_numpy(np.float64)
    offsets = np.zeros_like(mean)
    enough = _with_controls(groups, control)
    if len(enough) < 2:
        return offsets
    every = np.concatenate(list(enough.values()))
    overall = np.average(mean[every], axis=0, weights=sizes[every])
    for batch, rows in enough.items():
        own = np.average(mean[rows], axis=0, weights=sizes[rows])
        offsets[(groups["batch"] == batch).to_numpy()] = own - overall
    return offsets


def _with_controls(groups: pd.DataFrame, control: str) -> dict[str, npt.NDArray[np.intp]]:
    """Rows of the training controls of each batch that has enough of them."""
    controls = (groups["perturbation"] == control) & (groups["split"] == "train")
    return {
        str(batch): rows.index.to_numpy()
        for batch, rows in groups[controls].groupby("batch")
        if rows["n_cells"].sum() >= MIN_CONTROLS
    }


def merged(
    groups: pd.DataFrame, keys: Sequence[str], mean: FloatArray, m2: FloatArray
) -> tuple[pd.DataFrame, FloatArray, FloatArray]:
    """Join groups that agree in ``keys``; mean and squared deviations stay exact (Chan 1979)."""
    code = groups.groupby(list(keys), sort=True, observed=True).ngroup().to_numpy()
    joint = groups.groupby(list(keys), sort=True, observed=True)["n_cells"].sum().reset_index()
    sizes = groups["n_cells"].to_numpy(np.float64)[:, None]
    member = sp.csr_matrix(
        (np.ones(len(code)), (code, np.arange(len(code)))), shape=(len(joint), len(code))
    )
    joint_mean = member @ (sizes * mean)
    joint_mean /= joint["n_cells"].to_numpy()[:, None]
    squares = joint_mean[code]  # becomes m2 + sizes · (mean − joint mean)² without a further copy
    np.subtract(mean, squares, out=squares)
    squares **= 2
    squares *= sizes
    squares += m2
    return joint, joint_mean, member @ squares

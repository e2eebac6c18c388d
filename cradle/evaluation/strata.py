"""Batches: each cell is compared with the control cells of its own batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

FloatArray = npt.NDArray[np.float64]
#: Fewer training controls than this in a batch say more about noise than about the batch.
MIN_CONTROLS = 30


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
    controls = (groups["perturbation"] == control) & (groups["split"] == "train")
    sizes = groups["n_cells"].where(controls, 0).to_numpy(np.float64)
    offsets = np.zeros_like(mean)
    enough = {
        batch: rows.index.to_numpy()
        for batch, rows in groups[controls].groupby("batch")
        if rows["n_cells"].sum() >= MIN_CONTROLS
    }
    if len(enough) < 2:
        return offsets
    every = np.concatenate(list(enough.values()))
    overall = np.average(mean[every], axis=0, weights=sizes[every])
    for batch, rows in enough.items():
        own = np.average(mean[rows], axis=0, weights=sizes[rows])
        offsets[(groups["batch"] == batch).to_numpy()] = own - overall
    return offsets


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

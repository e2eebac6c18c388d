"""Which group each cell belongs to, and sums over groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from cradle.data.columns import coded_texts
from cradle.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

FloatArray = npt.NDArray[np.float64]


def cell_keys(adata: AnnData, seed: int) -> pd.DataFrame:
    """perturbation, split, qc_fail, batch and half of each cell, as small codes.

    InputError where a column is absent; see ``compute_moments`` for the halves.
    """
    absent = [c for c in ("perturbation", "split", "qc_fail", "library_size") if c not in adata.obs]
    if absent:
        raise InputError(
            f"The cells carry no column {', '.join(absent)}.",
            f"obs columns {', '.join(map(str, adata.obs.columns))}.",
            "Standardize the file, split its cells and apply the QC thresholds first.",
        )
    obs = adata.obs
    keys = pd.DataFrame(
        {
            "perturbation": coded_texts(obs["perturbation"]),
            "split": coded_texts(obs["split"]),
            "qc_fail": obs["qc_fail"].to_numpy(bool),
            "batch": coded_texts(obs["batch"]) if "batch" in obs else "",
        }
    )
    return keys.assign(half=_halves(keys, adata.obs_names.to_numpy(), seed))


def _halves(keys: pd.DataFrame, names: npt.NDArray[np.object_], seed: int) -> npt.NDArray[np.int8]:
    """A random half of each cell, 0 and 1 in turn within each perturbation, split and QC flag."""
    # Drawn in the order of the names, so that a permuted file has the same halves.
    draw = np.empty(len(keys))
    draw[names.argsort()] = np.random.default_rng(seed).random(len(keys))
    dealt = keys.groupby(["perturbation", "split"], observed=True).ngroup().to_numpy()
    order = np.lexsort((draw, keys["qc_fail"], dealt))
    del draw
    sizes = np.bincount(dealt)
    half = np.empty(len(keys), np.int8)
    half[order] = (np.arange(len(keys)) - np.repeat(sizes.cumsum() - sizes, sizes)) % 2
    return half


def add_by_group(
    totals: FloatArray, expression: sp.csr_matrix, group: npt.NDArray[np.integer]
) -> None:
    """Add the rows of a block of cells to the totals of their groups, (n_groups, n_genes)."""
    n_cells = expression.shape[0]
    member = sp.csr_matrix(
        (np.ones(n_cells), (group, np.arange(n_cells))), shape=(totals.shape[0], n_cells)
    )
    # A product of CSR matrices holds each position once, so += loses nothing.
    summed = (member @ expression).tocoo()
    totals[summed.row, summed.col] += summed.data

"""Groups of cells put together: which of them, and their moments as one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

GENES_AT_ONCE = 512

FloatArray = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Pooled:
    """Mean and sample variance of log2(1 + 1e4·x/library size) per perturbation.

    Parameters
    ----------
    labels
        Canonical labels, control included where it has cells.
    n
        Cells per label, (n_labels,).
    mean, var
        (n_labels, n_genes); var has n − 1 in the denominator and is NaN for a single cell.
    """

    labels: tuple[str, ...]
    n: npt.NDArray[np.int64]
    mean: FloatArray
    var: FloatArray


class GroupIndex:
    """Finds groups by their keys; an evaluation asks hundreds of times, so the keys are codes.

    Parameters
    ----------
    groups
        One row a group: perturbation, split, half, qc_fail, n_cells.
    """

    def __init__(self, groups: pd.DataFrame) -> None:
        self._label, self._split, self._half = (
            _Key(*pd.factorize(groups[name].to_numpy(), sort=True))
            for name in ("perturbation", "split", "half")
        )
        self._passes = ~groups["qc_fail"].to_numpy(bool)
        self.n_cells = groups["n_cells"].to_numpy(np.int64)

    def rows(
        self, splits: Collection[str], halves: Collection[int] | None, passing_only: bool,
        labels: Collection[str] | None,
    ) -> Rows:  # fmt: skip
        """Groups of these splits, halves and labels (None: all of them)."""
        chosen = self._split.among(splits)
        if halves is not None:
            chosen &= self._half.among(halves)
        if passing_only:
            chosen &= self._passes
        if labels is not None:
            chosen &= self._label.among(labels)
        return np.flatnonzero(chosen)

    def labelled(self, rows: Rows) -> tuple[Rows, tuple[str, ...], npt.NDArray[np.int64]]:
        """Which label each of these groups has; the labels, sorted; and cells per label."""
        there, codes = np.unique(self._label.codes[rows], return_inverse=True)
        n = np.bincount(codes, weights=self.n_cells[rows], minlength=len(there))
        return codes, tuple(str(self._label.names[i]) for i in there), n.astype(np.int64)


class _Key(NamedTuple):
    codes: Rows
    names: npt.NDArray[Any]

    def among(self, wanted: Collection[Any]) -> npt.NDArray[np.bool_]:
        these = [i for i, name in enumerate(self.names) if name in wanted]
        return np.isin(self.codes, these)


def pool_groups(
    mean: npt.NDArray[np.float32], m2: npt.NDArray[np.float32], index: GroupIndex, rows: Rows
) -> Pooled:
    """Moments per label of some groups, those of their cells (Chan et al. 1979).

    Parameters
    ----------
    mean, m2
        Mean and sum of squared deviations of every group, (n_groups, n_genes).
    index, rows
        Of the groups, and which of them.
    """
    codes, labels, n = index.labelled(rows)
    sizes = index.n_cells[rows][:, None]
    member = sp.csr_matrix(
        (np.ones(len(rows)), (codes, np.arange(len(rows)))), shape=(len(labels), len(rows))
    )
    freedom = np.where(n > 1, n - 1, np.nan)[:, None]
    own, var = np.empty((2, len(labels), mean.shape[1]))
    # a few genes at a time: groups are many times as many as labels
    for start in range(0, mean.shape[1], GENES_AT_ONCE):
        genes = slice(start, start + GENES_AT_ONCE)
        of_group = mean[:, genes][rows].astype(np.float64)
        own[:, genes] = member @ (sizes * of_group) / n[:, None]
        between = sizes * (of_group - own[:, genes][codes]) ** 2
        var[:, genes] = member @ (m2[:, genes][rows].astype(np.float64) + between) / freedom
    return Pooled(labels, n, own, var)

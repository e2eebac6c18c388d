"""QC-failed cells grouped by what they fail: a first guess of the kinds of artifact."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

_DEPTH = ["fails_umi_counts", "fails_genes_detected"]


def failed_kinds(
    obs: pd.DataFrame, rows: npt.NDArray[np.integer[Any]] | None = None
) -> npt.NDArray[np.int64]:
    """The kind of each cell by the rarest criterion that it fails, the one that says most of it.

    Too few counts and too few genes are one kind: both are low depth.

    Parameters
    ----------
    obs
        ``qc_fail`` and, where cells were judged here, ``fails_<criterion>``.
    rows
        Which cells, and in which order; all by default.

    Returns
    -------
    (n_rows,), 0 for QC-passing cells; failed ones count from 1, the most common kind first.
    """
    rows = np.arange(len(obs)) if rows is None else rows
    failed = obs["qc_fail"].to_numpy(bool)[rows]
    at = rows[failed]
    names = [name for name in obs if str(name).startswith("fails_")]
    flags = pd.DataFrame({name: obs[name].to_numpy()[at] == 1 for name in names}, index=at)
    depth = [name for name in _DEPTH if name in flags]
    flags = flags.drop(columns=depth).assign(depth=flags[depth].any(axis=1), other=True)
    # whatever made a cell fail without a flag comes last, as every cell carries it
    number = flags.sum().to_numpy()
    rarest = np.where(flags, number, len(rows) + 1).argmin(axis=1)
    common = np.bincount(rarest, minlength=len(number)).argsort(kind="stable")[::-1]
    kinds = np.zeros(len(rows), np.int64)
    kinds[failed] = common.argsort()[rarest] + 1
    return kinds

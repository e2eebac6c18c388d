"""QC-failed cells grouped by what they fail: a first guess of the kinds of artifact."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

_DEPTH = ["fails_umi_counts", "fails_genes_detected"]


def failed_kinds(obs: pd.DataFrame) -> npt.NDArray[np.int64]:
    """The kind of each cell by the rarest criterion that it fails, the one that says most of it.

    Too few counts and too few genes are one kind: both are low depth.

    Parameters
    ----------
    obs
        ``qc_fail`` and, where cells were judged here, ``fails_<criterion>``.

    Returns
    -------
    (n_cells,), 0 for QC-passing cells; failed ones count from 1, the most common kind first.
    """
    failed = obs["qc_fail"].to_numpy(bool)
    flags = obs.filter(regex="^fails_") == 1
    depth = [name for name in _DEPTH if name in flags]
    flags = flags.drop(columns=depth).assign(depth=flags[depth].any(axis=1), other=True)
    # whatever made a cell fail without a flag comes last, as every cell carries it
    number = flags[failed].sum().to_numpy()
    rarest = np.where(flags, number, len(obs) + 1).argmin(axis=1)
    common = np.bincount(rarest[failed], minlength=len(number)).argsort(kind="stable")[::-1]
    return np.where(failed, common.argsort()[rarest] + 1, 0)

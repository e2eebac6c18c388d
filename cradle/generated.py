"""Generated cells as an annotated table, judged like observed ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    import scipy.sparse as sp
    from anndata import AnnData

    from cradle.data.qc import QCThresholds


def generated_cells(
    counts: sp.csr_matrix,
    means: npt.NDArray[np.float32],
    *,
    genes: Sequence[str],
    labels: Sequence[str] | pd.Series[str],
    artifact: npt.NDArray[np.str_],
    library_size: npt.NDArray[np.float64],
    thresholds: QCThresholds,
) -> AnnData:
    """Counts with their conditions and their quality columns.

    Parameters
    ----------
    counts, means
        Drawn and expected counts, ``(n_cells, n_genes)``.
    labels, artifact, library_size
        Of each cell: canonical label, ``off`` or ``on``, counts.
    thresholds
        Of the training cells; only generable criteria are judged.
    """
    from anndata import AnnData

    from cradle.data.qc import judge_generated

    obs = pd.DataFrame(
        {
            "perturbation": pd.Categorical(list(labels)),
            "artifact": pd.Categorical(artifact, categories=["off", "on"]),
            "library_size": library_size,
        },
        index=[f"generated_{i}" for i in range(len(library_size))],
    )
    cells = AnnData(counts, obs, pd.DataFrame(index=list(genes)), layers={"mean": means})
    cells.obs = cells.obs.join(judge_generated(cells, thresholds))
    return cells

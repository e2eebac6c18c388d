"""Which criteria may be biology: failing far more often in a perturbation than in control."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cradle.data.qc_genes import CRITERIA
from cradle.data.schema import CONTROL

BIOLOGY_RATIO = 3.0
BIOLOGY_MIN_CELLS = 10
BIOLOGY_MAX_P = 0.01


def maybe_biology(flags: pd.DataFrame, perturbation: pd.Series) -> dict[str, list[str]]:
    """Find criteria that fail far more often in some perturbation than in control.

    A perturbation is named when it has at least 10 judged cells, its failure rate is at least
    three times that of control, and so many failures would come up in fewer than 1 % of random
    divisions of the two groups' cells (one-sided Fisher's exact test): one failing cell in a small
    group, or two against one in larger ones, are no evidence.

    Parameters
    ----------
    flags
        Of `apply_thresholds` or `judge`.
    perturbation
        Canonical label per cell, same index.

    Returns
    -------
    dict
        Each measurable criterion to the perturbations that carry it, highest failure rate first;
        nothing is named without judged control cells.
    """
    labels = perturbation.astype(str).to_numpy()
    columns = {c: flags[f"fails_{c}"] for c in CRITERIA if flags[f"fails_{c}"].notna().any()}
    return {c: _overrepresented(column.to_numpy(), labels) for c, column in columns.items()}


def _overrepresented(fails: NDArray[np.float64], labels: NDArray[Any]) -> list[str]:
    from scipy.stats import hypergeom  # half a second, not for pages that only need names

    judged = ~np.isnan(fails)
    table = pd.DataFrame({"fails": fails[judged]}).groupby(labels[judged])["fails"]
    groups = table.agg(["sum", "count"])
    if CONTROL not in groups.index:
        return []
    n_fail, n_cells = groups["sum"].to_numpy(), groups["count"].to_numpy()
    rate = n_fail / n_cells
    control = groups.index.get_loc(CONTROL)
    chance = hypergeom.sf(n_fail - 1, n_cells + n_cells[control], n_fail + n_fail[control], n_cells)
    named = (
        (groups.index != CONTROL)
        & (n_cells >= BIOLOGY_MIN_CELLS)
        & (n_fail * n_cells[control] >= BIOLOGY_RATIO * n_fail[control] * n_cells)  # exact
        & (chance < BIOLOGY_MAX_P)
    )
    by_rate = np.argsort(-rate, kind="stable")
    return [str(groups.index[i]) for i in by_rate if named[i]]

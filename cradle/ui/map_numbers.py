"""Numbers about a map: how far two sources of cells mix, and the genes of selected cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from cradle.embedding import N_NEIGHBOURS

if TYPE_CHECKING:
    from anndata import AnnData

N_SHOWN = 30  # genes of a selection


def neighbour_mixing(
    components: npt.NDArray[np.float32], source: npt.NDArray[np.str_], k: int = N_NEIGHBOURS
) -> float | None:
    """How often nearest neighbours are of the other source, relative to perfect mixing.

    1: neighbours are drawn at random from both sources; 0: the sources lie apart. Euclidean
    distances between principal components, mean over the cells of both sources, each
    source counting once.

    Parameters
    ----------
    components
        (n_cells, n_components).
    source
        (n_cells,), two different names.
    k
        Neighbours per cell.
    """
    from sklearn.neighbors import NearestNeighbors

    names, codes = np.unique(source, return_inverse=True)
    if len(names) != 2 or len(source) <= k + 1:
        return None
    found = NearestNeighbors(n_neighbors=k + 1).fit(components).kneighbors(return_distance=False)
    other = (codes[found[:, 1:]] != codes[:, None]).mean(axis=1)
    expected = [(codes != i).sum() / (len(codes) - 1) for i in (0, 1)]
    return float(np.mean([other[codes == i].mean() / expected[i] for i in (0, 1)]))


def differential_genes(adata: AnnData, selected: Sequence[int]) -> pd.DataFrame:
    """Genes that differ between selected cells and all others on the map.

    Parameters
    ----------
    adata
        Cells of a map, X in log2 units, CSR.
    selected
        Row numbers; at least two cells on either side.

    Returns
    -------
    DataFrame
        All genes, largest |t| first: gene, direction, difference (log2 units, selected minus
        rest), p_adjusted (Benjamini and Hochberg, over all genes), share of cells with a count
        in either group (percent), cells in either group, Welch's t and its p. Genes without any
        spread have t = 0 and p = 1. Cells are not replicates, and were chosen by eye on a map made
        from the same genes: p ranks, it does not prove.
    """
    from scipy.stats import false_discovery_control, ttest_ind_from_stats

    inside = np.zeros(adata.n_obs, dtype=bool)
    inside[list(selected)] = True
    n, rest = int(inside.sum()), int((~inside).sum())
    (m1, v1, d1), (m2, v2, d2) = _moments(adata.X[inside]), _moments(adata.X[~inside])
    spread = v1 / n + v2 / rest > 0
    t, p = np.zeros(adata.n_vars), np.ones(adata.n_vars)
    with np.errstate(divide="ignore", invalid="ignore"):  # genes that no cell has, replaced below
        found = ttest_ind_from_stats(m1, np.sqrt(v1), n, m2, np.sqrt(v2), rest, equal_var=False)
    t[spread], p[spread] = found.statistic[spread], found.pvalue[spread]
    table = pd.DataFrame(
        {"gene": adata.var_names.astype(str), "direction": np.where(m1 > m2, "up", "down"),
         "difference": m1 - m2, "p_adjusted": false_discovery_control(p),
         "percent_selected": 100 * d1, "percent_rest": 100 * d2, "n_selected": n, "n_rest": rest,
         "t": t, "p": p}
    )  # fmt: skip
    return table.loc[table["t"].abs().sort_values(ascending=False, kind="stable").index]


def _moments(x: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = max(x.shape[0], 1)
    mean = np.asarray(x.sum(axis=0)).ravel() / n
    square = np.asarray(x.multiply(x).sum(axis=0)).ravel() / n
    variance = np.maximum(square - mean**2, 0) * n / max(n - 1, 1)
    return mean, variance, np.asarray((x > 0).sum(axis=0)).ravel() / n

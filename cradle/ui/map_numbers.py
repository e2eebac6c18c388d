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


def differential_genes(adata: AnnData, selected: Sequence[int], limit: int = 30) -> pd.DataFrame:
    """Genes that differ between selected cells and all others on the map.

    Parameters
    ----------
    adata
        Cells of a map, X in log2 units, CSR.
    selected
        Row numbers.
    limit
        Number of genes, largest |t| first.

    Returns
    -------
    DataFrame
        gene, direction, difference (log2 units, selected minus rest), share of cells with a
        count in either group (percent), and Welch's t. A description: the cells were chosen
        by eye on a map made from the same genes, so there is no valid p-value.
    """
    inside = np.zeros(adata.n_obs, dtype=bool)
    inside[list(selected)] = True
    (m1, v1, d1), (m2, v2, d2) = _moments(adata.X[inside]), _moments(adata.X[~inside])
    spread = np.sqrt(v1 / inside.sum() + v2 / max((~inside).sum(), 1))
    difference = m1 - m2
    t = np.divide(difference, spread, out=np.zeros_like(difference), where=spread > 0)
    table = pd.DataFrame(
        {"gene": adata.var_names.astype(str), "direction": np.where(difference > 0, "up", "down"),
         "difference": difference, "percent_selected": 100 * d1, "percent_rest": 100 * d2, "t": t}
    )  # fmt: skip
    return table.loc[table["t"].abs().sort_values(ascending=False, kind="stable").index[:limit]]


def _moments(x: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = max(x.shape[0], 1)
    mean = np.asarray(x.sum(axis=0)).ravel() / n
    square = np.asarray(x.multiply(x).sum(axis=0)).ravel() / n
    variance = np.maximum(square - mean**2, 0) * n / max(n - 1, 1)
    return mean, variance, np.asarray((x > 0).sum(axis=0)).ravel() / n

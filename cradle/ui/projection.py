"""Cells in two dimensions: principal components, then UMAP or t-SNE."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from cradle.ui import map_store
from cradle.ui.map_numbers import N_NEIGHBOURS

if TYPE_CHECKING:
    import scipy.sparse as sp

Method = Literal["PCA", "UMAP", "t-SNE"]
N_COMPONENTS = 50


def principal_components(
    x: sp.csr_matrix, fitted_on: npt.NDArray[np.bool_], seed: int
) -> npt.NDArray[np.float32]:
    """Components of all cells, (n_cells, n_components), of the axes of some of them.

    Parameters
    ----------
    x
        (n_cells, n_genes), log2 units.
    fitted_on
        (n_cells,), the cells that make the axes.
    seed
        Of the randomized solver.
    """
    from sklearn.decomposition import PCA

    n = min(N_COMPONENTS, int(fitted_on.sum()) - 1, x.shape[1] - 1)
    model = PCA(n, svd_solver="randomized", random_state=seed)
    if fitted_on.all():
        return np.asarray(model.fit_transform(x.toarray()), np.float32)
    return np.asarray(model.fit(x[fitted_on].toarray()).transform(x.toarray()), np.float32)


def place(
    components: npt.NDArray[np.float32], fitted_on: npt.NDArray[np.bool_], method: Method, seed: int
) -> npt.NDArray[np.float32]:
    """Positions of all cells on a map, (n_cells, 2), that some of them make; see
    ``principal_components``. t-SNE has no way to place cells afterwards: there all make it."""
    if method == "PCA":
        return components[:, :2]
    if method == "t-SNE":
        from sklearn.manifold import TSNE

        tsne = TSNE(perplexity=30, init="pca", random_state=seed)
        return np.asarray(tsne.fit_transform(components), np.float32)
    # Compiling takes half a minute the first time; kept for the next start of the app.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(map_store.folder() / "numba"))
    from umap import UMAP

    model = UMAP(n_neighbors=N_NEIGHBOURS, random_state=seed, n_jobs=1)
    if fitted_on.all():
        return np.asarray(model.fit_transform(components), np.float32)
    positions = np.empty((len(components), 2), np.float32)
    positions[fitted_on] = model.fit_transform(components[fitted_on])
    positions[~fitted_on] = model.transform(components[~fitted_on])
    return positions

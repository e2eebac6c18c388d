"""Cells on two axes: principal components of expression, then t-SNE or UMAP."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pathlib import Path

Method = Literal["PCA", "UMAP", "t-SNE"]
N_COMPONENTS, N_NEIGHBOURS = 50, 15


def principal_components(
    x: Any, seed: int, fitted_on: npt.NDArray[np.bool_] | None = None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Coordinates of all cells, ``(n_cells, n_components)``, along the axes of some of them; and
    the share of these cells' variance along each axis, ``(n_components,)``.

    Parameters
    ----------
    x
        ``(n_cells, n_genes)``, log2 units, CSR.
    seed
        Of the randomized solver.
    fitted_on
        ``(n_cells,)``, the cells that make the axes; all of them by default.
    """
    from sklearn.decomposition import PCA

    n_fitted = x.shape[0] if fitted_on is None else int(fitted_on.sum())
    n = min(N_COMPONENTS, n_fitted - 1, x.shape[1] - 1)
    model = PCA(n, svd_solver="randomized", random_state=seed)
    if fitted_on is None or fitted_on.all():
        placed = model.fit_transform(x.toarray())
    else:
        placed = model.fit(x[fitted_on].toarray()).transform(x.toarray())
    return np.asarray(placed, np.float32), np.asarray(model.explained_variance_ratio_, np.float32)


def positions(
    components: npt.NDArray[np.float32],
    method: Method,
    seed: int,
    *,
    fitted_on: npt.NDArray[np.bool_] | None = None,
    numba_cache: Path | None = None,
) -> npt.NDArray[np.float32]:
    """Cells on two axes, ``(n_cells, 2)``.

    Parameters
    ----------
    fitted_on
        ``(n_cells,)``, the cells that make the map; all of them by default. t-SNE has no way to
        place cells afterwards: there all make it.
    numba_cache
        Where UMAP's compiled code is kept for the next start: compiling takes half a minute.
    """
    if method == "PCA":
        return components[:, :2]
    if method == "t-SNE":
        from sklearn.manifold import TSNE

        tsne = TSNE(perplexity=30, init="pca", random_state=seed)
        return np.asarray(tsne.fit_transform(components), np.float32)
    if numba_cache is not None:
        os.environ.setdefault("NUMBA_CACHE_DIR", str(numba_cache))
    from umap import UMAP

    model = UMAP(n_neighbors=N_NEIGHBOURS, random_state=seed, n_jobs=1)
    if fitted_on is None or fitted_on.all():
        return np.asarray(model.fit_transform(components), np.float32)
    found = np.empty((len(components), 2), np.float32)
    found[fitted_on] = model.fit_transform(components[fitted_on])
    found[~fitted_on] = model.transform(components[~fitted_on])
    return found

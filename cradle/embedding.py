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


def log2_cp10k(counts: Any, sizes: npt.NDArray[np.floating]) -> Any:
    """log2(1 + 1e4·x/library size) of CSR counts ``(n_cells, n_genes)``, float32."""
    import scipy.sparse as sp

    x = sp.csr_matrix(counts, dtype=np.float32, copy=True)
    scale = (1e4 / sizes).astype(np.float32)
    x.data = np.log2(1 + x.data * np.repeat(scale, np.diff(x.indptr)))
    return x


def principal_components(x: Any, seed: int) -> npt.NDArray[np.float32]:
    """Coordinates of cells along at most ``N_COMPONENTS`` axes."""
    from sklearn.decomposition import PCA

    n = min(N_COMPONENTS, *(size - 1 for size in x.shape))
    fitted = PCA(n, svd_solver="randomized", random_state=seed).fit_transform(x.toarray())
    return np.asarray(fitted, np.float32)


def positions(
    components: npt.NDArray[np.float32], method: Method, seed: int, numba_cache: Path | None = None
) -> npt.NDArray[np.float32]:
    """Cells on two axes, ``(n_cells, 2)``.

    Parameters
    ----------
    numba_cache
        Where UMAP's compiled code is kept for the next start: compiling takes half a minute.
    """
    if method == "PCA":
        return components[:, :2]
    if method == "t-SNE":
        from sklearn.manifold import TSNE

        model = TSNE(perplexity=30, init="pca", random_state=seed)
        return np.asarray(model.fit_transform(components), np.float32)
    if numba_cache is not None:
        os.environ.setdefault("NUMBA_CACHE_DIR", str(numba_cache))
    from umap import UMAP

    model = UMAP(n_neighbors=N_NEIGHBOURS, random_state=seed, n_jobs=1)
    return np.asarray(model.fit_transform(components), np.float32)

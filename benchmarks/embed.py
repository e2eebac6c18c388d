"""A map of cells as the page *Embeddings* draws it, against the calls of the libraries alone.

Alone: scikit-learn's PCA of a dense matrix of expression, then its t-SNE or umap-learn's UMAP with
the same settings. Ours starts from sparse counts.
"""

import numpy as np

from benchmarks.screens import in_memory, least_seconds
from cradle.embedding import (
    N_COMPONENTS,
    N_NEIGHBOURS,
    Method,
    positions,
    principal_components,
)
from cradle.evaluation.moments import log2_expression

METHODS: dict[str, Method] = {"pca": "PCA", "umap": "UMAP", "tsne": "t-SNE"}
ROUNDS = 2


def measure(cells: int = 4_000, genes: int = 2_000) -> dict[str, dict[str, float]]:
    """Time each method and its library; returns ``figures`` and ``ratios``."""
    adata = in_memory(cells, genes)
    sizes = adata.obs["library_size"].to_numpy()
    dense = log2_expression(adata.X, sizes).toarray()

    def ours(method: Method) -> None:
        components, _ = principal_components(log2_expression(adata.X, sizes), seed=0)
        positions(components, method, seed=0)

    figures, ratios = {}, {}
    for name, method in METHODS.items():
        times = least_seconds(
            ROUNDS,
            ours=lambda method=method: ours(method),
            alone=lambda method=method: _alone(dense, method),
        )
        figures[f"{name}_seconds"], ratios[f"{name}_of_library"] = (
            times["ours"],
            times["ours"] / times["alone"],
        )
    return {"figures": figures, "ratios": ratios}


def _alone(dense: np.ndarray, method: Method) -> None:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from umap import UMAP

    fitted = PCA(N_COMPONENTS, svd_solver="randomized", random_state=0).fit_transform(dense)
    if method == "UMAP":
        UMAP(n_neighbors=N_NEIGHBOURS, random_state=0, n_jobs=1).fit_transform(fitted)
    if method == "t-SNE":
        TSNE(perplexity=30, init="pca", random_state=0).fit_transform(fitted)

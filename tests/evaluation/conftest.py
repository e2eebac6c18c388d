"""A labelled screen with known cells, and real held-out pairs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData

from cradle.evaluation.moments import Moments, compute_moments

HELD_OUT = (
    "KLF1+MAP2K6",
    "KLF1+TGFBR2",
    "MAP2K3+MAP2K6",
    "MAP2K3+SLC38A2",
    "MAPK1+TGFBR2",
)


@pytest.fixture
def cells() -> AnnData:
    """240 cells × 12 genes: control, A, B, C and A+B (test), some QC-failed, sparse counts."""
    rng = np.random.default_rng(7)
    labels = np.repeat(["control", "A", "B", "C", "A+B"], [80, 50, 50, 20, 40])
    split = np.where(rng.random(240) < 0.8, "train", "val")
    split[labels == "A+B"] = "test"
    rate = rng.gamma(2.0, 1.0, 12) * np.where(rng.random(12) < 0.3, 0.1, 1.0)
    counts = rng.poisson(rate, (240, 12)).astype(np.float32)
    counts[np.char.find(labels, "A") == 0, 2] += 4
    counts[(labels == "B") | (labels == "A+B"), 5] += 6
    obs = pd.DataFrame(
        {
            "perturbation": pd.Categorical(labels),
            "split": pd.Categorical(split),
            "qc_fail": rng.random(240) < 0.15,
            "library_size": counts.sum(axis=1) + rng.integers(5, 50, 240).astype(float),
        },
        index=[f"cell{i}" for i in range(240)],
    )
    var = pd.DataFrame(index=["A", "B", *(f"g{i}" for i in range(10))])
    return AnnData(sp.csr_matrix(counts), obs, var)


@pytest.fixture
def expression(cells: AnnData) -> np.ndarray:
    """log2(1 + 1e4·x/library size) of the cells, dense, by the textbook."""
    x = cells.X.toarray().astype(float)
    return np.log2(1 + 1e4 * x / cells.obs["library_size"].to_numpy()[:, None])


@pytest.fixture
def norman(real_data: Callable[[str], Path]) -> Callable[[int], Moments]:
    """Moments of the Norman subset with its five held-out pairs, by seed of split and halves."""
    import anndata as ad

    raw = ad.read_h5ad(real_data("norman2019_subset.h5ad"))
    raw.obs["perturbation"] = raw.obs["perturbation"].astype(str)
    raw.obs["library_size"] = raw.obs["ncounts"].astype(float)
    raw.obs["qc_fail"] = False

    def moments(seed: int) -> Moments:
        drawn = np.random.default_rng(seed).random(raw.n_obs) < 0.8
        split = np.where(drawn, "train", "val")
        raw.obs["split"] = np.where(raw.obs["perturbation"].isin(HELD_OUT), "test", split)
        return compute_moments(raw, seed=seed)

    return moments

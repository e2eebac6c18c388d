"""A small file or store, and the one way in which a file is refused."""

import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cradle.data.file_limits import Limits
from cradle.data.gate import open_safely
from cradle.errors import InputError

N_CELLS, N_GENES = 6, 5


def small(layout=sparse.csr_matrix) -> ad.AnnData:
    counts = np.arange(N_CELLS * N_GENES, dtype=np.float32).reshape(N_CELLS, N_GENES) % 3
    obs = pd.DataFrame({"perturbation": pd.Categorical(["control", "KLF1"] * 3)})
    obs.index = [f"cell{i}" for i in range(N_CELLS)]
    var = pd.DataFrame(index=[f"gene{i}" for i in range(N_GENES)])
    return ad.AnnData(layout(counts), obs=obs, var=var, uns={"note": "größer", "nested": {"a": 1}})


def full(layout=sparse.csr_matrix) -> ad.AnnData:
    """The small one with something in every slot."""
    adata = small(layout)
    adata.layers["counts"] = adata.X.copy()
    adata.raw = adata.copy()
    adata.obsm["pca"] = np.zeros((N_CELLS, 2))
    adata.obsp["near"] = sparse.csr_matrix((N_CELLS, N_CELLS))
    adata.obs["flag"] = pd.array([True, None] * 3, dtype="boolean")
    adata.uns["table"] = np.array([("a", 1.0)], dtype=[("name", "O"), ("score", "f4")])
    return adata


def written(folder: Path) -> Path:
    """The small file."""
    path = folder / "cells.h5ad"
    small().write_h5ad(path)
    return path


def refused(path: Path, pattern: str, **limits: int) -> InputError:
    with pytest.raises(InputError, match=pattern) as caught:
        open_safely(path, Limits(**limits) if limits else None)
    error = caught.value
    assert all(len(part) < 400 for part in (error.what, error.found, error.do))
    return error


def store(
    path: Path, adata: ad.AnnData | None = None, version: int = 3, *, shards: bool = False
) -> Path:
    """A dataset, the small one unless given, as a Zarr store of format 2 or 3."""
    settings = {"zarr_write_format": version}
    if shards:
        settings["auto_shard_zarr_v3"] = True
    with warnings.catch_warnings(), ad.settings.override(**settings):
        warnings.simplefilter("ignore")  # what zarr says of its own future
        (small() if adata is None else adata).write_zarr(path)
    return path

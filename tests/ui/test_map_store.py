"""Maps on disk: the same cells find them again, other cells and damaged files do not."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cradle.ui import map_store

REQUEST = ("UMAP", 0)


def _cells(value: float = 1.0) -> ad.AnnData:
    obs = pd.DataFrame({"source": ["observed", "artifact off"]}, index=["a", "b"])
    return ad.AnnData(sp.csr_matrix(np.array([[value, 0.0], [0.0, 2.0]])), obs=obs)


@pytest.mark.parametrize("mixing", [0.4, None])
def test_a_map_is_found_again(mixing: float | None) -> None:
    name = map_store.key(REQUEST, _cells())
    assert map_store.read(name, 2) is None
    positions = np.array([[0.0, 1.0], [2.0, 3.0]], np.float32)
    map_store.write(name, positions, mixing)
    found = map_store.read(name, 2)
    assert found is not None
    np.testing.assert_array_equal(found.positions, positions)
    assert found.mixing == mixing


def test_other_cells_and_settings_have_other_names() -> None:
    name = map_store.key(REQUEST, _cells())
    assert name == map_store.key(REQUEST, _cells())
    assert name != map_store.key(REQUEST, _cells(3.0))
    assert name != map_store.key(("UMAP", 1), _cells())


def test_a_damaged_map_is_computed_again() -> None:
    name = map_store.key(REQUEST, _cells())
    map_store.write(name, np.zeros((2, 2), np.float32), None)
    (map_store.folder() / f"{name}.npz").write_bytes(b"damaged")
    assert map_store.read(name, 2) is None
    map_store.write(name, np.zeros((3, 2), np.float32), None)
    assert map_store.read(name, 2) is None

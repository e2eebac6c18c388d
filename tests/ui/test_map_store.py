"""Maps on disk: found again as they were, damaged ones not, shipped ones first."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cradle.ui import map_store
from cradle.ui.map_store import Stored

NAME = map_store.key(("UMAP", 0), "cells", "model")


def _map(mixing: float | None = 0.4) -> Stored:
    obs = pd.DataFrame(
        {"source": pd.Categorical(["observed", "artifact off"]), "mt_percent": [0.5, np.nan],
         "qc_fail": [True, False]}
    )  # fmt: skip
    return Stored(obs, np.array([[0.0, 1.0], [2.0, 3.0]], np.float32), mixing)


@pytest.mark.parametrize("mixing", [0.4, None])
def test_a_map_is_found_again(mixing: float | None) -> None:
    assert map_store.read(NAME) is None
    map_store.write(NAME, _map(mixing))
    found = map_store.read(NAME)
    assert found is not None
    np.testing.assert_array_equal(found.positions, _map().positions)
    pd.testing.assert_frame_equal(found.obs, _map().obs.astype({"source": object}))
    assert found.obs["qc_fail"].dtype == bool
    assert found.mixing == mixing
    assert found.explained is None
    map_store.write(NAME, _map(mixing)._replace(explained=np.array([0.5, 0.25], np.float32)))
    assert map_store.read(NAME).explained.tolist() == [0.5, 0.25]  # type: ignore[union-attr]


def test_other_cells_models_and_settings_have_other_names() -> None:
    names = {
        map_store.key(("UMAP", 0), "cells", "model"), map_store.key(("UMAP", 1), "cells", "model"),
        map_store.key(("UMAP", 0), "other", "model"), map_store.key(("UMAP", 0), "cells", "other"),
        map_store.key(("UMAP", 0), "cells", None), map_store.key(("UMAP", 0), None, "model"),
    }  # fmt: skip
    assert len(names) == 6


def test_a_damaged_map_is_computed_again() -> None:
    map_store.write(NAME, _map())
    (map_store.folder() / f"{NAME}.npz").write_bytes(b"damaged")
    assert map_store.read(NAME) is None
    map_store.write(NAME, _map()._replace(positions=np.zeros((3, 2), np.float32)))
    assert map_store.read(NAME) is None


def test_a_shipped_map_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_store, "SHIPPED", tmp_path / "maps")
    map_store.write(NAME, _map(0.1))
    map_store.write(NAME, _map(0.9), map_store.SHIPPED)
    found = map_store.read(NAME)
    assert found is not None
    assert found.mixing == 0.9

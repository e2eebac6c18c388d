"""Maps of cells on disk, so that a restarted app does not compute them again."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from cradle.files import atomic_path
from cradle.ui.navigation import ROOT

if TYPE_CHECKING:
    from anndata import AnnData

VERSION = 1  # raise it when a map is computed in another way
SHIPPED = ROOT / "assets" / "maps"


class Stored(NamedTuple):
    """Positions, (n_cells, 2), and the mixing number of a map."""

    positions: npt.NDArray[np.float32]
    mixing: float | None


def folder() -> Path:
    """Per-user folder of computed maps; it may not exist yet."""
    from platformdirs import user_cache_path

    return user_cache_path("cradle") / "maps"


def key(request: tuple[object, ...], adata: AnnData) -> str:
    """Name of a map: its method and seed, and the content of the cells it is of."""
    method, seed = request[-2:]
    digest = hashlib.sha256(json.dumps([VERSION, method, seed, adata.shape]).encode())
    for part in (adata.X.indptr, adata.X.indices, adata.X.data):
        digest.update(np.ascontiguousarray(part).tobytes())
    digest.update("\n".join(adata.obs["source"].astype(str)).encode())
    return digest.hexdigest()[:24]


def read(name: str, n_cells: int) -> Stored | None:
    """A shipped or stored map; None where there is none, or where it is damaged."""
    for place in (SHIPPED, folder()):
        path = place / f"{name}.npz"
        if path.is_file():
            try:
                with np.load(path, allow_pickle=False) as file:
                    positions, mixing = file["positions"], float(file["mixing"])
            except (OSError, ValueError, KeyError, zipfile.BadZipFile):
                continue  # computed again and replaced
            if positions.shape == (n_cells, 2) and np.isfinite(positions).all():
                return Stored(positions, None if np.isnan(mixing) else mixing)
    return None


def write(name: str, positions: npt.NDArray[np.float32], mixing: float | None) -> None:
    """Keep a map, whole or not at all."""
    with atomic_path(folder() / f"{name}.npz") as path, path.open("wb") as file:
        np.savez_compressed(file, positions=positions, mixing=np.nan if mixing is None else mixing)

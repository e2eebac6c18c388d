"""Maps of cells on disk, shipped or kept, so that nobody computes the same map twice."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from cradle.files import atomic_path
from cradle.ui.navigation import ROOT

VERSION = 3  # raise it when a map is computed or kept in another way
SHIPPED = ROOT / "assets" / "maps"
_OBS = "obs_"


class Stored(NamedTuple):
    """A map: what is known of each cell, its position, (n_cells, 2), the mixing number, and the
    share of the cells' variance along each axis, (2,), of principal components."""

    obs: pd.DataFrame
    positions: npt.NDArray[np.float32]
    mixing: float | None
    explained: npt.NDArray[np.float32] | None = None


def folder() -> Path:
    """Per-user folder of computed maps; it may not exist yet."""
    from platformdirs import user_cache_path

    return user_cache_path("cradle") / "maps"


def key(settings: tuple[object, ...], cells: str | None, model: str | None) -> str:
    """Name of a map.

    Parameters
    ----------
    settings
        What was asked for: perturbations, numbers of cells, method, seed.
    cells, model
        Content hash of the observed cells and of the run; None where there are none.
    """
    content = json.dumps([VERSION, settings, cells, model])
    return hashlib.sha256(content.encode()).hexdigest()[:24]


def find(name: str) -> Path | None:
    """Where a map lies, shipped or kept."""
    places = (place / f"{name}.npz" for place in (SHIPPED, folder()))
    return next((path for path in places if path.is_file()), None)


def read(name: str) -> Stored | None:
    """A shipped or kept map; None where there is none, or where it is damaged."""
    path = find(name)
    if path is None:
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            columns = {n.removeprefix(_OBS): file[n] for n in file.files if n.startswith(_OBS)}
            explained = file["explained"] if "explained" in file.files else None
            stored = Stored(
                pd.DataFrame(columns), file["positions"], float(file["mixing"]), explained
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # computed again and replaced
    if stored.positions.shape != (len(stored.obs), 2) or not np.isfinite(stored.positions).all():
        return None
    return stored._replace(mixing=None) if np.isnan(stored.mixing or 0.0) else stored


def write(name: str, stored: Stored, place: Path | None = None) -> None:
    """Keep a map, whole or not at all; in the user's folder unless told otherwise."""
    content: dict[str, Any] = {f"{_OBS}{n}": _plain(column) for n, column in stored.obs.items()}
    content["positions"] = stored.positions
    content["mixing"] = np.nan if stored.mixing is None else stored.mixing
    if stored.explained is not None:
        content["explained"] = stored.explained
    with atomic_path((place or folder()) / f"{name}.npz") as path, path.open("wb") as file:
        np.savez_compressed(file, **content)


def _plain(column: pd.Series) -> npt.NDArray[np.generic]:
    """Numbers and truth values as they are, all else as text: a file without pickles."""
    plain = pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)
    return column.to_numpy() if plain else column.astype(str).to_numpy(str)

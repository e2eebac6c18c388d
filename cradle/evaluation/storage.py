"""Moments and effects on disk: arrays as safetensors, names as JSON in its header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from cradle.errors import InputError
from cradle.evaluation.effects import Effects
from cradle.evaluation.moments import Moments
from cradle.evaluation.strata import Batches
from cradle.files import atomic_path

MOMENTS = "cradle-moments-1"
EFFECTS = "cradle-effects-1"
COLUMNS = {
    "perturbation": str,
    "split": str,
    "half": np.int64,
    "qc_fail": bool,
    "n_cells": np.int64,
}


def save_moments(moments: Moments, path: Path) -> None:
    """Write moments, whole or not at all."""
    groups = {name: moments.groups[name].tolist() for name in COLUMNS}
    names = {"groups": groups, "genes": list(moments.genes)}
    arrays: dict[str, Any] = {"mean": moments.mean, "m2": moments.m2}
    if moments.batches is not None:
        arrays |= {f"batch_{name}": of for name, of in moments.batches._asdict().items()}
    if moments.residuals is not None:
        arrays["residuals"] = moments.residuals
    _write(path, MOMENTS, names, arrays)


def load_moments(path: Path) -> Moments:
    """Read and check what `save_moments` wrote (InputError when it is damaged)."""
    try:
        names, arrays = _read(path, MOMENTS, ("mean", "m2"))
        columns = {name: np.array(names["groups"][name], dtype=object) for name in COLUMNS}
        groups = pd.DataFrame(columns).astype(COLUMNS)
        genes = tuple(map(str, names["genes"]))
        shape = (len(groups), len(genes))
        batches = _batches(arrays, *shape)
        for name in ("mean", "m2"):
            _check(name, arrays[name], shape)
        if (groups["n_cells"] < 1).any() or (arrays["m2"] < 0).any():
            raise ValueError("a group without cells, or a negative sum of squares")
        residuals = arrays.get("residuals")  # absent in files of earlier versions
        if residuals is not None:
            _check("residuals", residuals, (len(residuals), len(genes)), np.float16)
        return Moments(groups, genes, arrays["mean"], arrays["m2"], batches, residuals)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "moments", error) from error


def _batches(arrays: Mapping[str, Any], n_groups: int, n_genes: int) -> Batches | None:
    """None in files of earlier versions, and of screens without batches."""
    if "batch_cells" not in arrays:
        return None
    found = Batches(arrays["batch_cells"], arrays["batch_error"])
    n_batches = len(found.error)
    _check("batch_cells", found.cells, (n_groups, n_batches))
    _check("batch_error", found.error, (n_batches, n_genes))
    return found


def save_effects(effects: Effects, path: Path) -> None:
    """Write effects as float32, whole or not at all; rows of NaN stay (not applicable)."""
    names = {"perturbations": list(effects.perturbations), "genes": list(effects.genes)}
    arrays = {name: getattr(effects, name) for name in ("mean", "lower", "upper")}
    present = {name: a.astype(np.float32) for name, a in arrays.items() if a is not None}
    _write(path, EFFECTS, names, present)


def load_effects(path: Path) -> Effects:
    """Read and check what `save_effects` wrote (InputError when it is damaged)."""
    try:
        names, arrays = _read(path, EFFECTS, ("mean",))
        labels = tuple(map(str, names["perturbations"]))
        genes = tuple(map(str, names["genes"]))
        for name, values in arrays.items():
            whole_rows = np.isnan(values).any(axis=1) == np.isnan(values).all(axis=1)
            if not whole_rows.all():
                raise ValueError(f"{name} has rows that are partly NaN")
            _check(name, values[~np.isnan(values)].reshape(-1, 1), None)
        return Effects(labels, genes, arrays["mean"], arrays.get("lower"), arrays.get("upper"))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "effects", error) from error


def _write(path: Path, kind: str, names: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    header = {"format": kind, **{name: json.dumps(value) for name, value in names.items()}}
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    with atomic_path(path) as temporary:
        save_file(contiguous, temporary, metadata=header)


def _read(path: Path, kind: str, needed: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    with safe_open(path, framework="numpy") as file:
        header = dict(file.metadata() or {})
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if header.pop("format", None) != kind:
        raise ValueError(f"not a file of format {kind}")
    absent = [name for name in needed if name not in arrays]
    if absent:
        raise KeyError(", ".join(absent))
    return {name: json.loads(value) for name, value in header.items()}, arrays


def _check(name: str, values: Any, shape: tuple[int, int] | None, kind: type = np.float32) -> None:
    wrong_shape = shape is not None and values.shape != shape
    if wrong_shape or values.dtype != kind or not np.isfinite(values).all():
        raise ValueError(f"{name} is not a finite {kind.__name__} table of shape {shape}")


def _damaged(path: Path, content: str, error: Exception) -> InputError:
    return InputError(
        f"{path.name} does not hold the {content} of a run.",
        f"{type(error).__name__}: {error}.",
        "Evaluate the run again with its dataset, or fit it again.",
    )

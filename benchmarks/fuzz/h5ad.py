"""Hostile and broken `.h5ad` files, made from good ones."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.fuzz.damage import damage

HOSTILE = (
    "=HYPERLINK(\"http://canary.invalid\",\"x\")", "+1+1", "-2+3", "@SUM(A1)", "../../etc/passwd",
    "/etc/passwd", "C:\\Windows", "![x](http://canary.invalid/x.png)", "<img src=x onerror=y>",
    "[a](javascript:b)", "$\\href{x}{y}$", "a\nb", "a\0b", "\u202egnp.exe", "", " ", "nan",
    "A" * 5000, ":smile:", "control", "ctrl", "A+A", "A+B+C+D", "+", "{0.__class__}", "%s%n",
    "é" * 40, "0", "-1",
)  # fmt: skip
_ENCODINGS = ("csr_matrix", "csc_matrix", "array", "dataframe", "dict", "categorical", "string",
              "string-array", "nullable-integer", "raw", "awkward-array", "null", "")  # fmt: skip
_NUMBERS = (0, 1, -1, 2**31 - 1, 2**31, 2**40, -(2**63), float("nan"), float("inf"), -0.5, 1e300)
_DTYPES = ("f4", "f8", "f2", "i1", "i4", "i8", "u8", "?", "c8", "S3", "V4")

Change = Callable[[h5py.File, random.Random, Path], None]


def mutate(bases: list[Path], out: Path, draw: random.Random, secret: Path) -> str:
    """Write a mutated copy of a base file; returns what kind of change was made.

    Parameters
    ----------
    secret
        An HDF5 file that no other file may make a reader open.
    """
    base = draw.choice(bases)
    if draw.random() < 0.45:
        out.write_bytes(damage(base.read_bytes(), draw))
        return "bytes"
    shutil.copyfile(base, out)
    change = draw.choice(CHANGES)
    times = draw.choice((1, 1, 1, 2, 4)) if change not in _ONCE else 1
    with h5py.File(out, "a") as file:
        for _ in range(times):
            try:
                change(file, draw, secret)
            except (TypeError, ValueError, OSError, LookupError, RuntimeError, OverflowError):
                continue  # that change is not possible here; the file stays as it was
    if draw.random() < 0.1:
        out.write_bytes(damage(out.read_bytes(), draw))
        return f"{change.__name__} and bytes"
    return change.__name__


def _objects(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visit(names.append)
    return names


def _datasets(file: h5py.File, kinds: str = "") -> list[str]:
    found = [name for name in _objects(file) if isinstance(file.get(name), h5py.Dataset)]
    return [n for n in found if not kinds or file[n].dtype.kind in kinds]


def _put(file: h5py.File, name: str, values: Any, **options: Any) -> None:
    """Replace a dataset and keep its attributes."""
    attributes = dict(file[name].attrs) if name in file else {}
    if name in file:
        del file[name]
    file.create_dataset(name, data=values, **options)
    file[name].attrs.update(attributes)


def remove(file: h5py.File, draw: random.Random, _: Path) -> None:
    del file[draw.choice(_objects(file))]


def rename(file: h5py.File, draw: random.Random, _: Path) -> None:
    file.move(draw.choice(_objects(file)), draw.choice(["uns/moved", "obs/moved", "X", "layers/x"]))


def attributes(file: h5py.File, draw: random.Random, _: Path) -> None:
    item = file[draw.choice(_objects(file))]
    key = draw.choice([*item.attrs, "encoding-type", "encoding-version", "shape", "_index"])
    values = (
        draw.choice(_ENCODINGS), draw.choice(HOSTILE).replace("\0", ""), draw.choice(_NUMBERS),
        np.array([draw.choice((0, 1, 50, 2**40, -1)), draw.choice((0, 1, 50, 2**40))]),
        np.array([draw.random()]), h5py.Empty("f4"), np.array(["a", "b"], dtype=object),
    )  # fmt: skip
    item.attrs[key] = draw.choice(values)


def drop_attribute(file: h5py.File, draw: random.Random, _: Path) -> None:
    item = file[draw.choice(_objects(file))]
    del item.attrs[draw.choice(list(item.attrs))]


def numbers(file: h5py.File, draw: random.Random, _: Path) -> None:
    dataset = file[draw.choice(_datasets(file, "iuf"))]
    values = dataset[...]
    for _ in range(draw.choice((1, 3, 20))):
        value = draw.choice(_NUMBERS)
        at = tuple(draw.randrange(n) for n in values.shape)
        with np.errstate(all="ignore"):
            values[at] = value
    dataset[...] = values


def strings(file: h5py.File, draw: random.Random, _: Path) -> None:
    dataset = file[draw.choice(_datasets(file, "O"))]
    values = np.asarray(dataset[...], dtype=object).reshape(-1)
    for _ in range(draw.choice((1, 3, 50))):
        values[draw.randrange(len(values))] = draw.choice(HOSTILE)
    dataset[...] = values.reshape(dataset.shape)


def kind(file: h5py.File, draw: random.Random, _: Path) -> None:
    name = draw.choice(_datasets(file))
    with np.errstate(all="ignore"):
        _put(file, name, file[name][...].astype(draw.choice(_DTYPES)))


def shape(file: h5py.File, draw: random.Random, _: Path) -> None:
    name = draw.choice(_datasets(file))
    values = file[name][...].reshape(-1)
    changed = (values[:0], values[:1], values[:-1], np.concatenate([values, values]),
               values[None], values[..., None], values[:1].reshape(()))  # fmt: skip
    _put(file, name, draw.choice(changed))


def swap(file: h5py.File, draw: random.Random, _: Path) -> None:
    first, second = draw.sample(_objects(file), 2)
    file.move(first, "swapped")
    file.move(second, first)
    file.move("swapped", second)


def scalar(file: h5py.File, draw: random.Random, _: Path) -> None:
    """A group where a value is expected, or the other way round."""
    name = draw.choice(_objects(file))
    group = isinstance(file[name], h5py.Group)
    del file[name]
    if group:
        file[name] = draw.choice((1, "text", np.arange(3)))
    else:
        file.create_group(name)


def link_out(file: h5py.File, draw: random.Random, secret: Path) -> None:
    name = draw.choice(_objects(file))
    del file[name]
    target = draw.choice((str(secret), os.path.relpath(secret, Path(file.filename).parent)))
    file[name] = draw.choice((h5py.ExternalLink(target, "/words"), h5py.SoftLink("/" + name)))


def link_round(file: h5py.File, draw: random.Random, _: Path) -> None:
    groups = [n for n in _objects(file) if isinstance(file[n], h5py.Group)]
    file[f"{draw.choice(groups)}/loop"] = file[draw.choice([*_objects(file), "/"])]


def storage_out(file: h5py.File, draw: random.Random, secret: Path) -> None:
    name = draw.choice(_datasets(file, "iuf"))
    old = file[name]
    attributes, dtype, size = dict(old.attrs), old.dtype, old.shape
    n_bytes = int(np.prod(size)) * dtype.itemsize
    del file[name]
    file.create_dataset(name, size, dtype, external=[(os.fsencode(secret), 0, n_bytes)])
    file[name].attrs.update(attributes)


def virtual(file: h5py.File, draw: random.Random, secret: Path) -> None:
    name = draw.choice(_datasets(file, "iuf"))
    attributes, size = dict(file[name].attrs), file[name].shape
    layout = h5py.VirtualLayout(size, dtype="i8")
    layout[...] = h5py.VirtualSource(str(secret), "words", size)
    del file[name]
    file.create_virtual_dataset(name, layout)
    file[name].attrs.update(attributes)


def bomb(file: h5py.File, draw: random.Random, _: Path) -> None:
    size = draw.choice([(2**20, 2**20), (2**34,), (2**28,), (2**62,)])
    chunk = tuple(min(n, 2 ** (20 // len(size))) for n in size)
    name = draw.choice(["uns/bomb", "layers/bomb", "obs/bomb", "X"])
    if name in file:
        del file[name]
    file.create_dataset(name, size, "u1", chunks=chunk, compression=draw.choice([None, "gzip"]))


def deep(file: h5py.File, draw: random.Random, _: Path) -> None:
    file.create_group("uns/" + "/".join("d" * draw.choice((10, 40, 500))))


def record(file: h5py.File, draw: random.Random, _: Path) -> None:
    """The record by which a file says that it is in standard form."""
    name = draw.choice(["schema_version", "name", "simulated", "dropped", "provenance", "truth",
                        "library_size_source", "thresholds", ""])  # fmt: skip
    path = f"uns/cradle/{name}".rstrip("/")
    if path in file:
        del file[path]
    values = (draw.choice(HOSTILE).replace("\0", ""), draw.choice(_NUMBERS), np.arange(3), 1, "1")
    file[path] = draw.choice(values)


def column(file: h5py.File, draw: random.Random, _: Path) -> None:
    """A column of obs with values that mean something to the reader."""
    n_cells = file["obs"][file["obs"].attrs["_index"]].shape[0]
    name = draw.choice(["ncounts", "n_counts", "batch", "split", "library_size", "percent_mito",
                        "ngenes", "perturbation", "full_mt_percent", "guide"])  # fmt: skip
    kinds = (
        np.full(n_cells, draw.choice(_NUMBERS), dtype="f8"),
        np.array([draw.choice(HOSTILE).replace("\0", "") for _ in range(n_cells)], dtype=object),
        np.arange(n_cells), np.zeros(n_cells, bool), np.array(["train"] * n_cells, dtype=object),
    )  # fmt: skip
    if name in file["obs"]:
        del file["obs"][name]
    file["obs"][name] = draw.choice(kinds)
    file["obs"][name].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    if file["obs"][name].dtype.kind == "O":
        file["obs"][name].attrs["encoding-type"] = "string-array"
    file["obs"].attrs["column-order"] = [*file["obs"].attrs["column-order"], name]


CHANGES: tuple[Change, ...] = (
    remove, rename, attributes, attributes, drop_attribute, numbers, numbers, strings, strings,
    kind, shape, swap, scalar, link_out, link_round, storage_out, virtual, bomb, deep, record,
    column, column,
)  # fmt: skip
_ONCE = (bomb, deep)

"""What an untrusted `.h5ad` must satisfy before it is read; runs in the gate's child process.

HDF5 lets a file pull in other files (external links, external storage, virtual datasets), claim
far more data than it holds, loop back into itself, or hold sparse indices that point outside the
matrix. Nothing is read here before the storage of every object is known to lie in this file.
Imports stay light (h5py and numpy), so that the child starts fast.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cradle.data.file_contents import (
    STRING_BYTES,
    check_sparse,
    has_strings,
    read_through,
    sparse_format,
)
from cradle.data.file_limits import Budget, Limits, refusal, shown
from cradle.errors import InputError

_ENCODINGS = frozenset(
    {"anndata", "raw", "dict", "dataframe", "array", "rec-array", "string-array", "string"}
    | {"bytes", "numeric-scalar", "null", "categorical", "csr_matrix", "csc_matrix"}
    | {"nullable-integer", "nullable-boolean", "nullable-string-array"}
)
_TABLES = ("/obs/", "/var/", "/raw/var/")


def check_contents(path: Path, limits: Limits) -> None:
    """Check every component of the HDF5 file at `path`; raise `InputError` at the first fault."""
    budget = Budget(limits, path.stat().st_size)
    with h5py.File(path, "r") as file:
        objects = dict(_walk(file, budget))
        check_is_anndata(file)
        addresses = {_address(item) for item in objects.values()}
        for name, item in objects.items():
            _check_attributes(name, item, budget, addresses)
            if isinstance(item, h5py.Dataset):
                check_column(name, item)
        for name, item in objects.items():
            if isinstance(item, h5py.Dataset):
                read_through(name, item, budget)
            elif layout := sparse_format(name, item):
                check_sparse(name, item, layout)


def _walk(file: h5py.File, budget: Budget) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Every group and dataset with its name; each must be stored here, and have one name only."""
    seen = {_address(file)}
    waiting: list[tuple[str, h5py.Group, int]] = [("", file, 1)]
    yield "/", file
    while waiting:
        prefix, group, depth = waiting.pop()
        if depth > budget.limits.depth:
            raise refusal("The file is nested too deeply.", prefix, f"depth {depth}")
        budget.add_objects(len(group))
        for key in group:
            name = f"{prefix}/{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise refusal("The file links to other places.", name, "a soft or external link")
            item = group[key]
            if isinstance(item, h5py.Group):
                waiting.append((name, item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                _check_storage(name, item, budget)
            else:
                raise refusal("The file holds an object of unknown kind.", name, "a named type")
            if (address := _address(item)) in seen:
                raise refusal("The file links to itself.", name, "a second name of one object")
            seen.add(address)
            yield name, item


def _check_storage(name: str, dataset: h5py.Dataset, budget: Budget) -> None:
    """Storage inside this file, a known type, filters that are at hand, and a size that fits."""
    creation = dataset.id.get_create_plist()
    if creation.get_layout() == h5py.h5d.VIRTUAL:
        raise refusal("The file takes data from other files.", name, "a virtual dataset")
    if creation.get_external_count():
        raise refusal("The file takes data from other files.", name, "external storage")
    for index in range(creation.get_nfilters()):
        code = creation.get_filter(index)[0]
        if not h5py.h5z.filter_avail(code):
            raise InputError(
                "The file is compressed in a way that cannot be read here.",
                f"HDF5 filter {code} in {shown(name)}.",
                "write it again with compression='gzip'.",
            )
    item_bytes = STRING_BYTES if has_strings(name, dataset.dtype) else dataset.dtype.itemsize
    if dataset.shape is not None:
        budget.add_array(name, dataset.shape, dataset.chunks, item_bytes)


def check_column(name: str, dataset: Any) -> None:
    """A part of a table, categories too, has one value a row; readers make tuples of others."""
    if name.startswith(_TABLES) and dataset.ndim != 1:
        raise refusal("A table of the file holds more than columns.", name, f"{dataset.ndim} axes")


def _check_attributes(
    name: str, item: h5py.Group | h5py.Dataset, budget: Budget, addresses: set[int]
) -> None:
    """Attributes count in the budget; references (anndata < 0.8) must point to a checked object."""
    budget.add_objects(len(item.attrs))
    for key in item.attrs:
        stored = item.attrs.get_id(key)
        budget.add_bytes(math.prod(stored.shape or ()) * max(stored.dtype.itemsize, 1))
        value = item.attrs[key]
        if isinstance(value, h5py.Reference):
            if _address_of(h5py.h5r.dereference(value, item.file.id)) not in addresses:
                raise refusal("The file refers to a hidden object.", name, f"attribute {key!r}")
        elif h5py.check_string_dtype(stored.dtype) is None:
            has_strings(f"{name} {key}", stored.dtype)
        elif not isinstance(value, h5py.Empty):
            budget.add_bytes(sum(len(text) for text in np.asarray(value, dtype=object).flat))
    check_encoding(name, item.attrs.get("encoding-type", "array"))


def check_encoding(name: str, encoding: Any) -> None:
    """What an element says it is must be something that anndata reads into plain tables."""
    if not isinstance(encoding, str) or encoding not in _ENCODINGS:
        raise refusal("The file holds an element of unknown encoding.", name, repr(encoding)[:60])


def check_is_anndata(file: Any) -> None:
    """Cells and genes have their tables."""
    missing = [key for key in ("obs", "var") if key not in file]
    if missing:
        raise InputError(
            "The file can be read, but is not AnnData.",
            f"no {' and no '.join(missing)}; at the top: {shown(', '.join(file) or 'nothing')}.",
            "convert it first, for example `scanpy.read_10x_h5(old).write_h5ad(new)` "
            "for a 10x Genomics file.",
        )


def _address(item: h5py.Group | h5py.Dataset) -> int:
    return _address_of(item.id)


def _address_of(identifier: Any) -> int:
    return int(h5py.h5o.get_info(identifier).addr)

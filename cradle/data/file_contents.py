"""The values of an untrusted file: read through once, and sparse matrices that hold together.

Datasets and groups are those of h5py or of zarr, which answer alike.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from cradle.data.file_limits import Budget, refusal
from cradle.errors import InputError

STRING_BYTES = 64  # what a string costs in memory beside its characters
_BLOCK_BYTES = 16 * 2**20


def has_strings(name: str, dtype: np.dtype[Any]) -> bool:
    """Whether values are strings of variable length; neither numbers nor text is refused."""
    kinds = [field[0] for field in dtype.fields.values()] if dtype.fields else [dtype]
    for kind in kinds:
        if kind.hasobject and kind.kind != "T" and h5py.check_string_dtype(kind) is None:
            raise refusal("The file holds values of a kind that is not read.", name, "references")
        if kind.base.kind not in "biufOSUT":
            raise refusal("The file holds values of a kind that is not read.", name, str(kind)[:60])
    return bool(dtype.hasobject)


def read_through(name: str, dataset: Any, budget: Budget) -> None:
    """Read everything once, so that a damaged chunk fails here and not in the caller.

    Strings count as they come: many of them may point to one long text in the file.
    """
    if dataset.shape is None:
        return
    strings = has_strings(name, dataset.dtype)
    columns = [key for key in dataset.dtype.names or () if dataset.dtype[key].hasobject]
    for block in _blocks(dataset):
        if strings:
            values = np.asarray(block)
            for part in [values[column] for column in columns] or [values]:
                budget.add_bytes(sum(len(text) for text in part.flat))


def _blocks(dataset: Any) -> Iterator[Any]:
    """The values in order of rows, in blocks of about 16 MiB that cut no chunk."""
    if dataset.shape == ():
        yield dataset[()]
        return
    item_bytes = STRING_BYTES if dataset.dtype.hasobject else max(dataset.dtype.itemsize, 1)
    block = list(dataset.chunks or dataset.shape)
    for axis in range(len(block)):
        size = math.prod(block) * item_bytes
        if size == 0:
            return
        if dataset.chunks:
            block[0] *= max(1, _BLOCK_BYTES // size)
            break
        block[axis] = max(1, min(block[axis], block[axis] * _BLOCK_BYTES // size))
    starts = (range(0, length, step) for length, step in zip(dataset.shape, block, strict=True))
    for corner in itertools.product(*starts):
        yield dataset[tuple(slice(at, at + step) for at, step in zip(corner, block, strict=True))]


def sparse_format(name: str, group: Any) -> str:
    """`csr`, `csc`, or nothing for a group that no reader takes for a sparse matrix."""
    stored = [group.attrs.get(key) for key in ("encoding-type", "h5sparse_format")]
    texts = [text.decode() if isinstance(text, bytes) else str(text) for text in stored if text]
    formats = {text[:3] for text in texts}
    if not formats & {"csr", "csc"}:
        return ""
    if len(formats) > 1:
        raise _corrupt(name, "two formats")
    return formats.pop()


def check_sparse(name: str, group: Any, layout: str) -> None:
    """Invariants of a compressed sparse matrix, streamed; compiled code relies on them blindly."""
    parts = [group.get(key) for key in ("indptr", "indices", "data")]
    shape = np.asarray(group.attrs.get("shape", group.attrs.get("h5sparse_shape", ())))
    if not all(getattr(part, "ndim", None) == 1 for part in parts):
        raise _corrupt(name, "indptr, indices or data are not there as vectors")
    indptr, indices, data = parts
    if shape.shape != (2,) or shape.dtype.kind not in "iu" or shape.min() < 0:
        raise _corrupt(name, "no valid shape")
    if indptr.dtype.kind not in "iu" or indices.dtype.kind not in "iu":
        raise _corrupt(name, "indices that are not integers")
    if data.dtype.kind not in "biuf":
        raise _corrupt(name, "values that are not numbers")
    major, minor = (int(n) for n in (shape if layout == "csr" else shape[::-1]))
    if indptr.shape[0] != major + 1 or indices.shape != data.shape:
        raise _corrupt(name, "lengths that disagree with the shape")
    last = 0
    for number, block in enumerate(_blocks(indptr)):
        if (number == 0 and block[0] != 0) or block[0] < last or (block[1:] < block[:-1]).any():
            raise _corrupt(name, "row pointers (indptr) that do not rise from 0")
        last = int(block[-1])
    if last != indices.shape[0]:
        raise _corrupt(name, "row pointers (indptr) that do not end at the number of values")
    for block in _blocks(indices):
        if block.min() < 0 or block.max() >= minor:
            raise _corrupt(name, f"indices outside 0 to {minor - 1}")


def _corrupt(name: str, found: str) -> InputError:
    return refusal("A sparse matrix in the file is damaged.", name, found)

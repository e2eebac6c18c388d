"""What an untrusted Zarr store must satisfy before it is read, and the one way to open it.

A store is a folder of small files. Zarr follows links, takes what its metadata names as true, fills
in zeros for a block whose file is missing, and loads the codecs that the metadata ask for, of
which some unpickle. So only what `AnnData.write_zarr` writes is read: formats 2 and 3, plain
compressors, the elements that carry an encoding. Consolidated metadata, a second copy that may
disagree with the first, are never looked at. zarr is imported late: most files are HDF5.
"""

import json
import math
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cradle.data.file_contents import (
    STRING_BYTES,
    check_sparse,
    has_strings,
    read_through,
    sparse_format,
)
from cradle.data.file_limits import Budget, Limits, refusal, shown, too_many_pieces
from cradle.data.hdf5_checks import check_column, check_encoding, check_is_anndata
from cradle.errors import InputError

_METADATA = {"zarr.json": 3, ".zgroup": 2, ".zarray": 2, ".zattrs": 2}
_METADATA_BYTES = 16 * 2**20
_CODECS = {
    2: {"vlen-utf8", "blosc", "gzip", "lz4", "zlib", "zstd"},
    3: {"bytes", "vlen-utf8", "blosc", "crc32c", "gzip", "zstd"},
}
_PARTS = ("data", "indices", "indptr")


def is_store(folder: Path) -> bool:
    """Whether a folder says that it is a Zarr store."""
    return any((folder / name).is_file() for name in ("zarr.json", ".zgroup"))


def files_of(store: Path, limits: Limits) -> dict[str, os.stat_result]:
    """Every file of a store by its key, in order; links and what is no file are refused."""
    found: dict[str, os.stat_result] = {}
    waiting = [("", 1)]
    while waiting:
        prefix, depth = waiting.pop()
        if depth > limits.depth:
            raise refusal("The file is nested too deeply.", prefix, f"depth {depth}")
        for name, status in _entries(store / prefix):
            _check_entry(key := f"{prefix}{name}", name, status.st_mode)
            if stat.S_ISDIR(status.st_mode):
                waiting.append((f"{key}/", depth + 1))
            else:
                found[key] = status
            if len(found) + len(waiting) > limits.pieces:
                raise too_many_pieces(limits)
    return dict(sorted(found.items()))


def _entries(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                yield entry.name, entry.stat(follow_symlinks=False)
    except OSError as error:
        raise InputError(
            "The file cannot be read.",
            f"{shown(folder.name)}: {error.strerror}.",
            "check its permissions, and that nothing else is writing to it.",
        ) from None


def _check_entry(key: str, name: str, mode: int) -> None:
    if stat.S_ISLNK(mode):
        raise refusal("The file links to other places.", key, "a symbolic link")
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise refusal("The file holds an object of unknown kind.", key, "a pipe or device")
    if not name.isprintable() or "\\" in name:  # zarr takes a backslash for a slash
        raise refusal("The file holds a name that cannot be used.", key, "an odd character")


def opened(store: Path) -> Any:
    """The store for reading, in the format that its files say and without consolidated metadata."""
    import zarr
    from zarr.storage import LocalStore

    known = frozenset(files_of(store, Limits()))

    class Whole(LocalStore):  # type: ignore[misc]
        supports_consolidated_metadata = False  # whoever opens a part again asks the store

        async def get(self, key: str, *others: Any, **named: Any) -> Any:
            found = await super().get(key, *others, **named)
            if found is None and key in known:  # zarr would go on with zeros
                raise InputError(
                    "A part of the file has gone while it was used.",
                    f"no {shown(key)} any more.",
                    "leave the store as it is until the command has ended, and start it again.",
                )
            return found

    version = 3 if "zarr.json" in known else 2
    return zarr.open_group(Whole(store, read_only=True), mode="r", zarr_format=version)


def as_from_hdf5(value: Any) -> Any:
    """Text in arrays of objects, as HDF5 gives it, in whatever dictionaries; zarr has its own."""
    if isinstance(value, Mapping):
        return {key: as_from_hdf5(item) for key, item in value.items()}
    is_text = isinstance(value, np.ndarray) and value.dtype.kind == "T"
    return value.astype(object) if is_text else value


def check_store(store: Path, limits: Limits) -> None:
    """Check every component of the Zarr store; raise `InputError` at the first fault.

    For a process of its own: it changes the settings of zarr.
    """
    import zarr

    zarr.config.set({"threading.max_workers": 1, "async.concurrency": 1})
    _check_lengths_of_blosc()
    files = files_of(store, limits)
    budget = Budget(limits, sum(status.st_size for status in files.values()))
    metadata = _checked_metadata(store, files, budget)
    if metadata[""].get("node_type") == "array":
        raise InputError(
            "The folder is one array of a Zarr store.",
            f"{shown(store.name)} has no groups.",
            "give the folder that `AnnData.write_zarr` has written.",
        )
    file = opened(store)
    check_is_anndata(file)
    items = {name: file[name] if name else file for name in metadata}
    for name, item in items.items():
        _check_attributes(f"/{name}", item, items.get(name.rpartition("/")[0]), budget)
        if isinstance(item, zarr.Array):
            _check_array(f"/{name}", item, metadata[name], budget)
    for name, item in items.items():
        if isinstance(item, zarr.Array):
            read_through(f"/{name}", item, budget)
        elif layout := sparse_format(f"/{name}", item):
            check_sparse(f"/{name}", item, layout)
            _check_no_gap(name, item, layout, files)


def _check_lengths_of_blosc() -> None:
    """Make the decoder refuse what says it is longer than it is: it would read beyond its end."""
    from numcodecs.blosc import Blosc, decompress

    def decode(_: Any, buf: Any, out: Any = None) -> Any:
        packed = memoryview(buf).cast("B")
        if len(packed) < 16 or struct.unpack_from("<I", packed, 12)[0] != len(packed):
            raise ValueError("a compressed block shorter or longer than it says")
        return decompress(buf, out)

    Blosc.decode = decode


def _checked_metadata(
    store: Path, files: dict[str, os.stat_result], budget: Budget
) -> dict[str, dict[str, Any]]:
    """Name of each group and array -> its metadata, all of one format, with known codecs."""
    found: dict[str, dict[str, Any]] = {}
    version = 3 if "zarr.json" in files else 2
    for key, status in files.items():
        folder, _, name = key.rpartition("/")
        if name not in _METADATA:
            continue
        if status.st_size > _METADATA_BYTES:
            raise refusal("The file holds metadata that are too large.", key, "over 16 MiB")
        budget.add_bytes(status.st_size)
        content = json.loads((store / key).read_bytes())
        if not isinstance(content, dict):
            raise refusal("The file holds metadata of unknown form.", key, type(content).__name__)
        if name == ".zattrs":
            continue
        if (_METADATA[name], content.get("zarr_format")) != (version, version) or folder in found:
            raise refusal("The file mixes formats of Zarr.", key, f"not format {version} alone")
        budget.add_objects(1)
        found[folder] = content
        _check_codecs(key, content)
    return found


def _check_codecs(name: str, metadata: dict[str, Any]) -> None:
    """Only codecs that compress, or lay out numbers and text; no other step on the way."""
    unknown = set(_codecs(metadata)) - _CODECS[metadata["zarr_format"]]
    if unknown:
        raise InputError(
            "The file is compressed in a way that cannot be read here.",
            f"{shown(', '.join(map(str, unknown)))} at {shown(name)}.",
            "write it again with `AnnData.write_zarr` and its own compression.",
        )
    if metadata.get("storage_transformers"):
        raise refusal("The file takes data from other places.", name, "a storage transformer")
    structured = not isinstance(metadata.get("dtype", metadata.get("data_type")), str)
    if not structured and metadata.get("fill_value") not in (None, 0, ""):
        raise refusal("The file fills gaps with values.", name, "a fill_value other than zero")


def _codecs(metadata: dict[str, Any]) -> list[Any]:
    """Names of all codecs of an array; those inside a shard stand for the shard."""
    if metadata["zarr_format"] == 2:
        chain = [*(metadata.get("filters") or ()), metadata.get("compressor")]
        return [codec["id"] for codec in chain if codec is not None]
    chain = list(metadata.get("codecs", ()))
    for shard in [codec for codec in chain if codec["name"] == "sharding_indexed"]:
        chain.remove(shard)
        chain += [*shard["configuration"]["codecs"], *shard["configuration"]["index_codecs"]]
    return [codec["name"] for codec in chain]


def _check_attributes(name: str, item: Any, parent: Any, budget: Budget) -> None:
    """Attributes count in the budget; each element says what it is, as anndata does since 0.8."""
    budget.add_objects(len(item.attrs))
    encoding = item.attrs.get("encoding-type")
    part_of_sparse = name.rpartition("/")[2] in _PARTS and parent and sparse_format(name, parent)
    if encoding is not None or not part_of_sparse:
        check_encoding(name, encoding)


def _check_array(name: str, array: Any, metadata: dict[str, Any], budget: Budget) -> None:
    """Numbers or text, each with its own codec, in blocks and of a size that fit."""
    strings = has_strings(name, array.dtype)
    if strings != ("vlen-utf8" in _codecs(metadata)):
        raise refusal("The file holds values of a kind that is not read.", name, "text as bytes")
    item_bytes = STRING_BYTES if strings else array.dtype.itemsize
    budget.add_array(name, array.shape, array.chunks, item_bytes)
    budget.add_pieces(math.prod(map(_ceil, array.shape, array.chunks)))
    check_column(name, array)


def _check_no_gap(name: str, group: Any, layout: str, files: dict[str, os.stat_result]) -> None:
    """Zarr reads zeros where a file is missing; a sparse matrix stores no such block.

    In any other array a block of zeros is stored just so, and nothing tells it from a lost one.
    """
    n_minor = group.attrs["shape"][1 if layout == "csr" else 0]
    for part in ("data", "indices") if n_minor > 1 else ("data",):
        array = group[part]
        for i in range(_ceil(array.shape[0], (array.shards or array.chunks)[0])):
            key = f"{name}/{part}/{array.metadata.encode_chunk_key((i,))}"
            if key not in files:
                raise refusal("A sparse matrix in the file is damaged.", key, "no block of values")


def _ceil(length: int, step: int) -> int:
    return -(-length // step)

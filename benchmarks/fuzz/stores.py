"""Hostile and broken Zarr stores, made from good ones."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.fuzz.damage import damage, other_value
from benchmarks.fuzz.h5ad import HOSTILE

_METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup")
_KEYS = ("shape", "chunks", "dtype", "data_type", "fill_value", "codecs", "compressor", "filters",
         "order", "chunk_grid", "chunk_key_encoding", "attributes", "encoding-type", "zarr_format",
         "node_type", "storage_transformers", "column-order", "_index", "ordered")  # fmt: skip
_CODECS = ("pickle", "json2", "msgpack2", "numcodecs.pickle", "blosc", "zstd", "gzip", "zlib",
           "lz4", "lzma", "vlen-utf8", "vlen-bytes", "bytes", "crc32c", "transpose", "delta",
           "sharding_indexed")  # fmt: skip
_VALUES = (
    None, True, [], {}, 0, -1, 1, 7, 2**31, 2**40, 2**63, 1e300, float("nan"), "", "x", [1],
    [2**40], [0], [-1], [1, 2], [2**20, 2**20], "<f8", "<f4", "|O", "|b1", "<U1000000000", "|V8",
    "<M8[s]", [["a", "|O"]], "string", "float32", "int64", "bytes", "complex64", "r64",
    "csr_matrix", "csc_matrix", "array", "dataframe", "categorical", "dict", "string-array",
    "../../etc/passwd", "group", "array", [{"name": "elsewhere"}],
)  # fmt: skip

Change = Callable[[Path, random.Random, Path], None]


def mutate(bases: list[Path], out: Path, draw: random.Random, secret: Path) -> str:
    """Write a mutated copy of a store; returns what kind of change was made.

    Parameters
    ----------
    secret
        A file that no store may make a reader open.
    """
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(draw.choice(bases), out)
    change = draw.choice(CHANGES)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        try:
            change(out, draw, secret)
        except (TypeError, ValueError, OSError, LookupError, RecursionError):
            continue  # that change is not possible here; the store stays as it was
    return change.__name__


def _files(store: Path, *, metadata: bool) -> list[Path]:
    files = sorted(path for path in store.rglob("*") if path.is_file())
    return [path for path in files if (path.name in _METADATA) == metadata]


def metadata_bytes(store: Path, draw: random.Random, _: Path) -> None:
    path = draw.choice(_files(store, metadata=True))
    path.write_bytes(damage(path.read_bytes(), draw))


def block_bytes(store: Path, draw: random.Random, _: Path) -> None:
    path = draw.choice(_files(store, metadata=False))
    path.write_bytes(damage(path.read_bytes(), draw))


def metadata_values(store: Path, draw: random.Random, _: Path) -> None:
    """Another value somewhere, or a key more or less."""
    path = draw.choice(_files(store, metadata=True))
    content = json.loads(path.read_text())
    other_value(content, draw, (*_VALUES, draw.choice(HOSTILE)), deeper=0.7, loss=0.2)
    if draw.random() < 0.2 and isinstance(content, dict):
        content[draw.choice(_KEYS)] = draw.choice(_VALUES)
    path.write_text(json.dumps(content))


def codec(store: Path, draw: random.Random, _: Path) -> None:
    """Another codec, with the settings that some codec takes."""
    arrays = [path for path in _files(store, metadata=True) if "shape" in path.read_text()]
    path = draw.choice(arrays)
    content = json.loads(path.read_text())
    name = draw.choice(_CODECS)
    settings: dict[str, Any] = draw.choice(({}, {"level": 1}, {"chunk_shape": [1]}, {"order": [0]}))
    if "codecs" in content:
        place = draw.randrange(len(content["codecs"]) + 1)
        content["codecs"][place : place + draw.choice((0, 1))] = [
            {"name": name, "configuration": settings}
        ]
    elif draw.random() < 0.5:
        content["compressor"] = {"id": name, **settings}
    else:
        content["filters"] = [{"id": name, **settings}]
    path.write_text(json.dumps(content))


def swap(store: Path, draw: random.Random, _: Path) -> None:
    """Two files of one kind change places: metadata of another array, or its blocks."""
    first, second = draw.sample(_files(store, metadata=draw.random() < 0.5), 2)
    spare = store / "swapped"
    first.rename(spare)
    second.rename(first)
    spare.rename(second)


def remove(store: Path, draw: random.Random, _: Path) -> None:
    path = draw.choice(sorted(store.rglob("*")))
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def move(store: Path, draw: random.Random, _: Path) -> None:
    path = draw.choice(sorted(store.rglob("*")))
    path.rename(path.with_name(draw.choice(("moved", "X", "_index", "data", "0", "zarr.json"))))


def link(store: Path, draw: random.Random, secret: Path) -> None:
    path = draw.choice(sorted(store.rglob("*")))
    target = draw.choice((secret, secret.parent, store, Path(os.path.relpath(secret, path.parent))))
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    path.symlink_to(target)


def odd_file(store: Path, draw: random.Random, _: Path) -> None:
    folder = draw.choice([store, *sorted(path for path in store.rglob("*") if path.is_dir())])
    name = draw.choice(
        ("a\nb", "a\\..\\b", ".hidden", "zarr.json", ".zgroup", ".zarray", "x" * 200)
    )
    if draw.random() < 0.3:
        os.mkfifo(folder / name)
    else:
        (folder / name).write_bytes(draw.choice((b"", b"{}", b"[" * 9999, draw.randbytes(99))))


def deep(store: Path, draw: random.Random, _: Path) -> None:
    (store / "uns" / "/".join("d" * draw.choice((10, 40, 500)))).mkdir(parents=True)


CHANGES: tuple[Change, ...] = (
    metadata_bytes, metadata_bytes, block_bytes, block_bytes, block_bytes, metadata_values,
    metadata_values, metadata_values, metadata_values, codec, codec, swap, swap, remove, move, link,
    odd_file, deep,
)  # fmt: skip

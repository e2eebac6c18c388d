"""Zarr stores that are damaged or mean harm: one clear error, and nothing read but the store."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from cradle.data import gate
from cradle.data.gate import open_safely
from cradle.errors import InputError
from tests.data.small_file import N_CELLS, N_GENES, refused, small, store
from tests.data.small_store import block, change, metadata

# --- the folder ----------------------------------------------------------------------------


def test_folders_that_are_no_store(tmp_path):
    assert "write_zarr" in refused(tmp_path, "names a folder").do
    (tmp_path / "zarr.json").touch()
    refused(tmp_path, "damaged")
    (tmp_path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    refused(tmp_path, "not AnnData")
    refused(Path("https://example.invalid/cells.zarr"), "no such file")


def test_links_out_of_the_store(folder, tmp_path):
    (tmp_path / "secret").write_bytes(block(folder, "X/data").read_bytes())
    block(folder, "X/data").unlink()
    (metadata(folder, "X/data").parent / "0").symlink_to(tmp_path / "secret")
    assert "X/data/0" in refused(folder, "links to other places").found


def test_a_linked_folder(folder, tmp_path):
    (folder / "obs").rename(tmp_path / "obs")
    (folder / "obs").symlink_to(tmp_path / "obs", target_is_directory=True)
    refused(folder, "links to other places")


def test_pipes_odd_names_depth_and_number(folder):
    os.mkfifo(folder / "uns" / "pipe")
    refused(folder, "object of unknown kind")
    (folder / "uns" / "pipe").unlink()
    (folder / "uns" / "a\\..\\b").mkdir()
    refused(folder, "name that cannot be used")
    (folder / "uns" / "a\\..\\b").rmdir()
    refused(folder, "too many pieces", pieces=20)
    refused(folder, "too many objects", objects=20)
    (folder / "uns" / "/".join("d" * 40)).mkdir(parents=True)
    refused(folder, "nested too deeply")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(folder):
    (folder / "obs").chmod(0)
    refused(folder, "cannot be read")


# --- what the metadata say -----------------------------------------------------------------


@pytest.mark.parametrize("content", ["", "{", "[]", "1", "[" * 100_000, '{"zarr_format": 4}'])
def test_metadata_that_are_none(folder, content):
    metadata(folder, "X/data").write_text(content)
    refused(folder, "damaged|unknown form|mixes formats")


def test_metadata_that_are_too_large(folder):
    path = metadata(folder, "X/data")
    path.write_text(path.read_text() + " " * 2**24)
    refused(folder, "metadata that are too large")


def test_two_formats_in_one_store(tmp_path):
    two, three = (store(tmp_path / f"{v}.zarr", version=v) for v in (2, 3))
    shutil.copytree(three / "obs", two / "uns" / "obs")
    refused(two, "mixes formats")
    shutil.copy(two / ".zgroup", three)
    refused(three, "mixes formats")


@pytest.mark.parametrize("codec", ["pickle", "json2", "msgpack2", "delta", "lzma", "os.system"])
def test_codecs_that_run_code_or_are_unknown(tmp_path, codec):
    two, three = (store(tmp_path / f"{v}.zarr", version=v) for v in (2, 3))
    path = metadata(two, "obs/_index")
    change(path, filters=[{"id": codec}])
    assert codec in refused(two, "compressed in a way").found
    change(path, filters=[{"id": "vlen-utf8"}], compressor={"id": codec})
    refused(two, "compressed in a way")
    codecs = [{"name": "bytes"}, {"name": f"numcodecs.{codec}", "configuration": {}}]
    change(metadata(three, "obs/_index"), codecs=codecs)
    refused(three, "compressed in a way")
    shard = {"chunk_shape": [1], "codecs": codecs, "index_codecs": codecs[:1]}
    change(
        metadata(three, "obs/_index"),
        codecs=[{"name": "sharding_indexed", "configuration": shard}],
    )
    refused(three, "compressed in a way")


def test_no_unpickling(tmp_path):
    """The store that would run a command if its codec were asked."""
    folder = store(tmp_path / "cells.zarr", version=2)
    script = "import os, pickle, sys\nclass P:\n def __reduce__(s): return os.mkdir, (sys.argv[1],)"
    payload = subprocess.run(
        [sys.executable, "-c", f"{script}\nsys.stdout.buffer.write(pickle.dumps(P()))",
         tmp_path / "unpickled"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    change(metadata(folder, "obs/_index"), filters=[{"id": "pickle"}], compressor=None)
    block(folder, "obs/_index").write_bytes(payload)
    refused(folder, "compressed in a way")
    assert not (tmp_path / "unpickled").exists()


def test_text_without_its_codec(tmp_path):
    """Bytes taken for pointers to text would end the process."""
    folder = store(tmp_path / "two.zarr", version=2)
    change(metadata(folder, "obs/_index"), filters=None)
    refused(folder, "text as bytes|damaged|kind that is not read")
    folder = store(tmp_path / "three.zarr", version=3)
    change(metadata(folder, "obs/_index"), codecs=[{"name": "bytes"}])
    refused(folder, "text as bytes|damaged")


@pytest.mark.parametrize("kind", ["c8", "M8[s]", "V4", "O"])
def test_values_that_are_neither_numbers_nor_text(tmp_path, kind):
    folder = store(tmp_path / "cells.zarr", version=2)
    dtype = "|O" if kind == "O" else np.dtype(kind).str
    change(metadata(folder, "obs/perturbation/codes"), dtype=dtype)
    refused(folder, "kind that is not read|text as bytes|damaged")


def test_storage_transformers_and_values_for_gaps(tmp_path):
    folder = store(tmp_path / "cells.zarr", version=3)
    path = metadata(folder, "X/data")
    change(path, storage_transformers=[{"name": "elsewhere", "configuration": {}}])
    refused(folder, "data from other places")
    change(path, storage_transformers=[], fill_value=7)
    refused(folder, "fills gaps with values")


def test_terabytes_in_kilobytes(folder):
    root = zarr.open_group(folder, mode="a", use_consolidated=False)
    for shape, chunks, pattern in (
        ((2**20, 2**20), (1024, 1024), "more data than this machine can hold"),
        ((2**26,), (2**20,), "far more data than it holds"),
        ((2**27,), (2**27,), "chunks that are too large"),
        ((2**24,), (1,), "too many pieces"),
    ):
        bomb = root.create_array("uns/bomb", shape=shape, chunks=chunks, dtype="f8", overwrite=True)
        bomb.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        refused(folder, pattern)


def test_unknown_encoding_and_none(folder):
    path = next(folder / "uns" / name for name in (".zattrs", "zarr.json")
                if (folder / "uns" / name).exists())  # fmt: skip
    text = path.read_text()
    path.write_text(text.replace('"dict"', '"awkward-array"'))
    refused(folder, "unknown encoding")
    path.write_text(text.replace("encoding-type", "other"))
    refused(folder, "unknown encoding")


def test_a_column_with_more_axes(folder):
    root = zarr.open_group(folder, mode="a", use_consolidated=False)
    column = root.create_array("obs/batch", data=np.ones((N_CELLS, 2)))
    column.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    refused(folder, "more than columns")


# --- the child process ---------------------------------------------------------------------


def test_a_store_that_changes_while_it_is_read(folder, monkeypatch):
    original = gate.read

    def swap(path):
        adata = original(path)
        inside = block(path, "X/data")
        inside.write_bytes(inside.read_bytes())
        return adata

    monkeypatch.setattr(gate, "read", swap)
    refused(folder, "changed while it was read")


def test_cells_and_matrix_that_disagree(tmp_path):
    folder = store(tmp_path / "cells.zarr", small(np.asarray))
    root = zarr.open_group(folder, mode="a", use_consolidated=False)
    x = root.create_array("X", data=np.ones((N_CELLS + 1, N_GENES)), overwrite=True)
    x.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    refused(folder, "not a complete AnnData")


def test_bit_flips_never_end_the_process(folder):
    """Any byte may be wrong: the store is read, or refused with one message."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    draw = random.Random(0)
    outcomes = []
    for _ in range(25):
        path = draw.choice(files)
        content = path.read_bytes()
        damaged = bytearray(content)
        for _ in range(draw.choice([1, 4, 16]) if content else 0):
            damaged[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            outcomes.append(open_safely(folder).n_obs)
        except InputError:
            outcomes.append(None)
        path.write_bytes(content)
    assert None in outcomes

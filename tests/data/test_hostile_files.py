"""Files that mean harm: one clear error, nothing read but the file, nothing lost."""

import os
import random
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from cradle.data import gate
from cradle.data.file_limits import Limits
from cradle.data.gate import open_safely
from cradle.errors import InputError
from tests.data.small_file import N_CELLS, refused, written
from tests.data.sparse_damage import DAMAGES


@pytest.fixture
def file(tmp_path) -> Path:
    return written(tmp_path)


def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as handle:
        handle["words"] = np.arange(N_CELLS)
    return path


def test_links_out_of_the_file(file, tmp_path):
    with h5py.File(file, "a") as handle:
        handle["obs/stolen"] = h5py.ExternalLink(secret(tmp_path), "/words")
    refused(file, "links to other places")
    with h5py.File(file, "a") as handle:
        del handle["obs/stolen"]
        handle["obs/alias"] = h5py.SoftLink("/obs/perturbation")
    refused(file, "links to other places")


def test_external_storage(file, tmp_path):
    foreign = tmp_path / "foreign.bin"
    foreign.write_bytes(b"\1" * 100)
    with h5py.File(file, "a") as handle:
        handle.create_dataset(
            "uns/stolen", (100,), dtype="u1", external=[(os.fsencode(foreign), 0, 100)]
        )
    refused(file, "takes data from other files")


def test_virtual_dataset(file, tmp_path):
    layout = h5py.VirtualLayout((N_CELLS,), dtype=int)
    layout[:] = h5py.VirtualSource(secret(tmp_path), "words", (N_CELLS,))
    with h5py.File(file, "a") as handle:
        handle.create_virtual_dataset("obs/stolen", layout)
    refused(file, "takes data from other files")


def test_hidden_object_behind_a_reference(file):
    """An object without a name is met by no walk, yet an attribute may point to it."""
    script = """
import os, sys, h5py
handle = h5py.File(sys.argv[1], "a")
hidden = handle.create_dataset("uns/hidden", (8,), "u1", external=[("/etc/hostname", 0, 8)])
handle["uns"].attrs["categories"] = hidden.ref
handle.flush()
del handle["uns/hidden"]
handle.flush()
os._exit(0)  # without closing: the object outlives its name
"""
    subprocess.run([sys.executable, "-c", script, str(file)], check=True)
    refused(file, "refers to a hidden object")


def test_references_among_the_values(file):
    with h5py.File(file, "a") as handle:
        handle["uns/refs"] = np.array([handle["X"].ref], dtype=h5py.ref_dtype)
    refused(file, "kind that is not read")


@pytest.mark.parametrize("kind", ["V4", "c8"])
def test_values_that_are_neither_numbers_nor_text(file, kind):
    """pandas ends in an error of its own over a column of opaque values."""
    with h5py.File(file, "a") as handle:
        handle["obs/odd"] = np.zeros(N_CELLS, dtype=kind)
    refused(file, "kind that is not read")


def test_cycle_and_second_name(file):
    with h5py.File(file, "a") as handle:
        handle["uns/loop"] = handle["uns"]
    refused(file, "links to itself")
    with h5py.File(file, "a") as handle:
        del handle["uns/loop"]
        handle["uns/again"] = handle["X/data"]
    refused(file, "links to itself")


def test_terabytes_in_kilobytes(file):
    with h5py.File(file, "a") as handle:
        handle.create_dataset("layers/bomb", (2**20, 2**20), "f4", chunks=(1024, 1024))
    assert file.stat().st_size < 100_000
    refused(file, "more data than this machine can hold")
    with h5py.File(file, "a") as handle:
        del handle["layers/bomb"]
        handle.create_dataset("uns/bomb", (2**28,), "f4", chunks=(2**20,), compression="gzip")
    refused(file, "far more data than it holds")


@pytest.mark.parametrize(("times", "pattern"), [(2_000, "far more data"), (100_000, "damaged")])
def test_many_strings_that_are_one(file, times, pattern):
    """Labels of 256 kB each, stored once: gigabytes when read."""
    with h5py.File(file, "a") as handle:
        text = np.array(["x" * 2**18], dtype=object)
        handle.create_dataset("uns/text", data=text, dtype=h5py.string_dtype())
        many = handle.create_dataset("uns/many", (times,), h5py.string_dtype(), chunks=(times,))
        many.id.write_direct_chunk((0,), _string_pointer(handle["uns/text"]) * times)
    refused(file, pattern)


def _string_pointer(dataset: h5py.Dataset) -> bytes:
    """What a contiguous dataset stores for its only string: 16 bytes that point into the file."""
    dataset.file.flush()
    with Path(dataset.file.filename).open("rb") as stream:
        stream.seek(dataset.id.get_offset())
        return stream.read(16)


def test_depth_objects_and_chunks(file):
    with h5py.File(file, "a") as handle:
        handle.create_group("uns/" + "/".join("d" * 40))
    refused(file, "nested too deeply")
    refused(file, "too many objects", objects=20)
    with h5py.File(file, "a") as handle:
        del handle["uns/d"]
        handle.create_dataset("uns/wide", (1,), "u1", chunks=(2**29,), maxshape=(None,))
    refused(file, "chunks that are too large")


@pytest.mark.parametrize("damage", DAMAGES)
def test_sparse_matrix_that_points_outside(file, damage):
    with h5py.File(file, "a") as handle:
        damage(handle["X"])
    refused(file, "sparse matrix in the file is damaged")


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_verdict_is_the_same_in_this_process(file, damage):
    assert gate._verdict(file, Limits()) is None
    with h5py.File(file, "a") as handle:
        damage(handle["X"])
    verdict = gate._verdict(file, Limits())
    assert verdict[0] == "A sparse matrix in the file is damaged."
    assert gate._verdict(file, Limits(objects=3))[0] == "The file holds too many objects."
    assert gate._verdict(file, Limits(declared_bytes=10))[0].startswith("The file declares more")
    file.write_bytes(file.read_bytes()[:-900])
    assert gate._verdict(file, Limits())[0] in ("The file is cut off.", "The file is damaged.")


def test_bit_flips_never_end_the_process(file):
    """Any byte may be wrong: the file is read, or refused with one message."""
    content = file.read_bytes()
    draw = random.Random(0)
    outcomes = []
    for _ in range(40):
        damaged = bytearray(content)
        for _ in range(draw.choice([1, 4, 16])):
            damaged[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        file.write_bytes(damaged)
        try:
            outcomes.append(open_safely(file).n_obs)
        except InputError:
            outcomes.append(None)
    assert None in outcomes

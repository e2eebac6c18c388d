"""Files from outside: whatever is in them, there is a table of cells or one clear error."""

import gzip
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cradle.data import gate
from cradle.data.gate import check_file, open_safely
from cradle.data.hdf5_limits import Limits
from cradle.errors import InputError

N_CELLS, N_GENES = 6, 5


def small(layout=sparse.csr_matrix) -> ad.AnnData:
    counts = np.arange(N_CELLS * N_GENES, dtype=np.float32).reshape(N_CELLS, N_GENES) % 3
    obs = pd.DataFrame({"perturbation": pd.Categorical(["control", "KLF1"] * 3)})
    obs.index = [f"cell{i}" for i in range(N_CELLS)]
    var = pd.DataFrame(index=[f"gene{i}" for i in range(N_GENES)])
    return ad.AnnData(layout(counts), obs=obs, var=var, uns={"note": "größer", "nested": {"a": 1}})


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "cells.h5ad"
    small().write_h5ad(path)
    return path


def refused(path: Path, pattern: str, **limits: int) -> InputError:
    with pytest.raises(InputError, match=pattern) as caught:
        open_safely(path, Limits(**limits) if limits else None)
    error = caught.value
    assert all(len(part) < 400 for part in (error.what, error.found, error.do))
    return error


# --- files that are good -------------------------------------------------------------------


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_every_layout_is_read_as_anndata_reads_it(tmp_path, layout, compression):
    path = tmp_path / "cells.h5ad"
    adata = small(layout)
    adata.layers["counts"] = adata.X.copy()
    adata.raw = adata.copy()
    adata.obsm["pca"] = np.zeros((N_CELLS, 2))
    adata.obsp["near"] = sparse.csr_matrix((N_CELLS, N_CELLS))
    adata.obs["flag"] = pd.array([True, None] * 3, dtype="boolean")
    adata.uns["table"] = np.array([("a", 1.0)], dtype=[("name", "O"), ("score", "f4")])
    adata.write_h5ad(path, compression=compression)
    found = open_safely(str(path))
    dense = np.asarray(small(np.asarray).X)
    for matrix in (found.X, found.layers["counts"], found.raw.X):
        values = matrix.toarray() if sparse.issparse(matrix) else matrix
        np.testing.assert_array_equal(values, dense)
    assert list(found.obs["perturbation"]) == ["control", "KLF1"] * 3
    assert found.uns["note"] == "größer"


@pytest.mark.parametrize(
    "name",
    [
        "norman2019_subset.h5ad",
        "norman2019_devel_lognorm.h5ad",
        "papalexi2021_eccite.h5ad",
        "pbmc3k_raw.h5ad",
    ],
)
def test_real_files_pass(real_data, name):
    path = real_data(name)
    assert open_safely(path).shape == gate.read(path).shape


def test_references_of_old_files_are_followed(file):
    """anndata before 0.8 kept categories elsewhere and pointed to them by an HDF5 reference."""
    with h5py.File(file, "a") as handle:
        obs = handle["obs"]
        del obs["perturbation"]
        obs["perturbation"] = np.array([0, 1] * 3, dtype=np.int8)
        names = np.array(["control", "KLF1"], dtype=object)
        obs.create_dataset("__categories/perturbation", data=names, dtype=h5py.string_dtype())
        obs["perturbation"].attrs["categories"] = obs["__categories/perturbation"].ref
        obs.attrs["encoding-version"] = "0.1.0"
    assert list(open_safely(file).obs["perturbation"]) == ["control", "KLF1"] * 3


def test_old_sparse_groups_are_checked_too(file):
    with h5py.File(file, "a") as handle:
        group = handle["X"]
        shape = group.attrs["shape"]
        for key in list(group.attrs):
            del group.attrs[key]
        group.attrs["h5sparse_format"], group.attrs["h5sparse_shape"] = b"csr", shape
        group["indices"][0] = N_GENES
    refused(file, "sparse matrix in the file is damaged")


def test_the_child_starts_fast_and_loads_nothing_heavy(file):
    script = "import sys, cradle.data.gate; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not {"anndata", "pandas", "scipy", "torch", "scanpy"} & set(done.stdout.split())
    check_file(file)
    started = time.perf_counter()
    check_file(file)
    assert time.perf_counter() - started < 1.5


def test_a_file_opened_by_link_and_from_another_folder(file, tmp_path, monkeypatch):
    (tmp_path / "link.h5ad").symlink_to(file)
    monkeypatch.chdir(tmp_path)
    assert open_safely("link.h5ad").n_obs == N_CELLS


# --- files that are not what they should be ------------------------------------------------


def test_absent_folder_pipe_unreadable_and_empty(tmp_path):
    refused(tmp_path / "absent.h5ad", "no such file")
    refused(Path("bad\0name.h5ad"), "no such file")
    refused(tmp_path, "names a folder")
    os.mkfifo(tmp_path / "pipe.h5ad")
    refused(tmp_path / "pipe.h5ad", "cannot be read")
    (tmp_path / "empty.h5ad").touch()
    refused(tmp_path / "empty.h5ad", "is empty")


def test_not_hdf5(tmp_path):
    path = tmp_path / "cells.h5ad"
    path.write_text("gene,cell\n")
    assert "gene,cell" in refused(path, "not an .h5ad file").found
    path.write_bytes(gzip.compress(b"x"))
    assert "gunzip" in refused(path, "not an .h5ad file").found


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    refused(file, "cut off|damaged")


def test_hdf5_but_not_anndata(tmp_path):
    path = tmp_path / "matrix.h5"
    with h5py.File(path, "w") as handle:
        handle.create_group("matrix")
    error = refused(path, "not AnnData")
    assert "matrix" in error.found
    assert "read_10x_h5" in error.do


def test_cells_and_matrix_that_disagree(file):
    with h5py.File(file, "a") as handle:
        del handle["X"]
        handle["X"] = np.zeros((N_CELLS + 1, N_GENES))
    refused(file, "not a complete AnnData")


def test_unknown_encoding_and_filter(file):
    with h5py.File(file, "a") as handle:
        handle["uns"].attrs["encoding-type"] = "awkward-array"
    refused(file, "unknown encoding")
    with h5py.File(file, "a") as handle:
        handle["uns"].attrs["encoding-type"] = "dict"
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((1,))
        plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)  # zstd, a plug-in
        space = h5py.h5s.create_simple((1,))
        h5py.h5d.create(handle["uns"].id, b"z", h5py.h5t.NATIVE_INT8, space, plist)
    assert "32015" in refused(file, "compressed in a way").found


@pytest.mark.parametrize("shape", [(N_CELLS, 1), ()])
def test_a_column_with_more_or_fewer_axes(file, shape):
    with h5py.File(file, "a") as handle:
        handle["obs/batch"] = np.zeros(shape)
    assert "/obs/batch" in refused(file, "more than columns").found


def test_categories_with_a_second_axis(file):
    with h5py.File(file, "a") as handle:
        group = handle.create_group("obs/batch")
        group.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0",
                            "ordered": False})  # fmt: skip
        group["codes"] = np.zeros(N_CELLS, np.int8)
        group["categories"] = np.array([["a"], ["b"]], dtype=h5py.string_dtype())
    assert "categories" in refused(file, "more than columns").found


# --- files that mean harm ------------------------------------------------------------------


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


def damage_shape(x):
    x.attrs["shape"] = [N_CELLS, 2]


def damage_length(x):
    x.attrs["shape"] = [N_CELLS + 1, N_GENES]


def damage_formats(x):
    x.attrs["h5sparse_format"] = "csc"


def damage_indices(x):
    x["indices"][1] = 2**30


def damage_negative(x):
    x["indices"][1] = -1


def damage_start(x):
    x["indptr"][0] = 1


def damage_order(x):
    x["indptr"][2] = 10_000


def damage_end(x):
    x["indptr"][N_CELLS] += 3


def damage_values(x):
    values = x["data"][:-1]
    del x["data"]
    x["data"] = values


def damage_kind(x):
    values = x["indices"][:]
    del x["indices"]
    x["indices"] = values.astype(float)


def damage_absent(x):
    del x["indptr"]


def damage_wrap(x):
    """Unsigned row pointers whose differences would wrap around."""
    values = x["indptr"][:].astype(np.uint64)
    values[2] = 2**64 - 1
    del x["indptr"]
    x["indptr"] = values


@pytest.mark.parametrize(
    "damage", [value for name, value in sorted(globals().items()) if name.startswith("damage_")]
)
def test_sparse_matrix_that_points_outside(file, damage):
    with h5py.File(file, "a") as handle:
        damage(handle["X"])
    refused(file, "sparse matrix in the file is damaged")


@pytest.mark.parametrize(
    "damage", [value for name, value in sorted(globals().items()) if name.startswith("damage_")]
)
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


# --- the child process ---------------------------------------------------------------------


def test_a_child_that_dies_or_hangs_is_one_error(file, monkeypatch):
    refused(file, "damaged", address_space=1)

    def too_long(*_, **__):
        raise subprocess.TimeoutExpired("gate", 1)

    monkeypatch.setattr(subprocess, "run", too_long)
    refused(file, "takes too long")


def test_the_child_sees_nothing_of_the_environment(file, monkeypatch):
    seen = {}
    original = subprocess.run

    def record(*args, **options):
        seen.update(options["env"])
        return original(*args, **options)

    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setattr(subprocess, "run", record)
    check_file(file)
    assert "SECRET_TOKEN" not in seen
    assert seen["HDF5_PLUGIN_PRELOAD"] == "::"


def test_a_file_swapped_after_the_check(file, monkeypatch):
    def swap(path):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content + b" ")
        return ad.read_h5ad(path)

    monkeypatch.setattr(gate, "read", swap)
    refused(file, "changed while it was read")

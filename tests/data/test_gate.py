"""Files from outside: whatever is in them, there is a table of cells or one clear error."""

import gzip
import os
import subprocess
import sys
import time
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
from scipy import sparse

from cradle.data import gate
from cradle.data.gate import check_file, open_safely
from tests.data.small_file import N_CELLS, N_GENES, full, refused, small, written


@pytest.fixture
def file(tmp_path) -> Path:
    return written(tmp_path)


# --- files that are good -------------------------------------------------------------------


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_every_layout_is_read_as_anndata_reads_it(tmp_path, layout, compression):
    path = tmp_path / "cells.h5ad"
    adata = full(layout)
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
    assert not {"anndata", "pandas", "scipy", "torch", "scanpy", "zarr"} & set(done.stdout.split())
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

"""Counts in memory and on the disk are the same cells."""

import json
import os
import shutil
import tempfile
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from cradle.data import gate
from cradle.data.cell_source import (
    InMemory,
    OnDisk,
    cell_source,
    check_room,
    row_blocks,
    take_rows,
)
from cradle.data.dosage import Design
from cradle.data.file_limits import Limits
from cradle.data.loading import CellDataModule, Cells
from cradle.data.preparation import prepare
from cradle.data.sources import data_hash, load
from cradle.errors import InputError
from cradle.fitting import fit
from tests.data.small_file import store


@pytest.fixture(params=["gzip"])
def backed(request, screen, tmp_path):
    path = tmp_path / "screen.h5ad"
    screen.write_h5ad(path, compression=request.param)
    return load(path, on_disk=True)


def test_every_source_answers_an_index_with_the_same_rows(screen, backed):
    index = np.array([5, 899, 0, 5, 300, 301])
    found = [cell_source(adata).read_rows(index) for adata in (screen, backed)]
    assert isinstance(cell_source(screen), InMemory)
    assert isinstance(cell_source(backed), OnDisk)
    for rows in found:
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(rows.toarray(), screen.X[index].toarray())
    assert cell_source(backed).read_rows(np.array([], int)).shape == (0, screen.n_vars)
    np.testing.assert_array_equal(take_rows(backed.X, index).toarray(), found[0].toarray())


def test_what_no_model_reads_stays_on_the_disk(screen, tmp_path):
    screen.obsm["X_pca"] = np.zeros((screen.n_obs, 50))
    screen.write_h5ad(path := tmp_path / "embedded.h5ad")
    assert "X_pca" in load(path).obsm
    assert not load(path, on_disk=True).obsm


def test_blocks_are_all_rows_in_turn(screen, backed):
    whole = np.vstack([block.toarray() for _, block in row_blocks(backed.X, 128)])
    np.testing.assert_array_equal(whole, screen.X.toarray())


def test_the_same_hash_flags_and_batches(screen, backed):
    assert data_hash(backed) == data_hash(screen)
    views = [prepare(adata).adata for adata in (screen, backed)]
    assert (views[0].obs["qc_fail"] == views[1].obs["qc_fail"]).all()
    labels = sorted(views[0].obs["perturbation"].astype(str).unique())
    batches = []
    for view in views:
        rows = np.flatnonzero(view.obs["split"] == "train")
        cells = Cells.from_anndata(view, labels, Design.of(labels, additive=True), rows=rows)
        data = CellDataModule(
            cells, cells, batch_size=100, seed=0, max_counterparts=20, both_directions=False
        )
        data.start_epoch(1)
        batches.append(list(data.train_dataloader()))
    for ours, theirs in zip(*batches, strict=True):
        np.testing.assert_array_equal(ours.counts, theirs.counts)
        np.testing.assert_array_equal(ours.counterparts.counts, theirs.counterparts.counts)


def test_a_run_from_the_disk_is_the_run_from_memory(screen, backed, tmp_path):
    settings = {"n_latent": 4, "n_hidden": 8, "batch_size": 256}
    runs = [
        fit(adata, "cradle_vae", settings, out=tmp_path / f"run{i}", epochs=2)
        for i, adata in enumerate((screen, backed))
    ]
    for name in ("weights.safetensors", "thresholds.json", "history.csv", "observed_effects.csv"):
        first, second = ((run.path / name).read_bytes() for run in runs)
        assert first == second, name
    reports = [json.loads((run.path / "metrics.json").read_text()) for run in runs]
    assert reports[0] == reports[1]


def test_the_unpacked_counts_have_no_name_and_are_gone_with_the_source(
    backed, tmp_path, monkeypatch
):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    source = cell_source(backed)
    file = source._files[0]
    assert not list(scratch.iterdir())
    assert os.fstat(file).st_size == 4 * backed.X[:].nnz
    del source
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(file)


def test_what_cannot_be_read_from_the_disk_is_refused(screen, tmp_path):
    dense = screen.copy()
    dense.X = dense.X.toarray()
    dense.write_h5ad(tmp_path / "dense.h5ad")
    with pytest.raises(InputError, match="CSR"):
        load(tmp_path / "dense.h5ad", on_disk=True)
    del screen.uns["cradle"]
    screen.write_h5ad(tmp_path / "raw.h5ad")
    with pytest.raises(InputError, match="standard form"):
        load(tmp_path / "raw.h5ad", on_disk=True)


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_counts_that_stay_on_the_disk_need_no_memory(screen, tmp_path, monkeypatch, kind):
    path = tmp_path / f"screen.{kind}"
    screen.write_h5ad(path) if kind == "h5ad" else store(path, screen)
    memory = screen.X.data.nbytes + screen.X.indices.nbytes  # with anything beside them too little
    monkeypatch.setattr(gate, "Limits", lambda: Limits(declared_bytes=memory))
    with pytest.raises(InputError, match="more data than this machine can hold"):
        load(path)
    assert isinstance(cell_source(load(path, on_disk=True)), OnDisk)
    monkeypatch.setattr(gate, "Limits", lambda: Limits(declared_bytes=memory // 100))
    with pytest.raises(InputError, match="more data than this machine can hold"):
        load(path, on_disk=True)


def test_counts_on_the_disk_still_have_to_be_in_the_file(screen, tmp_path):
    screen.write_h5ad(path := tmp_path / "screen.h5ad")
    limits = Limits(ratio=0, ratio_from=screen.X.data.nbytes, counts_on_disk=True)
    with pytest.raises(InputError, match="far more data than it holds"):
        gate.check_file(path, limits)


def test_a_temporary_folder_without_room_is_refused_before_unpacking(backed, monkeypatch):
    needed = 8 * backed.X[:].nnz
    usage = SimpleNamespace(free=needed - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    with pytest.raises(InputError, match="no room for the unpacked counts") as caught:
        cell_source(backed)
    assert "TMPDIR" in caught.value.do
    usage.free = needed
    check_room(backed.X)
    with pytest.raises(InputError, match="no room"):
        check_room(backed.X, copies=2)


def test_a_disk_that_fills_while_counts_are_unpacked(backed, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", partial(open, "/dev/full", "wb"))
    with pytest.raises(InputError, match="it is full"):
        cell_source(backed)


def test_genes_are_not_selected_on_the_disk(backed):
    with pytest.raises(InputError, match="on the disk"):
        prepare(backed, n_top_genes=50)

"""Counts in memory and on the disk are the same cells."""

import json
import os

import numpy as np
import pytest

from cradle.data.cell_source import InMemory, OnDisk, cell_source, row_blocks, take_rows
from cradle.data.dosage import Design
from cradle.data.loading import CellDataModule, Cells
from cradle.data.preparation import prepare
from cradle.data.sources import data_hash, load
from cradle.errors import InputError
from cradle.fitting import fit


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


def test_genes_are_not_selected_on_the_disk(backed):
    with pytest.raises(InputError, match="on the disk"):
        prepare(backed, n_top_genes=50)

"""A Zarr store holds what the ``.h5ad`` of the same cells holds."""

import json
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cradle.data.cell_source import OnDisk, cell_source, take_rows
from cradle.data.dosage import Design
from cradle.data.gate import open_safely
from cradle.data.loading import CellDataModule, Cells
from cradle.data.preparation import prepare
from cradle.data.sources import data_hash, file_hash, load
from cradle.errors import InputError
from cradle.fitting import fit
from tests.data.raw_file import raw_file
from tests.data.small_file import N_CELLS, full, small, store

FORMATS = [(2, False), (3, False), (3, True)]


@pytest.fixture(params=FORMATS, ids=["v2", "v3", "v3 sharded"])
def sources(request, screen, tmp_path):
    """The same cells from ``.h5ad`` and store, each in memory and on the disk."""
    version, shards = request.param
    file = tmp_path / "screen.h5ad"
    screen.write_h5ad(file)
    folder = store(tmp_path / "screen.zarr", screen, version, shards=shards)
    return [load(path, on_disk=disk) for path in (file, folder) for disk in (False, True)]


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize(("version", "shards"), FORMATS)
def test_every_layout_is_read_as_from_h5ad(tmp_path, layout, version, shards):
    adata = full(layout)
    adata.obs["batch"] = pd.Categorical(["one"] * N_CELLS)  # all zeros: no block is stored
    adata.uns["words"] = np.array(["a", "b"])
    adata.write_h5ad(tmp_path / "cells.h5ad")
    path = store(tmp_path / "cells.zarr", adata, version, shards=shards)
    file, found = open_safely(tmp_path / "cells.h5ad"), open_safely(path)
    for ours, theirs in (
        (found.X, file.X),
        (found.layers["counts"], file.layers["counts"]),
        (found.raw.X, file.raw.X),
    ):
        assert type(ours) is type(theirs)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(sparse.csr_matrix(ours).toarray(), small(np.asarray).X)
    pd.testing.assert_frame_equal(found.obs, file.obs)
    pd.testing.assert_frame_equal(found.var, file.var)
    assert (found.uns["note"], found.uns["nested"]) == ("größer", {"a": 1})
    assert found.uns["words"].dtype == file.uns["words"].dtype == object


def test_the_same_rows_hash_flags_and_batches(sources):
    index = np.array([5, 899, 0, 5, 300, 301])
    rows = [cell_source(adata).read_rows(index) for adata in sources]
    assert [type(cell_source(adata)) is OnDisk for adata in sources] == [False, True] * 2
    for other in rows[1:]:
        for part in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(other, part), getattr(rows[0], part))
    np.testing.assert_array_equal(take_rows(sources[3].X, index).toarray(), rows[0].toarray())
    assert len({data_hash(adata) for adata in sources}) == 1
    batches = [_batches(adata) for adata in sources]
    for other in batches[1:]:
        assert len(other) == len(batches[0])
        for ours, theirs in zip(other, batches[0], strict=True):
            np.testing.assert_array_equal(ours.counts, theirs.counts)
            np.testing.assert_array_equal(ours.counterparts.counts, theirs.counterparts.counts)


def _batches(adata):
    view = prepare(adata).adata
    labels = sorted(view.obs["perturbation"].astype(str).unique())
    rows = np.flatnonzero(view.obs["split"] == "train")
    cells = Cells.from_anndata(view, labels, Design.of(labels, additive=True), rows=rows)
    data = CellDataModule(
        cells, cells, batch_size=100, seed=0, max_counterparts=20, both_directions=False
    )
    data.start_epoch(1)
    return list(data.train_dataloader())


def test_a_run_from_a_store_is_the_run_from_the_file(screen, tmp_path):
    settings = {"n_latent": 4, "n_hidden": 8, "batch_size": 256}
    path = store(tmp_path / "screen.zarr", screen)
    runs = [
        fit(adata, "cradle_vae", settings, out=tmp_path / f"run{i}", epochs=2)
        for i, adata in enumerate((screen, load(path), load(path, on_disk=True)))
    ]
    for name in ("weights.safetensors", "thresholds.json", "history.csv", "metrics.json"):
        assert len({(run.path / name).read_bytes() for run in runs}) == 1, name
    assert len({run.provenance["data"]["hash"] for run in runs}) == 1


def test_a_store_that_is_not_standard_is_standardized(tmp_path):
    path = store(tmp_path / "screen.zarr", raw_file())
    record = load(path).uns["cradle"]
    assert record["name"] == "screen"
    assert record["provenance"]["source"] == "screen.zarr"
    assert record["provenance"]["sha256"] == file_hash(path)
    assert str(tmp_path) not in str(record)
    with pytest.raises(InputError, match="standard form"):
        load(path, on_disk=True)


@pytest.mark.parametrize("layout", [np.asarray, sparse.csc_matrix])
def test_what_cannot_be_read_from_the_disk_is_refused(screen, tmp_path, layout):
    screen.X = layout(screen.X.toarray())
    path = store(tmp_path / "screen.zarr", screen)
    with pytest.raises(InputError, match="CSR"):
        load(path, on_disk=True)


def test_the_hash_of_the_files_changes_with_any_of_them(tmp_path):
    path = store(tmp_path / "cells.zarr")
    first = file_hash(path)
    shutil.copytree(path, tmp_path / "again.zarr")
    assert file_hash(tmp_path / "again.zarr") == first
    (path / "obs" / "zarr.json").write_bytes((path / "obs" / "zarr.json").read_bytes() + b" ")
    assert file_hash(path) != first


def test_a_store_by_link_and_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / "link.zarr").symlink_to(store(tmp_path / "cells.zarr"))
    monkeypatch.chdir(tmp_path)
    assert open_safely("link.zarr").n_obs == N_CELLS


def test_consolidated_metadata_are_not_looked_at(tmp_path):
    """They may say other things than the metadata that were checked."""
    path = store(tmp_path / "cells.zarr", version=2)
    (path / ".zmetadata").write_text('{"metadata": 1}')
    assert open_safely(path).n_obs == N_CELLS
    path = store(tmp_path / "three.zarr", version=3)
    root = json.loads((path / "zarr.json").read_text())
    root["consolidated_metadata"]["metadata"]["X/data"]["shape"] = [2**40]
    root["consolidated_metadata"]["metadata"]["X"]["attributes"]["shape"] = [2, 2]
    (path / "zarr.json").write_text(json.dumps(root))
    assert open_safely(path).shape == small().shape


def test_the_backed_matrix_asks_no_consolidated_metadata_either(screen, tmp_path):
    """anndata opens the store anew for the whole of a backed matrix."""
    path = store(tmp_path / "screen.zarr", screen)
    root = json.loads((path / "zarr.json").read_text())
    root["consolidated_metadata"]["metadata"]["X"]["attributes"]["shape"] = [2, 2]
    (path / "zarr.json").write_text(json.dumps(root))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = load(path, on_disk=True).X[:]
    np.testing.assert_array_equal(whole.toarray(), screen.X.toarray())


@pytest.mark.parametrize("shards", [False, True])
def test_a_block_that_goes_while_the_store_is_in_use_is_no_zeros(screen, tmp_path, shards):
    path = store(tmp_path / "screen.zarr", screen, shards=shards)
    adata = load(path, on_disk=True)
    (path / "X" / "data" / "c" / "0").unlink()
    with pytest.raises(InputError, match="has gone while it was used"):
        take_rows(adata.X, np.array([5]))

"""From a name or a path to the standard dataset, and the hash of what it holds."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cradle.data import catalogue, gate, sources
from cradle.data.catalogue import DATASETS
from cradle.data.schema import validate
from cradle.data.sources import data_hash, load
from cradle.data.standardize import InputSpec, standardize
from cradle.errors import InputError
from cradle.files import write_h5ad


def raw(layout=sparse.csr_matrix, dtype=np.float32) -> ad.AnnData:
    counts = np.random.default_rng(0).poisson(1.0, (40, 6)).astype(dtype)
    counts[:, 0] += 1
    names = ["ctrl", "KLF1", "MAP2K6_KLF1", "MAP2K6"] * 10
    obs = pd.DataFrame({"perturbation": names}, index=[f"cell{i}" for i in range(40)])
    genes = ["KLF1", "MAP2K6", "MT-ND1", "RPS3", "HBA1", "ACTB"]
    return ad.AnnData(layout(counts), obs=obs, var=pd.DataFrame(index=genes))


def standard() -> ad.AnnData:
    return standardize(raw(), name="screen")


# --- load ----------------------------------------------------------------------------------


def test_path_is_standardized(tmp_path):
    path = write_h5ad(tmp_path / "screen.h5ad", raw())
    adata = load(path)
    assert validate(adata) == []
    assert set(adata.obs["perturbation"]) == {"control", "KLF1", "MAP2K6", "KLF1+MAP2K6"}
    record = adata.uns["cradle"]
    assert record["name"] == "screen"
    assert record["provenance"]["source"] == "screen.h5ad"
    assert record["provenance"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert str(tmp_path) not in str(record)


def test_standard_file_comes_back_as_stored(tmp_path):
    adata = standard()
    adata.obs["qc_fail"] = False
    adata.uns["cradle"]["simulated"] = True
    loaded = load(str(write_h5ad(tmp_path / "screen.h5ad", adata)))
    assert "qc_fail" in loaded.obs
    assert loaded.uns["cradle"]["simulated"]
    assert loaded.uns["cradle"]["name"] == "screen"
    assert data_hash(loaded) == data_hash(adata)


def test_standard_file_is_still_checked(tmp_path):
    adata = standard()
    adata.obs["library_size"] = 0.0
    path = write_h5ad(tmp_path / "screen.h5ad", adata)
    with pytest.raises(InputError, match="library sizes"):
        load(path)


def test_own_reading_and_no_labels(tmp_path):
    adata = raw()
    adata.obs["guide_of_cell"] = adata.obs.pop("perturbation")
    path = write_h5ad(tmp_path / "screen.h5ad", adata)
    with pytest.raises(InputError):
        load(path)
    assert "perturbation" not in load(path, require_labels=False).obs
    assert "KLF1" in set(load(path, spec=InputSpec(perturbation="guide_of_cell")).obs.perturbation)


def test_path_goes_through_the_gate(tmp_path, monkeypatch):
    path = write_h5ad(tmp_path / "screen.h5ad", raw())
    opened = []
    monkeypatch.setattr(gate, "check_file", lambda file, limits: opened.append(file))
    load(path)
    assert opened == [path]


@pytest.mark.parametrize("name", ["papalexy", "Papalexi", "something"])
def test_unknown_name_lists_what_there_is(name):
    with pytest.raises(InputError, match="no dataset of that name") as caught:
        load(name)
    assert "papalexi" in caught.value.do
    assert ("close to papalexi" in caught.value.found) == name.lower().startswith("pap")


@pytest.mark.parametrize("path", ["screen.h5ad", "folder/screen", Path("papalexi")])
def test_absent_path(path):
    with pytest.raises(InputError, match="no such file"):
        load(path)


def test_dataset_that_is_not_here():
    with pytest.raises(InputError, match="not on this machine") as caught:
        load("norman")
    assert "python -m cradle fetch norman" in caught.value.do
    with pytest.raises(InputError, match="not on this machine") as caught:
        load("papalexi")
    assert "CRADLE_DATA_DIR" in caught.value.do


def test_catalogue_file_with_a_checksum(tmp_path, monkeypatch):
    """The published file needs no gate; another file of its name is refused."""
    path = write_h5ad(tmp_path / "NormanWeissman2019_filtered.h5ad", raw())
    row = DATASETS["norman"]
    monkeypatch.setenv("CRADLE_DATA_DIR", str(tmp_path))
    with pytest.raises(InputError, match="not the published one"):
        load("norman")
    checksum = f"md5:{hashlib.md5(path.read_bytes()).hexdigest()}"
    files = (replace(row.files[0], checksum=checksum),)
    monkeypatch.setitem(catalogue.DATASETS, "norman", replace(row, files=files))
    monkeypatch.setattr(gate, "check_file", None)
    adata = load("norman")
    assert "KLF1+MAP2K6" in set(adata.obs["perturbation"])
    assert "Norman" in adata.uns["cradle"]["provenance"]["source"]


def test_shipped_demo(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "_ASSETS", tmp_path)
    write_h5ad(tmp_path / "demo.h5ad", standard())
    assert load("demo").n_obs == 40


def test_nothing_is_kept_between_calls(tmp_path):
    path = write_h5ad(tmp_path / "screen.h5ad", raw())
    first = load(path)
    first.X.data[:] = 9
    assert load(path).X.max() < 9


# --- real files ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "file", "shape"),
    [
        ("norman_subset", "norman2019_subset.h5ad", (3375, 500)),
        ("papalexi", "papalexi2021_eccite.h5ad", (20729, 299)),
    ],
)
def test_real_catalogue_datasets(real_data, monkeypatch, name, file, shape):
    monkeypatch.setenv("CRADLE_DATA_DIR", str(real_data(file).parent))
    adata = load(name)
    assert adata.shape == shape
    assert validate(adata) == []


def test_all_forms_of_the_norman_subset_hold_the_same(real_data, tmp_path, monkeypatch):
    """Counts, their log-normalised form, and that form among the rows of another dataset."""
    expected = data_hash(load(real_data("norman2019_subset.h5ad")))
    logged = ad.read_h5ad(real_data("norman2019_devel_lognorm.h5ad"))
    other = logged[:50].copy()
    other.X = other.X * 0.7  # no inversion of these is whole
    other.obs["dataset"] = "other"
    other.obs_names = [f"other{i}" for i in range(50)]
    public = tmp_path / "perturbench_devel.h5ad"
    monkeypatch.setenv("CRADLE_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(sources, "verify", lambda path, file: False)
    write_h5ad(public, ad.concat([other, logged]))
    assert data_hash(load("norman_subset")) == expected
    public.unlink()
    write_h5ad(tmp_path / "norman2019_devel_lognorm.h5ad", logged)
    assert data_hash(load("norman_subset")) == expected


def test_unlabelled_real_file(real_data):
    adata = load(real_data("pbmc3k_raw.h5ad"), require_labels=False)
    assert adata.shape == (2700, 32738)


# --- hash ----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
def test_hash_does_not_depend_on_storage(layout, dtype, monkeypatch):
    expected = data_hash(raw())
    monkeypatch.setattr("cradle.data.cell_source.BLOCK", 7)
    assert data_hash(raw(layout, dtype)) == expected


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_hash_of_a_backed_file(tmp_path, layout):
    path = write_h5ad(tmp_path / "screen.h5ad", raw(layout))
    backed = ad.read_h5ad(path, backed="r")
    assert data_hash(backed) == data_hash(raw())
    backed.file.close()


def test_hash_of_stored_zeros_and_unsorted_rows():
    adata = raw()
    expected = data_hash(adata)
    counts = adata.X
    free = next(gene for gene in range(6) if gene not in counts[0].indices)
    data = np.insert(counts.data, 0, 0)
    indices = np.insert(counts.indices, 0, free)
    indptr = np.concatenate([[0], counts.indptr[1:] + 1])
    odd = sparse.csr_matrix((data, indices, indptr), counts.shape)
    before = odd.indices.copy()
    adata.X = odd
    assert data_hash(adata) == expected
    np.testing.assert_array_equal(odd.indices, before)


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_the_hash_of_texts_is_that_of_one_json_list(n, monkeypatch):
    monkeypatch.setattr(sources, "BLOCK", 2)
    texts = ["cell", 'quo"te', "größe", "", "x, y"][:n]
    expected = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    assert sources._texts(pd.Index(texts)) == expected
    assert sources._texts(pd.Series(texts, dtype="category")) == expected


def change_count(adata):
    adata.X.data[0] += 1


def change_place(adata):
    adata.X = sparse.csr_matrix(adata.X.toarray()[:, [1, 0, 2, 3, 4, 5]])


def change_gene(adata):
    adata.var_names = ["KLF2", *adata.var_names[1:]]


def change_label(adata):
    adata.obs["perturbation"] = ["KLF1", *adata.obs["perturbation"].astype(str)[1:]]


def change_size(adata):
    adata.obs["library_size"] += 1


def change_cell(adata):
    adata.obs_names = ["another", *adata.obs_names[1:]]


def change_batch(adata):
    adata.obs["batch"] = "one"


def change_split(adata):
    adata.obs["split"] = "train"


def change_full_genes(adata):
    adata.obs["full_genes_detected"] = 100.0


def change_full_percent(adata):
    adata.obs["full_mt_percent"] = 1.0


@pytest.mark.parametrize(
    "change", [value for name, value in sorted(globals().items()) if name.startswith("change_")]
)
def test_hash_changes_with_the_content(change):
    adata = standard()
    before = data_hash(adata)
    change(adata)
    assert data_hash(adata) != before


def test_hash_ignores_what_it_does_not_cover():
    adata = standard()
    before = data_hash(adata)
    adata.obs["qc_fail"] = True
    adata.uns["cradle"]["name"] = "other"
    assert data_hash(adata) == before
    assert len(before) == 64


def test_the_shipped_run_carries_the_hash_of_the_shipped_screen():
    run = Path(__file__).resolve().parents[2] / "assets" / "runs" / "demo_cradle_vae"
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["data"]["hash"] == data_hash(load("demo"))


def test_hash_depends_on_the_order_of_cells():
    adata = standard()
    assert data_hash(adata[::-1].copy()) != data_hash(adata)

"""Counts of files as they are met -> the standard dataset; and the real files whole."""

from pathlib import Path

import anndata
import numpy as np
import pytest
import scipy.sparse as sp

from cradle.data.schema import validate
from cradle.data.standardize import InputSpec, standardize
from cradle.errors import InputError
from tests.data.raw_file import COUNTS, LABELS, raw_file, same


def test_a_plain_file_becomes_standard() -> None:
    result = standardize(raw_file(), name="plain")
    assert validate(result) == []
    assert result.obs["perturbation"].tolist() == LABELS
    assert result.obs["library_size"].tolist() == COUNTS.sum(axis=1).tolist()
    record = result.uns["cradle"]
    assert record["name"] == "plain"
    assert record["library_size_source"] == "sum over all genes of the file"
    assert record["dropped"] == {"unassigned": 0, "zero_count": 0}
    assert record["simulated"] is False
    assert record["provenance"]["counts"] == "X"
    assert record["provenance"]["labels"] == "obs:perturbation"


def test_the_raw_data_are_not_changed() -> None:
    raw = raw_file(ncounts=[10.0] * 5)
    raw.layers["counts"] = raw.X.astype(np.int64)
    before = raw.copy()
    standardize(raw, name="x").X.data[:] = 99
    assert raw.obs.equals(before.obs)
    assert raw.uns == before.uns
    assert (raw.X != before.X).nnz == 0
    assert (raw.layers["counts"] != before.layers["counts"]).nnz == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.uint8, bool])
@pytest.mark.parametrize(
    "form", [sp.csr_matrix, sp.csc_matrix, sp.csr_array, sp.csc_array, np.asarray]
)
def test_every_storage_gives_the_same(form, dtype) -> None:
    values = COUNTS.astype(dtype)
    raw = raw_file()
    raw.X = form(values)
    assert same(standardize(raw, name="x"), standardize(raw_file(values), name="x"))


def test_small_counts_may_be_stored_in_half_precision() -> None:
    raw = raw_file()
    raw.X = COUNTS.astype(np.float16)
    assert same(standardize(raw, name="x"), standardize(raw_file(), name="x"))


def test_stored_zeros_and_unsorted_indices_are_tidied() -> None:
    raw = raw_file()
    raw.X = sp.csr_matrix(
        (np.array([2.0, 1, 0, 3, 4, 1, 1, 1, 1, 2, 1, 1]),
         np.array([2, 0, 1, 1, 0, 2, 0, 1, 2, 0, 1, 1]),
         np.array([0, 3, 4, 6, 9, 12])),
        shape=(5, 3),
    )  # fmt: skip
    result = standardize(raw, name="x")
    assert same(result, standardize(raw_file(), name="x"))
    assert result.X.has_canonical_format
    assert result.X.nnz == np.count_nonzero(COUNTS)


@pytest.mark.parametrize(("n_cells", "n_genes"), [(1, 3), (5, 1), (1, 1)])
def test_the_smallest_files(n_cells: int, n_genes: int) -> None:
    raw = raw_file(COUNTS[:n_cells, :n_genes] + 1, LABELS[:n_cells], "ABC"[:n_genes])
    assert standardize(raw, name="x").shape == (n_cells, n_genes)


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csc_matrix, np.asarray])
def test_a_backed_file_gives_the_same(tmp_path: Path, form) -> None:
    raw = raw_file()
    raw.X = form(COUNTS)
    raw.write_h5ad(tmp_path / "raw.h5ad")
    backed = anndata.read_h5ad(tmp_path / "raw.h5ad", backed="r")
    assert same(standardize(backed, name="x"), standardize(raw_file(), name="x"))
    backed.file.close()


def test_the_standard_form_survives_the_disk_and_stays_as_it_is(tmp_path: Path) -> None:
    raw = raw_file(batch=["x", "x", "y", "y", "y"], split=["train", "val", "test", "train", "val"])
    first = standardize(raw, name="x")
    first.obs["qc_fail"] = False
    first.write_h5ad(tmp_path / "standard.h5ad")
    again = anndata.read_h5ad(tmp_path / "standard.h5ad")
    second = standardize(again, name="other")
    assert second is not again
    assert same(first, second)
    assert second.uns["cradle"]["name"] == "x"
    assert second.obs["split"].tolist() == ["train", "val", "test", "train", "val"]


def test_a_damaged_standard_file_is_refused() -> None:
    standard = standardize(raw_file(), name="x")
    standard.obs["perturbation"] = "B+A"
    with pytest.raises(InputError, match="canonical"):
        standardize(standard, name="x")


# Where the counts are


def test_counts_come_from_their_layer() -> None:
    raw = raw_file(np.log1p(COUNTS))
    raw.layers["counts"] = sp.csc_matrix(COUNTS)
    result = standardize(raw, name="x")
    np.testing.assert_array_equal(result.X.toarray(), COUNTS)
    assert result.uns["cradle"]["provenance"]["counts"] == "layers['counts']"


def test_counts_come_from_raw_with_its_genes() -> None:
    raw = raw_file()
    raw.raw = raw.copy()
    raw = raw[:, :2].copy()
    raw.X = np.log1p(raw.X.toarray())
    result = standardize(raw, name="x")
    np.testing.assert_array_equal(result.X.toarray(), COUNTS)
    assert result.var_names.tolist() == ["A", "B", "C"]


def test_selected_genes_keep_the_library_size_of_raw() -> None:
    raw = raw_file()
    raw.raw = raw.copy()
    result = standardize(raw[:, :2].copy(), name="x")
    assert result.n_vars == 2
    assert result.obs["library_size"].tolist() == COUNTS.sum(axis=1).tolist()
    assert result.uns["cradle"]["library_size_source"] == "sum over all genes of raw"


def test_the_user_names_the_counts() -> None:
    raw = raw_file()
    raw.layers["umis"] = sp.csr_matrix(COUNTS * 2)
    result = standardize(raw, InputSpec(counts="umis"), name="x")
    np.testing.assert_array_equal(result.X.toarray(), COUNTS * 2)
    with pytest.raises(InputError, match="There is no matrix 'nothing'"):
        standardize(raw, InputSpec(counts="nothing"), name="x")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.log1p(COUNTS), r"log-normalised.*--invert-log1p"),
        (COUNTS * 123.4, "normalised or corrected"),
        (COUNTS - 1, "negative"),
        (np.where(COUNTS == 4, np.nan, COUNTS), "not numbers"),
        (np.where(COUNTS == 4, np.inf, COUNTS), "not numbers"),
        (COUNTS * 2.0**24, "counts that no cell has"),
        ((COUNTS * 1000).astype(np.float16), "float16"),
        (np.full(COUNTS.shape, 1j), "does not hold numbers"),
    ],
)
def test_what_is_no_count_is_refused(values: np.ndarray, message: str) -> None:
    raw = raw_file()
    raw.X = values
    with pytest.raises(InputError, match=message):
        standardize(raw, name="x")


def test_a_file_without_a_matrix_is_refused() -> None:
    raw = anndata.AnnData(obs=raw_file().obs, var=raw_file().var)
    with pytest.raises(InputError, match="X does not hold numbers"):
        standardize(raw, name="x")


# Real files


def test_norman_subset(real_data) -> None:
    raw = anndata.read_h5ad(real_data("norman2019_subset.h5ad"))
    result = standardize(raw, name="norman_subset")
    assert validate(result) == []
    assert result.shape == (3375, 500)
    assert (result.X != raw.X).nnz == 0
    assert result.obs["perturbation"].nunique() == 34
    assert (result.obs["perturbation"] == "control").sum() == 100
    assert "KLF1+SET" in set(result.obs["perturbation"])
    assert (result.obs["library_size"] == raw.obs["ncounts"]).all()
    assert (result.obs["full_genes_detected"] == raw.obs["ngenes"]).all()


def test_norman_log_normalised_is_inverted_on_request_only(real_data) -> None:
    raw = anndata.read_h5ad(real_data("norman2019_devel_lognorm.h5ad"))
    counts = anndata.read_h5ad(real_data("norman2019_subset.h5ad"))
    with pytest.raises(InputError, match="log-normalised"):
        standardize(raw, name="x")
    spec = InputSpec(
        perturbation="perturbation", rows=("dataset", "norman19"), invert_log1p=True, separator="+"
    )
    result = standardize(raw, spec, name="norman_subset")
    assert same(result, standardize(counts, name="norman_subset"))
    assert "inverted" in result.uns["cradle"]["provenance"]["counts"]


def test_papalexi(real_data) -> None:
    raw = anndata.read_h5ad(real_data("papalexi2021_eccite.h5ad"))
    result = standardize(raw, name="papalexi")
    labels = result.obs["perturbation"].value_counts()
    assert (labels["control"], labels["SPI1"], len(labels)) == (2386, 48, 26)
    assert result.obs["batch"].nunique() == 3
    assert result.n_obs + sum(result.uns["cradle"]["dropped"].values()) == raw.n_obs


def test_pbmc3k_has_no_labels(real_data) -> None:
    raw = anndata.read_h5ad(real_data("pbmc3k_raw.h5ad"))
    result = standardize(raw, name="pbmc3k", require_labels=False)
    assert result.shape == raw.shape
    assert (result.X != raw.X).nnz == 0
    with pytest.raises(InputError, match="No column is known"):
        standardize(raw, name="pbmc3k")


def test_cells_without_a_name_get_one_and_are_counted() -> None:
    raw = raw_file()
    raw.obs_names = ["a", "", " ", "cell", "b"]
    found = standardize(raw, name="x")
    assert validate(found) == []
    assert list(found.obs_names[[0, 4]]) == ["a", "b"]
    assert found.uns["cradle"]["n_cells_renamed"] == 3  # "cell" is what the first one got

"""Log-normalised values back to counts, exactly or not at all."""

import anndata
import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp

from cradle.data.inversion import invert_log1p
from cradle.errors import InputError


def logged(
    counts: npt.NDArray[np.float64], totals: npt.NDArray[np.float64], scale: float = 1e4
) -> sp.csr_matrix:
    return sp.csr_matrix(np.log1p(counts * scale / totals[:, None]))


@pytest.fixture
def counts() -> npt.NDArray[np.float64]:
    drawn = np.random.default_rng(0).poisson(0.7, (40, 60)).astype(float)
    drawn[:, 0] = 1
    return drawn


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e4, 1e6, 37.5])
def test_a_full_transcriptome_needs_no_totals(counts, dtype: type, scale: float) -> None:
    values = logged(counts, counts.sum(axis=1), scale).astype(dtype)
    np.testing.assert_array_equal(invert_log1p(values).toarray(), counts)


def test_a_panel_is_inverted_by_its_totals(counts) -> None:
    totals = counts.sum(axis=1) + 5_000
    values = logged(counts, totals)
    np.testing.assert_array_equal(invert_log1p(values, totals).toarray(), counts)
    # A gene filter before normalising leaves the implied totals just below the reported ones.
    np.testing.assert_array_equal(invert_log1p(values, totals * 1.02 // 1).toarray(), counts)


def test_a_cell_without_a_single_count_is_told_by_its_total(counts) -> None:
    totals = counts.sum(axis=1) + 5_000
    counts[3] *= 2
    values = logged(counts, totals)
    np.testing.assert_array_equal(invert_log1p(values, totals).toarray(), counts)


def test_without_totals_the_smallest_whole_solution_is_found(counts) -> None:
    counts[5] = 0
    counts[5, :3] = 2, 3, 5
    values = logged(counts, counts.sum(axis=1))
    np.testing.assert_array_equal(invert_log1p(values).toarray(), counts)


def test_cells_without_counts_stay_empty(counts) -> None:
    counts[7] = 0
    totals = np.maximum(counts.sum(axis=1), 1)
    np.testing.assert_array_equal(invert_log1p(logged(counts, totals)).toarray(), counts)


def test_the_values_are_not_changed(counts) -> None:
    values = logged(counts, counts.sum(axis=1))
    before = values.copy()
    invert_log1p(values)
    assert (values != before).nnz == 0


def test_what_is_not_exact_is_refused(counts) -> None:
    totals = counts.sum(axis=1)
    panel = logged(counts, totals + 5_000)
    noisy, shifted, corrected = (logged(counts, totals) for _ in range(3))
    noisy.data *= 1 + 1e-3 * np.random.default_rng(0).normal(size=noisy.nnz)
    shifted.data -= 9
    corrected.data[0] = np.nan
    cases = {
        "panel without": (panel, None),
        "were normalised to another total": (panel, 3 * (totals + 5_000)),
        "negative": (shifted, None),
        "not finite": (corrected, None),
        "without any whole solution|panel without": (noisy, None),
        "not whole|another total": (noisy, totals),
    }
    for message, (values, reported) in cases.items():
        with pytest.raises(InputError, match=message):
            invert_log1p(values, reported)


def test_counts_that_are_not_whole_are_refused(counts) -> None:
    corrected = counts.copy()
    corrected[:, 1] = 1.25
    with pytest.raises(InputError, match=r"counts that are not whole, such as 1\.25"):
        invert_log1p(logged(corrected, counts.sum(axis=1) + 5_000), counts.sum(axis=1) + 5_000)
    corrected[:, 1] = 1 + np.sqrt(2)
    with pytest.raises(InputError, match="40 cells without any whole solution"):
        invert_log1p(logged(corrected, corrected.sum(axis=1)))
    with pytest.raises(InputError, match="totals that are not whole"):
        invert_log1p(logged(counts, counts.sum(axis=1) + 0.5), counts.sum(axis=1) + 1)


def test_nothing_but_empty_cells_stays_so() -> None:
    assert invert_log1p(sp.csr_matrix((3, 4)), np.ones(3)).nnz == 0


def test_norman_comes_back_as_its_counts(real_data) -> None:
    logged_cells = anndata.read_h5ad(real_data("norman2019_devel_lognorm.h5ad"))
    expected = anndata.read_h5ad(real_data("norman2019_subset.h5ad")).X
    totals = logged_cells.obs["ncounts"].to_numpy()
    for dtype in (np.float32, np.float64):
        values = sp.csr_matrix(logged_cells.X).astype(dtype)
        assert (invert_log1p(values, totals) != expected).nnz == 0
    # The two cells whose smallest value is two counts.
    smallest = np.minimum.reduceat(expected.data, expected.indptr[:-1])
    assert (smallest == 2).sum() == 2


def test_norman_is_refused_without_its_totals_or_with_wrong_ones(real_data) -> None:
    adata = anndata.read_h5ad(real_data("norman2019_devel_lognorm.h5ad"))
    totals = adata.obs["ncounts"].to_numpy()
    for wrong in (None, totals / 2, totals * 2, totals[::-1]):
        with pytest.raises(InputError, match="cannot be turned back"):
            invert_log1p(sp.csr_matrix(adata.X), wrong)

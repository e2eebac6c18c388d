"""Sufficient statistics: they are those of the cells themselves, however they are pooled."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from cradle.errors import InputError
from cradle.evaluation.cell_groups import cell_keys
from cradle.evaluation.moments import (
    MIN_CELLS,
    compute_moments,
    control_splits,
    observed_effects,
    pooled_control,
)


def _cells_of(cells: AnnData, label: str, **conditions: object) -> np.ndarray:
    mask = (cells.obs["perturbation"] == label).to_numpy()
    for column, value in conditions.items():
        mask &= (cells.obs[column] == value).to_numpy()
    return mask


@pytest.mark.parametrize(("chunk_size", "genes"), [(1, 512), (7, 2), (4096, 1)])
def test_pooled_moments_are_those_of_the_cells(cells, expression, chunk_size, genes, monkeypatch):
    monkeypatch.setattr("cradle.evaluation.pooling.GENES_AT_ONCE", genes)
    pooled = compute_moments(cells, chunk_size=chunk_size).pool()
    assert pooled.labels == ("A", "A+B", "B", "C", "control")
    for i, label in enumerate(pooled.labels):
        rows = expression[_cells_of(cells, label)]
        assert pooled.n[i] == len(rows)
        np.testing.assert_allclose(pooled.mean[i], rows.mean(axis=0), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(pooled.var[i], rows.var(axis=0, ddof=1), rtol=1e-5, atol=1e-6)


def test_pooling_one_split_and_passing_cells_selects_exactly_those(cells, expression):
    pooled = compute_moments(cells).pool(["train"], passing_only=True)
    rows = expression[_cells_of(cells, "A", split="train", qc_fail=False)]
    i = pooled.labels.index("A")
    assert pooled.n[i] == len(rows)
    np.testing.assert_allclose(pooled.mean[i], rows.mean(axis=0), rtol=1e-6)
    assert "A+B" not in pooled.labels


def test_halves_are_disjoint_balanced_and_make_up_the_whole(cells):
    moments = compute_moments(cells)
    first, second, both = moments.pool(halves=[0]), moments.pool(halves=[1]), moments.pool()
    assert (first.n + second.n == both.n).all()
    assert (abs(first.n - second.n) <= 2).all()  # one per split at most
    weighted = first.n[:, None] * first.mean + second.n[:, None] * second.mean
    np.testing.assert_allclose(weighted / both.n[:, None], both.mean, rtol=1e-6)


def test_a_seed_keeps_giving_the_halves_it_gave():
    names = ["b", "a", "c", "h", "g", "f", "e", "d"]
    obs = pd.DataFrame({"perturbation": ["A", "A", "A", "A", "A", "B", "B", "B"]}, index=names)
    obs = obs.assign(split="train", qc_fail=[False, True] * 4, library_size=1.0)
    keys = cell_keys(AnnData(np.ones((8, 2)), obs=obs), seed=0)
    assert keys["half"].tolist() == [1, 1, 0, 0, 0, 0, 0, 1]


def test_dense_csr_csc_and_backed_cells_give_the_same(cells, tmp_path):
    import anndata as ad

    reference = compute_moments(cells)
    dense, csc = cells.copy(), cells.copy()
    dense.X, csc.X = cells.X.toarray(), cells.X.tocsc()
    cells.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    for other in (dense, csc, backed):
        found = compute_moments(other, chunk_size=50)
        assert np.array_equal(found.mean, reference.mean)
        assert np.array_equal(found.m2, reference.m2)
    backed.file.close()


def test_the_order_of_the_cells_does_not_matter(cells):
    reference = compute_moments(cells)
    shuffled = compute_moments(cells[np.random.default_rng(0).permutation(cells.n_obs)].copy())
    assert shuffled.groups.equals(reference.groups)
    np.testing.assert_allclose(shuffled.mean, reference.mean, rtol=1e-6)


def test_the_input_is_not_changed(cells):
    before, columns = cells.X.copy(), list(cells.obs)
    compute_moments(cells)
    assert (before != cells.X).nnz == 0
    assert list(cells.obs) == columns


def test_another_seed_draws_other_halves_of_the_same_cells(cells):
    a, b = compute_moments(cells, seed=0), compute_moments(cells, seed=1)
    assert not np.array_equal(a.mean, b.mean)
    np.testing.assert_allclose(a.pool().mean, b.pool().mean, rtol=1e-6)


def test_unused_cells_count_only_when_asked_for(cells):
    cells.obs["split"] = cells.obs["split"].astype(str)
    cells.obs.loc[cells.obs["perturbation"] == "C", "split"] = "unused"
    moments = compute_moments(cells)
    assert "C" not in moments.pool().labels
    assert moments.pool(["unused"]).labels == ("C",)


def test_observed_effects_and_their_standard_error(cells, expression):
    found = observed_effects(compute_moments(cells))
    a, c = (expression[_cells_of(cells, label)] for label in ("A", "control"))
    np.testing.assert_allclose(found.mean[0], a.mean(0) - c.mean(0), atol=1e-5)
    variance = a.var(0, ddof=1) / len(a) + c.var(0, ddof=1) / len(c)
    np.testing.assert_allclose(found.se[0], np.sqrt(variance), rtol=1e-5)
    assert found.perturbations == ("A", "A+B", "B", "C")
    assert found.n_cells.tolist() == [50, 40, 50, 20]


def test_control_is_that_of_the_split_from_thirty_cells_on(cells):
    control = _cells_of(cells, "control")
    moments = compute_moments(cells)
    n_val = int((control & (cells.obs["split"] == "val").to_numpy()).sum())
    n_train = int((control & (cells.obs["split"] == "train").to_numpy()).sum())
    assert n_val < MIN_CELLS <= n_train
    assert control_splits(moments, "train") == ("train",)
    assert control_splits(moments, "val") == ("train", "val", "test")
    assert pooled_control(moments, "train").n.tolist() == [n_train]
    assert pooled_control(moments, "test").n.tolist() == [80]


def test_a_screen_without_control_is_refused(cells):
    treated = cells[~_cells_of(cells, "control")].copy()
    with pytest.raises(InputError, match="no control cell"):
        observed_effects(compute_moments(treated))


def test_missing_columns_are_named(cells):
    del cells.obs["qc_fail"]
    with pytest.raises(InputError, match="qc_fail"):
        compute_moments(cells)


def test_a_single_cell_has_an_effect_but_no_standard_error(cells):
    rows = np.r_[np.flatnonzero(_cells_of(cells, "control")), np.flatnonzero(_cells_of(cells, "A"))]
    found = observed_effects(compute_moments(cells[rows[:81]].copy()))
    assert np.isfinite(found.mean).all()
    assert np.isnan(found.se).all()

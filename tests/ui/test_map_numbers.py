"""The number beside the map, and the genes of a selection, on cases with a known answer."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import ttest_ind

from cradle.ui.map_numbers import differential_genes, neighbour_mixing


def test_mixing_is_one_for_one_cloud_and_zero_for_two() -> None:
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(3000, 5)).astype(np.float32)
    source = np.where(rng.random(3000) < 0.2, "observed", "artifact off")
    assert neighbour_mixing(cloud, source) == pytest.approx(1.0, abs=0.05)
    apart = cloud + 100 * (source == "observed")[:, None].astype(np.float32)
    assert neighbour_mixing(apart, source) == 0.0


def test_mixing_needs_two_sources_and_enough_cells() -> None:
    cloud = np.zeros((30, 2), np.float32)
    assert neighbour_mixing(cloud, np.array(["observed"] * 30)) is None
    assert neighbour_mixing(cloud[:4], np.array(["a", "b", "a", "b"])) is None


def test_differential_genes_are_welch_tests() -> None:
    rng = np.random.default_rng(1)
    x = rng.poisson(1.0, (60, 5)).astype(float)
    x[:20, 2] += 3
    x[:, 4] = 0
    adata = ad.AnnData(sp.csr_matrix(x), var=pd.DataFrame(index=list("abcde")))
    table = differential_genes(adata, range(20)).set_index("gene")
    assert table.index[0] == "c"
    assert table.loc["c", "direction"] == "up"
    expected = ttest_ind(x[:20, :4], x[20:, :4], equal_var=False)
    np.testing.assert_allclose(table.loc[list("abcd"), "t"], expected.statistic)
    np.testing.assert_allclose(table.loc[list("abcd"), "p"], expected.pvalue)
    assert table.loc["a", "percent_rest"] == pytest.approx(100 * (x[20:, 0] > 0).mean())
    assert set(table["n_selected"]) == {20}
    assert set(table["n_rest"]) == {40}
    assert table.loc["e", ["t", "p", "p_adjusted"]].tolist() == [0, 1, 1]  # no cell has it


def test_adjusted_p_is_benjamini_and_hochberg_over_all_genes() -> None:
    rng = np.random.default_rng(2)
    adata = ad.AnnData(sp.csr_matrix(rng.poisson(1.0, (80, 50)).astype(float)))
    table = differential_genes(adata, range(30))
    p = np.sort(table["p"].to_numpy())
    by_hand = np.minimum.accumulate((p * 50 / np.arange(1, 51))[::-1])[::-1]
    np.testing.assert_allclose(np.sort(table["p_adjusted"]), by_hand)
    assert len(table) == 50

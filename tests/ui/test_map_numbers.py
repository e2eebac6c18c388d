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
    x = rng.poisson(1.0, (60, 4)).astype(float)
    x[:20, 2] += 3
    adata = ad.AnnData(sp.csr_matrix(x), var=pd.DataFrame(index=list("abcd")))
    table = differential_genes(adata, range(20)).set_index("gene")
    assert table.index[0] == "c"
    assert table.loc["c", "direction"] == "up"
    expected = ttest_ind(x[:20], x[20:], equal_var=False).statistic
    np.testing.assert_allclose(table.loc[list("abcd"), "t"], expected)
    assert table.loc["a", "percent_rest"] == pytest.approx(100 * (x[20:, 0] > 0).mean())

"""Noise of means: genes of a cell vary together, and the replicates have to."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData

from cradle.evaluation.effects import variance_with_control
from cradle.evaluation.moments import Moments, compute_moments, log2_expression, observed_effects
from cradle.evaluation.shared_noise import N_CELLS, draws, sampled_cells, standardized


@pytest.fixture(scope="module")
def deep_and_shallow() -> AnnData:
    """600 cells × 60 genes of two labels; one hidden state of a cell moves half of the genes."""
    rng = np.random.default_rng(3)
    labels = np.repeat(["control", "A"], 300)
    state = rng.normal(0, 0.8, (600, 1)) * (np.arange(60) < 30)
    counts = rng.poisson(3 * np.exp(state)).astype(np.float32)
    counts[labels == "A", 50:] += 3
    obs = pd.DataFrame(
        {"perturbation": pd.Categorical(labels), "split": "train", "qc_fail": rng.random(600) < 0.1,
         "library_size": 1000.0},
        index=[f"cell{i}" for i in range(600)],
    )  # fmt: skip
    return AnnData(sp.csr_matrix(counts), obs, pd.DataFrame(index=[f"g{i}" for i in range(60)]))


def test_a_sum_over_genes_varies_as_that_of_resampled_cells(deep_and_shallow):
    """Thirty genes with a common state: independent noise would say a third of it."""
    moments = compute_moments(deep_and_shallow)
    cells = log2_expression(
        deep_and_shallow.X, deep_and_shallow.obs["library_size"].to_numpy(float)
    ).toarray()[:300]
    rng = np.random.default_rng(0)
    resampled = [cells[rng.integers(0, 300, 300)].mean(axis=0) for _ in range(2000)]
    pooled = moments.pool(labels=["control"])
    noise = moments.noise(2000, rng) * np.sqrt(pooled.var / pooled.n)
    together = [np.std(np.asarray(means)[:, :30].sum(axis=1)) for means in (resampled, noise)]
    assert together[1] == pytest.approx(together[0], rel=0.12)
    alone = np.sqrt((pooled.var[0, :30] / 300).sum())
    assert together[0] > 2.5 * alone
    np.testing.assert_allclose(noise.std(axis=0), np.sqrt(pooled.var[0] / 300), rtol=0.08)


def test_the_state_that_a_perturbation_gives_is_no_noise(deep_and_shallow):
    """Residuals are from the mean of the own perturbation: what A changes correlates nothing."""
    residuals = compute_moments(deep_and_shallow).residuals.astype(float)
    correlation = residuals.T @ residuals
    np.testing.assert_allclose(np.diag(correlation), 1, atol=2e-3)
    shifted = correlation[50:, 50:][~np.eye(10, dtype=bool)]
    assert abs(shifted.mean()) < 0.03
    assert correlation[:30, :30][~np.eye(30, dtype=bool)].mean() > 0.25


def test_a_gene_without_residuals_varies_by_itself():
    residuals = standardized(np.array([[1.0, 0.0, 1.0], [-1.0, 0.0, -1.0]]))
    noise = draws(residuals, 4000, 3, np.random.default_rng(0))
    np.testing.assert_allclose(np.corrcoef(noise.T)[0], [1, 0, 1], atol=0.05)
    np.testing.assert_allclose(noise.std(axis=0), 1, rtol=0.05)


def test_the_same_cells_are_kept_in_any_order_of_the_file(deep_and_shallow, tmp_path):
    names = deep_and_shallow.obs_names.to_numpy()
    turned = np.random.default_rng(1).permutation(len(names))
    kept, again = sampled_cells(names, 0), sampled_cells(names[turned], 0)
    assert len(kept) == N_CELLS
    assert set(names[kept]) == set(names[turned][again])
    moments = compute_moments(deep_and_shallow, chunk_size=7)
    moments.save(tmp_path / "moments.safetensors")
    read = Moments.load(tmp_path / "moments.safetensors")
    np.testing.assert_array_equal(read.residuals, moments.residuals)


def test_an_exact_model_is_within_pooled_errors_as_often_as_they_say():
    """Twenty cells of the state of control, of genes that are mostly silent: no effect at all."""
    rng = np.random.default_rng(0)
    n_control, n_treated, n_genes = 400, 20, 20_000
    rate = np.exp(rng.normal(-3, 1.5, n_genes))
    control, treated = (
        np.log2(1 + 10 * rng.poisson(rate, (n, n_genes))) for n in (n_control, n_treated)
    )
    of_control, own = control.var(axis=0, ddof=1), treated.var(axis=0, ddof=1)
    effect = np.abs(treated.mean(axis=0) - control.mean(axis=0))
    sizes = np.array([n_treated]), np.array([n_control])
    pooled = variance_with_control(own[None], sizes[0], of_control, sizes[1])[0]

    def inside(variance: np.ndarray) -> float:
        se = np.sqrt(variance / n_treated + of_control / n_control)
        return float((effect <= 1.96 * se)[se > 0].mean())

    assert inside(own) < 0.85
    assert inside(pooled) == pytest.approx(0.95, abs=0.02)


def test_pooled_errors_are_those_of_both_groups_together(deep_and_shallow):
    moments = compute_moments(deep_and_shallow)
    pooled = moments.pool()
    control = pooled.labels.index("control")
    treated = 1 - control
    n, n_control = pooled.n[treated], pooled.n[control]
    both = (n - 1) * pooled.var[treated] + (n_control - 1) * pooled.var[control]
    both /= n + n_control - 2
    found = observed_effects(moments, pooled_variance=True)
    expected = both / n + pooled.var[control] / n_control
    np.testing.assert_allclose(found.se[0] ** 2, expected, rtol=1e-6)
    np.testing.assert_array_equal(found.mean, observed_effects(moments).mean)

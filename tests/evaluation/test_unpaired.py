"""Scores of unpaired cells: what they are, and what they reward."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from cradle.evaluation.published import published
from cradle.evaluation.unpaired import N_TOP, UNPAIRED_METRICS, changed_genes, unpaired_scores


@pytest.fixture
def cells():
    rng = np.random.default_rng(0)
    mean = rng.gamma(1.0, 0.5, 40)
    observed = mean + rng.normal(0, 0.6, (70, 40))
    drawn = mean + 0.1 + rng.normal(0, 0.3, (50, 40))
    control = mean + rng.normal(0, 0.6, (60, 40))
    return observed, drawn, control


def test_the_rmse_is_that_of_every_pair_of_cells(cells):
    observed, drawn, control = cells
    difference = (observed[:, None] - drawn[None]) ** 2
    expected = np.sqrt(difference.mean() / (observed**2).mean())
    found = unpaired_scores(observed, drawn, control)
    assert found["cell_rmse"] == pytest.approx(expected)
    top = changed_genes(observed, control)
    expected = np.sqrt(difference[..., top].mean() / (observed[:, top] ** 2).mean())
    assert found[f"cell_rmse_top{N_TOP}"] == pytest.approx(expected)


def test_the_mean_profile_is_scored_as_a_cell_that_never_varies(cells):
    observed, drawn, control = cells
    still = np.repeat(drawn.mean(axis=0)[None], 9, axis=0)
    found, collapsed = (unpaired_scores(observed, x, control) for x in (drawn, still))
    assert found["profile_rmse"] == pytest.approx(collapsed["cell_rmse"])
    assert found["profile_r2"] == pytest.approx(r2_score(observed.mean(axis=0), drawn.mean(axis=0)))
    assert collapsed["variance_ratio"] == pytest.approx(0, abs=1e-12)
    assert found["variance_ratio"] == pytest.approx(0.25, abs=0.05)


def test_collapse_is_rewarded_by_the_rmse_and_shown_by_the_variance():
    """A perfect sampler scores √2 times a perfect mean where means are zero."""
    observed = np.random.default_rng(1).normal(0, 1, (400, 30))
    sampler = unpaired_scores(observed, observed, observed)
    mean = unpaired_scores(observed, np.zeros((5, 30)), observed)
    assert sampler["cell_rmse"] / mean["cell_rmse"] == pytest.approx(np.sqrt(2), rel=0.01)
    assert sampler["variance_ratio"] == pytest.approx(1)
    assert mean["variance_ratio"] == 0


def test_changed_genes_are_those_that_were_moved(cells):
    observed, _, control = cells
    moved = observed.copy()
    moved[:, [3, 17]] += np.array([2.0, -2.0])
    assert set(changed_genes(moved, control)[:2]) == {3, 17}


def test_what_cannot_be_divided_is_not_a_number():
    nothing = np.zeros((4, 5))
    found = unpaired_scores(nothing, nothing, nothing)
    assert all(np.isnan(value) for value in found.values())


def test_published_doubles_stand_beside_zero_shot_pairs_only():
    table = published("norman_subset_zero_shot", "cell_rmse", 3.0).set_index("model")
    assert table.loc["perturbed_vae", "published"] == 0.4474
    assert table.loc["svae_plus", "published"] == 0.5664
    assert table.loc["additive", "published"] == 0.4424, "not the RMSE of means, 0.0887"
    r2 = published("norman_subset_zero_shot", "profile_r2", 3.0).set_index("model")
    assert r2.loc["perturbed_vae", "published"] == 0.9865
    assert published("norman_subset_zero_shot", "ate_rho", 3.0).empty, "of another split"
    assert not published("norman_subset", "ate_rho", 3.0).empty
    assert {"cell_rmse", "profile_r2"} <= set(UNPAIRED_METRICS)

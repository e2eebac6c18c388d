"""Each metric of the field by hand, and what the packages were found to compute."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cradle.evaluation.field_metrics import (
    FIELD_METRICS,
    centroid_rank,
    e_distance,
    effect_weights,
    energy_distance,
    l2,
    mmd,
    pearson,
    weighted_mse,
)

ROOT = Path(__file__).resolve().parents[2]


def test_pearson_is_the_mean_over_perturbations():
    observed = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    predicted = np.array([[2.0, 4.0, 6.0], [3.0, 2.0, 1.0]])
    assert pearson(observed, predicted) == pytest.approx(0.0)  # 1 and −1
    assert pearson(observed, observed[:, ::-1] * 7) == pytest.approx(-1.0)


def test_a_constant_prediction_counts_nothing_and_only_constants_are_undefined():
    observed = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    predicted = np.array([[2.0, 4.0, 6.0], [5.0, 5.0, 5.0]])
    assert pearson(observed, predicted) == pytest.approx(0.5)
    assert np.isnan(pearson(observed, np.full((2, 3), 1e-9 * np.arange(3))))
    flat = np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 3.0]])
    assert pearson(flat, observed) == pytest.approx(1.0)  # nothing to correlate in the first


def test_l2_by_hand():
    assert l2(np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[3.0, 4.0], [1.0, 2.0]])) == 3.0


def test_weights_by_hand():
    # t = 4/√2, −2/√2, 0: shares of the strongest 1, ½, 0, squared 1, ¼, 0
    ones = np.ones(3)
    weights = effect_weights((np.array([4.0, -2.0, 0.0]), 5 * ones, 5), (0 * ones, 7 * ones, 7))
    np.testing.assert_allclose(weights, [0.8, 0.2, 0.0])


def test_weighted_mse_by_hand():
    observed = np.array([[1.0, 2.0, 3.0], [9.0, 9.0, 9.0]])
    predicted = np.array([[2.0, 0.0, 9.0], [0.0, 0.0, 0.0]])
    weights = np.array([[0.8, 0.2, 0.0], [np.nan, np.nan, np.nan]])
    assert weighted_mse(observed, predicted, weights) == pytest.approx(0.8 * 1 + 0.2 * 4)
    assert np.isnan(weighted_mse(observed, predicted, np.full((2, 3), np.nan)))


def test_centroid_rank_by_hand():
    observed = np.array([[0.0], [1.0], [10.0]])
    # nearest to itself; nearest but one; farthest but for none
    predicted = np.array([[0.1], [0.2], [-5.0]])
    assert centroid_rank(observed, predicted) == pytest.approx((1.0 + 0.5 + 0.0) / 3)
    assert centroid_rank(observed, observed) == 1.0
    assert np.isnan(centroid_rank(observed[:1], predicted[:1]))


def test_one_prediction_for_all_ranks_by_chance():
    observed = np.random.default_rng(0).normal(size=(9, 20))
    assert centroid_rank(observed, np.ones((9, 20))) == pytest.approx(0.5)


def test_energy_distance_by_hand():
    # 2 · (1 + 3 + 1 + 1)/4 − 2 − 2
    found = energy_distance(np.array([[0.0], [2.0]]), np.array([[1.0], [3.0]]))
    assert found == pytest.approx(-1.0, abs=1e-6)


def test_mmd_by_hand():
    x = np.array([[0.0], [1.0]])
    # the median of |0 − 1| (8 of 12 pairs) is 1, so k = exp(−½): k + k − (1 + k)
    assert mmd(x, x) == pytest.approx(np.exp(-0.5) - 1)


def test_e_distance_by_hand():
    # squared: 2 · (1 + 9 + 1 + 1)/4 − 4 − 4
    found = e_distance(np.array([[0.0], [2.0]]), np.array([[1.0], [3.0]]))
    assert found == pytest.approx(-2.0)


def test_the_e_distance_of_scperturb_knows_means_only():
    """With squared distances the spreads cancel: 2‖Δμ‖² − 2 tr S_x/n − 2 tr S_y/m."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 6)), 0.1 * rng.normal(size=(50, 6)) + 2
    expected = 2 * ((x.mean(0) - y.mean(0)) ** 2).sum()
    expected -= 2 * x.var(0, ddof=1).sum() / 40 + 2 * y.var(0, ddof=1).sum() / 50
    assert e_distance(x, y) == pytest.approx(expected)
    assert FIELD_METRICS["e_distance"].of == "means"


def test_distributional_metrics_see_a_collapsed_spread():
    rng = np.random.default_rng(2)
    x, fair = rng.normal(size=(300, 5)), rng.normal(size=(300, 5))
    collapsed = np.tile(x.mean(axis=0), (300, 1)) + 0.01 * fair
    for metric in (energy_distance, mmd):
        assert abs(metric(x, fair)) < 0.02 < 0.1 < metric(x, collapsed)
    assert abs(e_distance(x, collapsed)) < 0.1  # does not see it


def test_the_registry_explains_every_metric():
    for name, metric in FIELD_METRICS.items():
        assert metric.name == name
        assert metric.of in ("means", "distributions")
        assert metric.explanation.endswith(".")
        assert metric.unit


def test_importing_the_packages_leaves_later_processes_their_threads():
    code = (
        "import os, numpy as np; from cradle.evaluation.field_metrics import l2;"
        "before = dict(os.environ); l2(np.ones((1, 2)), np.ones((1, 2)));"
        "assert dict(os.environ) == before, set(os.environ) - set(before)"
    )
    bare = {k: v for k, v in os.environ.items() if "THREADS" not in k}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=bare, check=True)

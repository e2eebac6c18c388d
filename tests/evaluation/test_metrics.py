"""Each metric: a case by hand, an independent library, and the axioms of a score."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn.metrics import r2_score

from cradle.evaluation.metrics import (
    EFFECT_METRICS,
    METRICS,
    ate_r2,
    ate_rho,
    jaccard,
    sign_accuracy,
    sum_of_squares,
)

matrices = st.integers(0, 10_000).map(lambda seed: np.random.default_rng(seed).normal(size=(4, 60)))


def _score(name, *arguments):
    return METRICS[name].function(*arguments)


def test_rho_by_hand():
    observed, predicted = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[2.0, 4.0], [6.0, 7.0]])
    # deviations −1.5 −.5 .5 1.5 and −2.75 −.75 1.25 2.25: 8.5 / √(5 · 14.75)
    assert ate_rho(observed, predicted) == pytest.approx(8.5 / np.sqrt(5 * 14.75))


def test_r2_by_hand():
    observed, predicted = np.array([[1.0, 2.0], [3.0, 6.0]]), np.array([[1.0, 2.0], [3.0, 4.0]])
    assert ate_r2(observed, predicted) == pytest.approx(1 - 4 / 14)  # mean 3: 4 + 1 + 0 + 9


def test_r2_is_about_the_mean_of_the_whole_matrix():
    observed = np.array([[0.0, 0.0], [2.0, 2.0]])
    assert ate_r2(observed, np.full((2, 2), 1.0)) == 0.0
    assert ate_r2(observed, np.array([[0.0, 0.0], [0.0, 0.0]])) == pytest.approx(-1.0)


def test_jaccard_by_hand():
    observed = np.array([[5.0, -4.0, 1.0, 0.5], [1.0, 2.0, 3.0, 4.0]])
    predicted = np.array([[-3.0, 0.1, 2.0, 0.0], [0.1, 0.2, 0.3, 0.4]])
    # top two: {0, 1} and {0, 2}: 1/3; {2, 3} twice: 1
    assert jaccard(observed, predicted, top=2) == pytest.approx((1 / 3 + 1) / 2)


def test_sign_accuracy_by_hand():
    observed = np.array([[5.0, -4.0, 1.0, 0.5]])
    predicted = np.array([[1.0, 1.0, -1.0, -1.0]])
    assert sign_accuracy(observed, predicted, top=2) == 0.5
    assert sign_accuracy(observed, predicted, top=4) == 0.25


@given(matrices, matrices)
def test_agrees_with_scipy_and_sklearn(observed, predicted):
    flat = observed.ravel(), predicted.ravel()
    assert ate_rho(observed, predicted) == pytest.approx(pearsonr(*flat).statistic, abs=1e-12)
    assert ate_r2(observed, predicted) == pytest.approx(r2_score(*flat), abs=1e-12)


@pytest.mark.parametrize("name", EFFECT_METRICS)
@given(observed=matrices)
def test_a_perfect_prediction_scores_one(name, observed):
    assert _score(name, observed, observed) == pytest.approx(1.0)


@pytest.mark.parametrize("name", EFFECT_METRICS)
@given(observed=matrices, predicted=matrices)
def test_stays_in_its_range_and_below_perfect(name, observed, predicted):
    low, high = METRICS[name].range
    assert low <= _score(name, observed, predicted) <= high


@pytest.mark.parametrize("name", EFFECT_METRICS)
@given(observed=matrices, predicted=matrices, seed=st.integers(0, 1000))
def test_the_order_of_genes_and_perturbations_does_not_matter(name, observed, predicted, seed):
    rng = np.random.default_rng(seed)
    genes, rows = rng.permutation(60), rng.permutation(4)
    moved = _score(name, observed[rows][:, genes], predicted[rows][:, genes])
    assert moved == pytest.approx(_score(name, observed, predicted))


@pytest.mark.parametrize("name", ["ate_rho", "jaccard_50", "jaccard_20"])
@given(observed=matrices, predicted=matrices)
def test_symmetric_and_blind_to_scale(name, observed, predicted):
    forward = _score(name, observed, predicted)
    assert _score(name, predicted, observed) == pytest.approx(forward)
    assert _score(name, observed, 3 * predicted) == pytest.approx(forward)


@pytest.mark.parametrize("name", EFFECT_METRICS)
@given(observed=matrices, predicted=matrices, noise=matrices)
def test_masked_entries_do_not_count(name, observed, predicted, noise):
    keep = np.random.default_rng(0).random(observed.shape) < 0.7
    changed = np.where(keep, predicted, noise)
    masked = _score(name, observed, predicted, keep)
    assert _score(name, observed, changed, keep) == pytest.approx(masked)


def test_no_change_is_undefined_for_rho_and_zero_for_the_top_genes():
    observed, nothing = np.random.default_rng(0).normal(size=(3, 60)), np.zeros((3, 60))
    assert np.isnan(ate_rho(observed, nothing))
    assert jaccard(observed, nothing) == 0.0
    assert sign_accuracy(observed, nothing) == 0.0
    assert ate_r2(observed, nothing) <= 0.0


@pytest.mark.parametrize("name", EFFECT_METRICS)
def test_an_observed_side_without_any_effect_is_undefined(name):
    assert np.isnan(_score(name, np.zeros((2, 5)), np.zeros((2, 5))))


def test_the_registry_explains_every_metric():
    assert {"ate_rho", "ate_r2", "jaccard_50", "jaccard_20", "sign_accuracy"} == set(EFFECT_METRICS)
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.explanation.endswith(".")
        assert metric.range[0] < metric.range[1]
        assert set(metric.to_json()) >= {"label", "higher_is_better", "unit"}
    assert not METRICS["wasserstein"].higher_is_better


def test_two_points_have_a_correlation_and_one_has_none():
    assert ate_rho(np.array([[1.0, 2.0]]), np.array([[3.0, 1.0]])) == pytest.approx(-1.0)
    assert np.isnan(ate_rho(np.array([[1.0]]), np.array([[2.0]])))
    assert np.isnan(ate_rho(np.array([[1.0, 2.0]]), np.array([[3.0, 3.0]])))
    assert np.isnan(ate_rho(np.array([[1.0, 1.0]]), np.array([[3.0, 4.0]])))


def test_rows_without_an_effect_are_left_out_of_the_mean():
    observed = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    predicted = np.array([[1.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
    assert jaccard(observed, predicted, top=2) == pytest.approx(1 / 3)
    assert sign_accuracy(observed, predicted, top=2) == pytest.approx(1 / 2)


def test_a_single_gene_with_an_effect_is_enough():
    observed = np.array([[1.0, 0.0, 0.0], [2.0, 1.0, 0.0]])
    assert jaccard(observed, np.array([[0.0, 0.0, 0.0], [2.0, 1.0, 0.0]])) == 0.5
    assert sign_accuracy(observed, np.array([[-1.0, 0.0, 0.0], [2.0, 1.0, 0.0]])) == 0.5


def test_small_effects_have_an_r2_and_no_effects_no_squares():
    observed = np.array([[0.0, 0.1]])
    assert ate_r2(observed, observed) == 1.0
    assert sum_of_squares(observed) == pytest.approx(0.005)
    assert sum_of_squares(np.empty(0)) == 0.0


def test_the_defaults_are_fifty_genes_and_ties_go_to_the_first():
    observed, predicted = np.zeros((1, 200)), np.zeros((1, 200))
    observed[0, :51], predicted[0, :51] = 1.0, 1.0
    predicted[0, 50] = 2.0  # in the top of one side only
    assert jaccard(observed, predicted) == pytest.approx(49 / 51)
    assert METRICS["jaccard_50"].function(observed, predicted) == pytest.approx(49 / 51)
    assert METRICS["jaccard_20"].function(observed, predicted) == pytest.approx(19 / 21)
    predicted[0, :50] = -1.0
    assert sign_accuracy(observed, predicted) == 0.0
    observed[0, 50] = 0.5  # the 51st, and the only one that is right
    assert METRICS["sign_accuracy"].function(observed, predicted) == 0.0


def test_ranges_units_and_directions_are_those_of_the_scores():
    rows = {m.name: (m.higher_is_better, m.range, m.of) for m in METRICS.values()}
    share, infinite = (0.0, 1.0), float("inf")
    assert rows == {
        "ate_rho": (True, (-1.0, 1.0), "effects"),
        "ate_r2": (True, (-infinite, 1.0), "effects"),
        "jaccard_50": (True, share, "effects"),
        "jaccard_20": (True, share, "effects"),
        "sign_accuracy": (True, share, "effects"),
        "qcpr": (None, share, "cells"),
        "wasserstein": (False, (0.0, infinite), "cells"),
    }
    with pytest.raises(AttributeError):
        METRICS["qcpr"].unit = "x"  # type: ignore[misc]

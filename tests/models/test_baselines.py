"""Baselines: by hand, their limits, and what they say of queries that they cannot answer."""

import numpy as np
import pytest

from cradle.errors import InputError
from cradle.models.baselines import BASELINES, TrainMeans, fit_baseline

GENES = ("x", "y")


@pytest.fixture
def train() -> TrainMeans:
    means = np.array([[3.0, 1.0], [1.0, 5.0], [9.0, 9.0], [1.0, 1.0]])
    return TrainMeans(("A", "B", "C+D", "control"), GENES, means)


def _effect(name: str, train: TrainMeans, label: str) -> list[float]:
    return fit_baseline(name, train).treatment_effects([label]).mean[0].tolist()


def test_additive_by_hand(train):
    assert _effect("additive", train, "A+B") == [2.0 + 0.0, 0.0 + 4.0]


def test_matching_mean_by_hand(train):
    assert _effect("matching_mean", train, "A+B") == [1.0, 2.0]


def test_perturbed_mean_counts_each_perturbation_once(train):
    expected = pytest.approx([(2 + 0 + 8) / 3, (0 + 4 + 8) / 3])
    assert _effect("perturbed_mean", train, "A+B") == expected
    assert _effect("perturbed_mean", train, "never+seen") == expected


def test_control_mean_is_no_change(train):
    assert _effect("control_mean", train, "A+B") == [0.0, 0.0]


@pytest.mark.parametrize("name", ["additive", "matching_mean"])
def test_a_single_is_its_own_training_effect(train, name):
    assert _effect(name, train, "B") == [0.0, 4.0]


@pytest.mark.parametrize("name", BASELINES)
def test_control_has_no_effect(train, name):
    assert _effect(name, train, "control") == [0.0, 0.0]


@pytest.mark.parametrize("name", ["additive", "matching_mean"])
@pytest.mark.parametrize("label", ["A+Q", "C+D", "Q"])
def test_a_constituent_never_measured_alone_is_not_applicable(train, name, label):
    effects = fit_baseline(name, train).treatment_effects(["A", label])
    assert effects.applicable == ("A",)
    assert np.isnan(effects.mean[1]).all()


def test_a_combination_seen_in_training_is_still_the_sum_of_its_singles(train):
    labels, means = (*train.labels, "A+B"), np.vstack([train.means, [[50.0, 50.0]]])
    seen = TrainMeans(labels, GENES, means)
    assert _effect("additive", seen, "A+B") == [2.0, 4.0]


def test_the_control_row_may_stand_anywhere(train):
    turned = TrainMeans(train.labels[::-1], GENES, train.means[::-1])
    for name in BASELINES:
        assert _effect(name, turned, "A+B") == pytest.approx(_effect(name, train, "A+B"))


def test_answers_follow_the_query(train):
    effects = fit_baseline("additive", train).treatment_effects(["B", "A"])
    assert effects.perturbations == ("B", "A")
    assert effects.genes == GENES
    assert fit_baseline("additive", train).treatment_effects([]).mean.shape == (0, 2)


def test_the_fit_keeps_no_hold_of_what_it_returns(train):
    baseline = fit_baseline("perturbed_mean", train)
    baseline.treatment_effects(["A"]).mean[:] = 99
    assert baseline.treatment_effects(["A"]).mean.max() < 99


def test_without_perturbations_the_perturbed_mean_does_not_apply():
    lonely = TrainMeans(("control",), GENES, np.ones((1, 2)))
    assert fit_baseline("perturbed_mean", lonely).treatment_effects(["A"]).applicable == ()


def test_training_cells_without_control_are_refused():
    with pytest.raises(InputError, match="no control"):
        TrainMeans(("A",), GENES, np.ones((1, 2)))


def test_an_unknown_baseline_is_refused(train):
    with pytest.raises(InputError, match="additive"):
        fit_baseline("magic", train)

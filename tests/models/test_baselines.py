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


@pytest.fixture
def measured() -> TrainMeans:
    """Perturbed genes that are measured themselves: what the linear baseline needs."""
    means = np.array([[3.0, 1.0], [1.0, 5.0], [1.0, 1.0]])
    return TrainMeans(("x", "y", "control"), GENES, means)


def test_linear_by_hand(measured):
    """Two genes have one component, so every matrix of G K Pᵀ + b is a number or a sign.

    The profiles, centred over genes, are (1, −1), (−2, 2), (0, 0), so G = ±√5·(1, −1)ᵀ and
    P = G for x and y, 0 for control. Effects: x (2, 0), y (0, 4), control (0, 0), whose mean is
    b = (2/3, 4/3). Gᵀ(Y − b) = ±√5·(2 + 2/3, −4 + 2/3, 2/3) = ±√5·(8, −10, 2)/3, times P:
    5·(8 + 10)/3 = 30. K = 30 / (10 + 0.1)².
    """
    k = 30 / 10.1**2
    b = np.array([2 / 3, 4 / 3])
    step = 5 * k * np.array([1.0, -1.0])
    assert _effect("linear", measured, "x") == pytest.approx((b + step).tolist())
    assert _effect("linear", measured, "y") == pytest.approx((b - step).tolist())
    # the embeddings of the genes add up; here they cancel
    assert _effect("linear", measured, "x+y") == pytest.approx(b.tolist())


def test_linear_predicts_a_measured_gene_that_was_never_perturbed():
    rng = np.random.default_rng(0)
    genes = tuple(f"g{i:02}" for i in range(30))
    train = TrainMeans((*genes[:12], "control"), genes, rng.normal(3, 1, (13, 30)))
    effects = fit_baseline("linear", train).treatment_effects(["g20", "g00+g20", "never"])
    assert effects.applicable == ("g20", "g00+g20")
    assert np.abs(effects.mean[0] - effects.mean[1]).max() > 1e-6


def test_linear_recovers_a_low_rank_law():
    """Effects that are G K Pᵀ + b come back, up to the ridge, also for a gene left out."""
    rng = np.random.default_rng(1)
    genes = tuple(f"g{i:03}" for i in range(200))
    control, programs = rng.normal(3, 1, 200), rng.normal(0, 3, (200, 3))
    law = rng.normal(0, 1, (3, 3))
    effect = 0.1 * programs @ law @ programs.T  # (genes, perturbed genes)
    means = np.vstack([control + effect[:, :60].T, control])
    fitted = fit_baseline("linear", TrainMeans((*genes[:60], "control"), genes, means))
    told = fitted.treatment_effects(genes[60:120]).mean
    assert np.corrcoef(told.ravel(), effect[:, 60:120].T.ravel())[0, 1] > 0.95


def test_linear_needs_a_perturbed_gene_that_is_measured(train):
    """A and B are no measured genes: nothing can be learned, nothing is answered."""
    answered = fit_baseline("linear", train).treatment_effects(["A", "x", "control"]).applicable
    assert answered == ("control",)


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
        found = _effect(name, turned, "A+B")
        assert found == pytest.approx(_effect(name, train, "A+B"), nan_ok=True)


def test_linear_does_not_depend_on_the_order_of_labels(measured):
    turned = TrainMeans(measured.labels[::-1], GENES, measured.means[::-1])
    assert _effect("linear", turned, "y") == pytest.approx(_effect("linear", measured, "y"))


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

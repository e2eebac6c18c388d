"""Score tables: matching of rows and genes, targets, ceiling and coverage by hand."""

import json
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from cradle.evaluation.effects import Effects, Widening
from cradle.evaluation.scores import (
    MAX_FACTOR,
    ceiling,
    coverage,
    score,
    targeted,
    widening,
)

GENES = tuple(f"g{i}" for i in range(60))


def _effects(labels, mean, **more):
    return Effects(tuple(labels), GENES[: mean.shape[1]], mean, **more)


@pytest.fixture
def observed() -> Effects:
    rng = np.random.default_rng(3)
    mean = rng.normal(size=(3, 60))
    return _effects(["A", "B", "A+B"], mean, se=np.full((3, 60), 0.2), n_cells=np.array([9, 8, 7]))


def test_a_perfect_prediction_scores_one_everywhere(observed):
    found = score(observed, observed, per_perturbation=True)
    for values in (found, found["without_targets"], *found["per_perturbation"].values()):
        for name in ("ate_rho", "ate_r2", "jaccard_50", "jaccard_20", "sign_accuracy"):
            assert values[name] == pytest.approx(1.0)
    assert found["n_perturbations"] == 3
    assert found["per_perturbation"]["B"]["n_cells"] == 8


def test_rows_and_genes_are_matched_by_name(observed):
    turned = observed.rows(["A+B", "A", "B"]).columns(GENES[::-1])
    assert score(observed, turned)["ate_r2"] == pytest.approx(1.0)


def test_rows_that_do_not_apply_are_left_out_and_counted(observed):
    mean = observed.mean.copy()
    mean[1] = np.nan
    found = score(observed, _effects(observed.perturbations, mean))
    assert found["n_perturbations"] == 2
    assert found["ate_r2"] == pytest.approx(1.0)
    assert score(observed, _effects(["Q"], mean[:1])) is None


def test_each_perturbation_is_scored_by_itself(observed):
    mean = observed.mean.copy()
    mean[0] *= -1
    found = score(observed, _effects(observed.perturbations, mean), per_perturbation=True)
    by_name = found["per_perturbation"]
    assert by_name["A"]["ate_rho"] == pytest.approx(-1.0)
    assert by_name["A"]["sign_accuracy"] == 0.0
    assert by_name["B"]["ate_rho"] == pytest.approx(1.0)


def test_targets_are_each_perturbations_own_genes():
    effects = Effects(("A+B", "B", "AB"), ("A", "B", "C"), np.zeros((3, 3)))
    assert targeted(effects).tolist() == [
        [True, True, False],
        [False, True, False],
        [False, False, False],
    ]


def test_scores_without_targets_ignore_them():
    genes = ("A", "B", *GENES[:6])
    observed = np.array([[9.0, 0.1, *np.arange(6.0)]])
    predicted = observed.copy()
    predicted[0, 0] = -9.0  # only the target itself is wrong
    found = score(Effects(("A",), genes, observed), Effects(("A",), genes, predicted))
    assert found["ate_r2"] < 0
    assert found["without_targets"]["ate_r2"] == pytest.approx(1.0)


def test_undefined_is_null_with_a_reason_and_the_json_is_strict(observed):
    nothing = _effects(observed.perturbations, np.zeros((3, 60)))
    found = score(observed, nothing, per_perturbation=True)
    assert found["ate_rho"] is None
    assert "correlate" in found["undefined"]["ate_rho"]
    json.dumps(found, allow_nan=False)


def test_ceiling_by_hand():
    mean = np.array([[1.0, 2.0], [3.0, 6.0]])  # sum of squares about the mean 3: 14
    effects = Effects(("A", "B"), ("x", "y"), mean, se=np.full((2, 2), 0.5))
    found = ceiling(effects)
    assert found["ate_r2"] == pytest.approx(1 - 4 * 0.25 / 14)
    assert found["ate_rho"] == pytest.approx(np.sqrt(1 - 1 / 14))


def test_ceiling_is_what_the_true_means_score_on_average():
    rng = np.random.default_rng(0)
    truth, se = rng.normal(size=(20, 200)), 0.7
    r2, predicted = [], _effects_of(truth)
    ceilings = []
    for _ in range(20):
        seen = Effects(
            predicted.perturbations,
            predicted.genes,
            truth + rng.normal(0, se, truth.shape),
            se=np.full(truth.shape, se),
        )
        r2.append(score(seen, predicted)["ate_r2"])
        ceilings.append(ceiling(seen)["ate_r2"])
    assert np.mean(r2) == pytest.approx(np.mean(ceilings), abs=0.005)


def test_noise_beyond_the_variance_has_no_ceiling_for_rho():
    effects = Effects(("A",), ("x", "y"), np.array([[0.0, 1.0]]), se=np.full((1, 2), 2.0))
    found = ceiling(effects)
    assert found["ate_rho"] is None
    assert found["ate_r2"] < 0
    assert "noise" in found["undefined"]["ate_rho"]


def test_groups_of_one_cell_have_no_part_in_the_ceiling(observed):
    se = observed.se.copy()
    se[0] = np.nan
    found = ceiling(Effects(observed.perturbations, observed.genes, observed.mean, se=se))
    assert found["n_perturbations"] == 2


def test_coverage_by_hand():
    z = NormalDist().inv_cdf(0.975)
    observed = Effects(
        ("A",), ("w", "x", "y", "z"), np.array([[0.0, 0.9, 1.4, 9.0]]), se=np.full((1, 4), 1 / z)
    )
    mean = np.zeros((1, 4))
    predicted = Effects(("A",), observed.genes, mean, mean - 1.0, mean + 1.0)
    found = coverage(observed, predicted)
    assert found["posterior"] == 0.5  # 0 and 0.9 are within ±1
    assert found["with_sampling_error"] == 0.75  # 1.4 is within ±√(1 + 1), too
    assert (found["n"], found["level"]) == (4, 0.95)


def test_coverage_of_exact_intervals_is_their_level():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(30, 300))
    told = truth + rng.normal(0, 0.3, truth.shape)
    seen = truth + rng.normal(0, 0.4, truth.shape)
    z = NormalDist().inv_cdf(0.975)
    labels, genes = _effects_of(truth).perturbations, _effects_of(truth).genes
    predicted = Effects(labels, genes, told, told - z * 0.3, told + z * 0.3)
    observed = Effects(labels, genes, seen, se=np.full(truth.shape, 0.4))
    found = coverage(observed, predicted)
    assert found["with_sampling_error"] == pytest.approx(0.95, abs=0.01)
    assert found["posterior"] < 0.85


def _told(error, claimed, noise=0.4):
    """Observed effects, predictions that are wrong by ``error`` and claim ``claimed``, each a row
    or a number, and the truth."""
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(30, 300))
    told = truth + rng.normal(0, error, truth.shape)
    labels, genes = _effects_of(truth).perturbations, _effects_of(truth).genes
    margin = NormalDist().inv_cdf(0.975) * np.broadcast_to(claimed, truth.shape)
    seen = truth + rng.normal(0, noise, truth.shape)
    observed = Effects(labels, genes, seen, se=np.full(truth.shape, noise))
    return observed, Effects(labels, genes, told, told - margin, told + margin), truth


def test_intervals_are_widened_until_they_hold_the_effects_and_the_truth():
    # genes that the model says do not move, and genes of which it is three times too sure
    still = np.arange(300) < 150
    observed, predicted, truth = _told(
        error=np.where(still, 0.1, 0.9), claimed=np.where(still, 0.0, 0.3), noise=0.02
    )
    found = widening(observed, predicted)
    assert found == pytest.approx((3.0, 0.196), rel=0.1)
    wide = predicted.widened(found)
    assert coverage(observed, wide)["with_sampling_error"] == pytest.approx(0.95, abs=0.01)
    inside = (wide.lower <= truth) & (truth <= wide.upper)
    for genes in (still, ~still):
        assert inside[:, genes].mean() == pytest.approx(0.95, abs=0.01)


def test_intervals_are_never_narrowed_nor_widened_without_end():
    still = np.arange(300) < 150
    assert widening(*_told(error=0.3, claimed=np.where(still, 0.9, 1.0))[:2]).factor == 1.0
    hardly = np.where(still, 0.0, 1e-9)
    assert widening(*_told(np.where(still, 0.1, 0.9), hardly, 0.02)[:2]).factor == MAX_FACTOR
    observed, predicted, _ = _told(error=0.9, claimed=0.0)
    assert widening(observed, predicted).factor == 1.0  # every width is the same: a floor alone
    sure = Effects(predicted.perturbations, predicted.genes, predicted.mean)
    assert widening(observed, sure) == Widening()
    assert sure.widened(Widening(3.0, 0.1)) is sure


def test_no_interval_no_coverage(observed):
    assert coverage(observed, observed) is None


def test_genes_without_a_sampling_variance_have_no_part_in_the_coverage(observed):
    se = observed.se.copy()
    se[:, :30] = 0.0
    se[0, 30] = np.nan
    off = replace(observed, mean=observed.mean.copy(), se=None)
    off.mean[:, :31] += 9.0
    told = replace(off, lower=off.mean - 0.1, upper=off.mean + 0.1)
    found = coverage(replace(observed, se=se), told)
    assert (found["n"], found["n_left_out"]) == (89, 91)
    assert found["posterior"] == pytest.approx(87 / 89)  # column 30 is wrong in two rows
    assert coverage(replace(observed, se=se * 0), told) is None


def _effects_of(mean):
    labels = tuple(f"P{i}" for i in range(mean.shape[0]))
    return Effects(labels, tuple(f"x{i}" for i in range(mean.shape[1])), mean)

"""Scores of a model whose control is off, where observed control stands for it."""

from dataclasses import replace

import numpy as np
import pytest

from cradle.evaluation.beside_rule import BesideRule, Pair
from cradle.evaluation.effects import Effects
from cradle.evaluation.moments import compute_moments, pooled_control
from cradle.evaluation.own_control import own_control
from cradle.evaluation.scores import score
from cradle.evaluation.sections import Scoring
from cradle.ui.effects_scores import control_words


@pytest.fixture
def base(cells) -> Scoring:
    moments = compute_moments(cells)
    return Scoring(moments, Effects((), moments.genes, np.empty((0, 12))), ("A", "B", "C"))


def test_a_model_that_is_wrong_in_control_alone_is_right_against_the_observed_one(base):
    observed = base.observed("test")
    control = pooled_control(base.moments, "test")
    off = np.random.default_rng(0).normal(0, 2, 12)
    scoring = replace(base, predicted=replace(observed, mean=observed.mean - off))
    found = own_control(scoring, control.mean[0] + off)["test"]
    assert score(observed, scoring.predicted)["ate_r2"] < 0.9
    assert found["ate_r2"] == pytest.approx(1)
    assert found["ate_rho"] == pytest.approx(1)
    assert found["squared_error"] == pytest.approx((off**2).sum())


def test_the_observed_control_itself_changes_nothing(base):
    observed = base.observed("all")
    control = pooled_control(base.moments, "all")
    scoring = replace(base, predicted=replace(observed, mean=observed.mean / 2))
    found = own_control(scoring, control.mean[0])["all"]
    assert found["squared_error"] == 0
    assert found["ate_r2"] == pytest.approx(score(observed, scoring.predicted)["ate_r2"])


def test_the_sampling_error_is_that_of_the_mean_of_the_control_cells(base, cells, expression):
    """Of other cells, as many: resampled ones miss their mean by as much, squared, on average."""
    control = expression[(cells.obs["perturbation"] == "control").to_numpy()]
    rng = np.random.default_rng(0)
    again = [control[rng.choice(len(control), len(control))].mean(axis=0) for _ in range(500)]
    missed = ((np.array(again) - control.mean(axis=0)) ** 2).sum(axis=1).mean()
    scoring = replace(base, predicted=base.observed("all"))
    found = own_control(scoring, control.mean(axis=0))["all"]
    assert found["sampling_error"] == pytest.approx(missed, rel=0.1)


def test_a_rule_has_no_control_of_its_own(base):
    assert own_control(base, None) is None


def test_it_is_said_where_it_matters():
    found = BesideRule("additive", Pair(0.82, 0.91), {})
    assert "with those as observed it has 0.90" in control_words(found, 0.8969)
    assert control_words(found, 0.83) == ""
    assert control_words(found, 0.7) == ""
    assert control_words(found, None) == ""

"""The model beside the best rule: scores of the rest, and cells drawn anew, by brute force."""

import json
from dataclasses import replace

import numpy as np
import pytest
from anndata import AnnData

from cradle.evaluation.beside_rule import (
    BesideRule,
    Pair,
    beside_rule,
    r2_without_each,
    rule_section,
    standard_errors,
)
from cradle.evaluation.effects import Effects
from cradle.evaluation.metrics import ate_r2
from cradle.evaluation.moments import compute_moments
from cradle.evaluation.sections import Scoring
from cradle.ui.effects_scores import distance_words, rests_on

PAIRS, GENES = ("A+B", "B+C", "C"), ("A", "B", "G", "H", "HBZ")


def _effects(mean: np.ndarray) -> Effects:
    return Effects(PAIRS, GENES, mean)


@pytest.fixture
def observed() -> np.ndarray:
    return np.random.default_rng(0).normal(0.3, 1, (3, 5))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("of", "axis"), [("gene", 1), ("perturbation", 0)])
def test_each_is_the_score_of_the_rest(observed, of, axis, masked):
    predicted = observed + np.random.default_rng(1).normal(0, 0.4, observed.shape)
    keep = np.random.default_rng(2).random(observed.shape) < 0.7 if masked else None
    expected = [
        ate_r2(*(np.delete(values, i, axis) for values in (observed, predicted)),
               None if keep is None else np.delete(keep, i, axis))
        for i in range(observed.shape[axis])
    ]  # fmt: skip
    np.testing.assert_allclose(r2_without_each(observed, predicted, of, keep), expected, rtol=1e-9)


def test_what_is_left_without_any_variance_is_undefined():
    observed = np.array([[1.0, 1.0, 3.0]])
    found = r2_without_each(observed, observed, "gene")
    assert np.isnan(found).tolist() == [False, False, True]


def test_one_gene_turns_the_order_and_is_named(observed):
    observed[0, 4] = 8.0
    model, rule = observed.copy(), observed + 0.5
    model[0, 4] = 2.0  # right everywhere but in the largest effect
    found = beside_rule(_effects(observed), _effects(model), {"additive": _effects(rule)})
    assert found.rule == "additive"
    assert found.everything.ahead == -1
    (of, pair), *others = found.turned_by()
    assert (of, pair.left_out, pair.model) == ("gene", "HBZ", pytest.approx(1.0))
    assert pair.rule == pytest.approx(ate_r2(observed[:, :4], rule[:, :4]))
    assert others[0][1].left_out == "A+B"  # whose row holds the effect
    words = rests_on(found)
    assert "A single gene and a single perturbation decide which is higher" in words
    assert f"without HBZ the model has 1.00, the rule {pair.rule:.2f}" in words


def test_an_order_that_rests_on_nothing_single_is_said_so(observed):
    model, rule = observed + 0.01, observed * 0.5
    found = beside_rule(_effects(observed), _effects(model), {"additive": _effects(rule)})
    assert found.turned_by() == []
    assert rests_on(found) == "No single gene or perturbation decides which is higher."


def test_only_rules_that_answer_every_row_stand_beside_the_model(observed):
    some = observed.copy()
    some[1] = np.nan
    rules = {"additive": _effects(some), "control_mean": _effects(np.zeros_like(observed))}
    found = beside_rule(_effects(observed), _effects(observed), rules)
    assert found.rule == "control_mean"
    assert beside_rule(_effects(observed), _effects(observed), {"additive": _effects(some)}) is None


def test_level_sides_and_single_rows_have_nothing_to_tell(observed):
    same = _effects(observed)
    level = beside_rule(same, same, {"additive": same})
    assert level.everything == Pair(1.0, 1.0)
    assert level.turned_by() == []
    one = Effects(PAIRS[:1], GENES, observed[:1])
    assert beside_rule(one, one, {"additive": one}).without["perturbation"] is None


@pytest.fixture
def scoring(cells) -> Scoring:
    """A model that halves what is observed, with cells that were not seen before."""
    moments = compute_moments(cells)
    base = Scoring(moments, Effects((), moments.genes, np.empty((0, 12))), ("A", "B", "C"))
    observed = base.observed("all")
    return replace(base, predicted=replace(observed, mean=observed.mean / 2))


def test_the_standard_error_is_that_of_drawing_cells_anew(cells, scoring):
    rng, gaps = np.random.default_rng(0), []
    keys = cells.obs["perturbation"].astype(str) + cells.obs["split"].astype(str)
    groups = [np.flatnonzero(keys == key) for key in keys.unique()]
    for _ in range(150):
        rows = np.concatenate([rng.choice(rows, len(rows)) for rows in groups])
        obs = cells.obs.iloc[rows].set_axis([f"drawn{i}" for i in range(len(rows))])
        again = replace(scoring, moments=compute_moments(AnnData(cells.X[rows], obs, cells.var)))
        observed = again.observed("test")
        model = scoring.predicted.rows(observed.perturbations)
        rule = again.baselines()["additive"].treatment_effects(observed.perturbations)
        gaps.append(ate_r2(observed.mean, model.mean) - ate_r2(observed.mean, rule.mean))
    error = standard_errors(scoring, {"test": "additive"})["test"]
    assert error == pytest.approx(np.std(gaps), rel=0.3)


def test_four_times_the_cells_halve_the_standard_error(scoring):
    groups = scoring.moments.groups
    many = replace(scoring.moments, groups=groups.assign(n_cells=100 * groups["n_cells"]))
    more = replace(many, groups=groups.assign(n_cells=400 * groups["n_cells"]), m2=4 * many.m2)
    once, again = (standard_errors(replace(scoring, moments=moments), {"test": "additive"})["test"]
                   for moments in (many, more))  # fmt: skip
    assert again == pytest.approx(once / 2, rel=0.05)


def test_the_section_holds_the_best_rule_and_is_strict_json(scoring):
    found = rule_section(scoring)
    assert found["test"]["rule"] == "additive"
    assert found["test"]["without_perturbation"] is None  # A+B is the only one
    assert found["test"]["standard_error"] > 0
    json.dumps(found, allow_nan=False)


def test_the_distance_is_said_with_its_standard_error():
    found = BesideRule("additive", Pair(0.82, 0.91), {"gene": None, "perturbation": None})
    assert distance_words(found, None) == (
        "**The model is behind the best simple rule** (Additive) in ATE-R²: 0.82 against 0.91."
    )
    undecided, clear = distance_words(found, 0.06), distance_words(found, 0.03)
    assert undecided.startswith("**The model and the best simple rule** (Additive) **cannot be")
    assert "that distance of 0.09 would vary by ±\u00a00.06 (standard error)." in undecided
    assert clear.startswith("**The model is behind the best simple rule** (Additive) in ATE-R²:")
    assert "±\u00a00.03 (standard error)." in clear

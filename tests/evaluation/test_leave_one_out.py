"""Scores with one gene or perturbation left out, against the score of the rest itself."""

import numpy as np
import pytest

from cradle.evaluation.effects import Effects
from cradle.evaluation.leave_one_out import Pair, r2_without_each, standing
from cradle.evaluation.metrics import ate_r2
from cradle.ui.evidence import standing_words

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
    found = standing(_effects(observed), _effects(model), {"additive": _effects(rule)})
    assert found.name == "additive"
    assert found.everything.ahead == -1
    (of, pair), *others = found.turned_by()
    assert (of, pair.left_out, pair.model) == ("gene", "HBZ", pytest.approx(1.0))
    assert pair.rule == pytest.approx(ate_r2(observed[:, :4], rule[:, :4]))
    assert others[0][1].left_out == "A+B"  # whose row holds the effect
    words = standing_words(found)
    assert "A single gene and a single perturbation decide who is ahead" in words
    assert f"without HBZ, model 1.00, Additive {pair.rule:.2f}" in words


def test_an_order_that_rests_on_nothing_single_is_said_so(observed):
    model, rule = observed + 0.01, observed * 0.5
    found = standing(_effects(observed), _effects(model), {"additive": _effects(rule)})
    assert found.turned_by() == []
    assert "The model stays ahead in ATE-R² whichever single gene or perturb" in standing_words(
        found
    )


def test_only_rules_that_answer_every_row_stand_beside_the_model(observed):
    some = observed.copy()
    some[1] = np.nan
    rules = {"additive": _effects(some), "control_mean": _effects(np.zeros_like(observed))}
    found = standing(_effects(observed), _effects(observed), rules)
    assert found.name == "control_mean"
    assert standing(_effects(observed), _effects(observed), {"additive": _effects(some)}) is None


def test_level_sides_and_single_rows_have_nothing_to_tell(observed):
    same = _effects(observed)
    level = standing(same, same, {"additive": same})
    assert level.everything == Pair(1.0, 1.0)
    assert standing_words(level) == ""
    one = Effects(PAIRS[:1], GENES, observed[:1])
    assert standing(one, one, {"additive": one}).without["perturbation"] is None

"""Theil–Sen interactions: known coefficients come back, classes follow the limits."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import TheilSenRegressor

from cradle.evaluation.interactions import (
    Fit,
    Genes,
    classes,
    dominance,
    fit_pair,
    interaction,
    responding,
    strength,
    theil_sen,
)

N = 60
ALL = Genes(np.ones(N, bool), np.ones(N, bool))


@pytest.fixture
def singles() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=N), rng.normal(size=N)


def _kind(first: np.ndarray, second: np.ndarray, pair: np.ndarray) -> str:
    return str(classes(fit_pair(first, second, pair, ALL)))


def test_an_additive_pair_has_the_coefficients_one_and_one(singles):
    a, b = singles
    fit = fit_pair(a, b, a + b, ALL)
    np.testing.assert_allclose([fit.first, fit.second, fit.magnitude, fit.scale], 1.0, atol=1e-9)
    assert float(fit.quality) == pytest.approx(1.0)
    assert str(classes(fit)) == "additive"


@pytest.mark.parametrize(("c1", "c2"), [(1.5, 1.5), (0.4, 0.6), (1.2, 0.3), (-0.5, 1.0)])
def test_any_coefficients_come_back_exactly(singles, c1, c2):
    a, b = singles
    np.testing.assert_allclose(theil_sen(a, b, c1 * a + c2 * b), [c1, c2], atol=1e-9)


@pytest.mark.parametrize(
    ("factor", "kind"),
    [(1.0, "additive"), (1.29, "additive"), (1.31, "synergy"), (0.71, "additive"),
     (0.69, "suppression")],
)  # fmt: skip
def test_scaled_pairs_cross_the_limits_where_they_say(singles, factor, kind):
    a, b = singles
    assert _kind(a, b, factor * (a + b)) == kind


def test_a_permuted_pair_is_neomorphic(singles):
    a, b = singles
    assert _kind(a, b, np.random.default_rng(1).permutation(a + b)) == "neomorphic"


def test_alike_singles_are_redundant_and_their_scale_is_still_known(singles):
    a, noise = singles
    b = a + 0.2 * noise
    fit = fit_pair(a, b, 0.5 * (a + b), ALL)
    assert str(classes(fit)) == "redundant"
    assert int(dominance(fit)) == -1
    assert float(fit.scale) == pytest.approx(0.5)


def test_equal_singles_determine_no_coefficients(singles):
    a, _ = singles
    assert np.isnan(theil_sen(a, a, 2 * a)).all()
    assert _kind(a, a, 2 * a) == "undetermined"


def test_outliers_do_not_move_the_fit_as_they_move_least_squares(singles):
    a, b = singles
    pair = a + b
    pair[:9] += 12.0  # 15 % of the genes
    robust = theil_sen(a, b, pair)
    squares = np.linalg.lstsq(np.stack([a, b], 1), pair, rcond=None)[0]
    assert np.abs(robust - 1).max() < 0.1
    assert np.abs(squares - 1).max() > 0.5


def test_the_estimate_agrees_with_an_independent_theil_sen(singles):
    """scikit-learn's has equal weights; on genes that all respond both find the same."""
    a, b = singles
    pair = 0.8 * a + 1.3 * b + 0.1 * np.random.default_rng(2).normal(size=N)
    other = TheilSenRegressor(fit_intercept=False, random_state=0).fit(np.stack([a, b], 1), pair)
    np.testing.assert_allclose(theil_sen(a, b, pair), other.coef_, atol=0.03)


def test_order_of_genes_in_the_pair_swaps_the_coefficients(singles):
    a, b = singles
    pair = a + 0.3 * b
    np.testing.assert_allclose(theil_sen(a, b, pair), theil_sen(b, a, pair)[::-1], atol=1e-9)
    assert int(dominance(fit_pair(a, b, pair, ALL))) == 0
    assert int(dominance(fit_pair(b, a, pair, ALL))) == 1


def test_epistasis_is_undefined_for_a_coefficient_below_zero(singles):
    a, b = singles
    assert int(dominance(fit_pair(a, b, a - 0.2 * b, ALL))) == -1


def test_replicates_are_fitted_each_by_itself(singles):
    a, b = singles
    factors = np.array([0.5, 1.0, 2.0])
    fit = fit_pair(np.tile(a, (3, 1)), np.tile(b, (3, 1)), factors[:, None] * (a + b), ALL)
    np.testing.assert_allclose(fit.magnitude, factors, atol=1e-9)


def test_chance_of_the_drawn_couples_is_in_the_spread_of_the_replicates():
    """Couples shared by all replicates would hide how much the coefficients hang on them."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 300))  # too many for every couple
    pair = 1.2 * a + 0.8 * b + rng.normal(0, 0.5, 300)
    every = theil_sen_of_all(a, b, pair)
    same = theil_sen(*(np.tile(x, (50, 1)) for x in (a, b, pair)))
    spread = same.std(axis=0)
    assert (spread > 0).all()
    np.testing.assert_allclose(same.mean(axis=0), every, atol=0.02)
    assert np.abs(theil_sen(a, b, pair) - every).max() < spread.max()


def theil_sen_of_all(a: np.ndarray, b: np.ndarray, pair: np.ndarray) -> np.ndarray:
    """The estimate from every couple of genes, by least summed distance."""
    i, j = np.triu_indices(len(a), 1)
    determinant = a[i] * b[j] - b[i] * a[j]
    solutions = np.stack([b[j] * pair[i] - b[i] * pair[j], a[i] * pair[j] - a[j] * pair[i]])
    weight = np.abs(determinant)

    def summed(c: np.ndarray) -> float:
        return float((weight * np.linalg.norm(solutions / determinant - c[:, None], axis=0)).sum())

    return np.asarray(minimize(summed, np.ones(2), method="Nelder-Mead").x)


def test_genes_that_respond_to_the_pair_alone_count_for_its_fit_only():
    z = np.array([[5.0, 0.0, 0.0, 5.0], [0.0, -4.0, 0.0, 0.0], [0.0, 0.0, 9.0, 0.0]])
    genes = responding(np.array([True, True, True, False]), *z)
    assert genes.coefficients.tolist() == [True, True, False, False]
    assert genes.correlations.tolist() == [True, True, True, False]


def test_noise_does_not_make_an_additive_pair_suppressed():
    """Most genes do not respond: over all of them noise halves the coefficients."""
    rng = np.random.default_rng(3)
    n, se = 1000, 0.1
    a, b = (np.where(rng.random(n) < 0.1, rng.normal(0, 1, n), 0.0) for _ in range(2))
    noisy = [x + se * rng.normal(size=n) for x in (a, b, a + b)]
    chosen = responding(np.ones(n, bool), *(x / se for x in noisy))
    assert float(fit_pair(*noisy, chosen).magnitude) == pytest.approx(1.0, abs=0.1)


def _fit(magnitude: float, n: int | None = None) -> Fit:
    c = np.full(() if n is None else n, magnitude)
    one = np.ones_like(c)
    return Fit(c, c, one, 0 * one, c)


def test_a_class_needs_eighty_percent_of_the_replicates():
    same = np.concatenate([np.full(80, 1.5), np.full(20, 1.0)])
    found = interaction(_fit(1.5), _fit(1.0, 100)._replace(first=same, second=same), 50)
    assert (found.kind, found.reason) == ("synergy", "")
    fewer = np.concatenate([np.full(79, 1.5), np.full(21, 1.0)])
    found = interaction(_fit(1.5), _fit(1.0, 100)._replace(first=fewer, second=fewer), 50)
    assert found.kind == "undetermined"
    assert "79 %" in found.reason


def test_too_few_genes_give_no_class():
    assert interaction(_fit(1.0), _fit(1.0, 20), 9).kind == "undetermined"
    assert interaction(_fit(1.0), _fit(1.0, 20), 10).kind == "additive"


def test_strength_is_the_root_mean_square_of_what_all_draws_share():
    departure = np.random.default_rng(4).normal(size=400)
    middle, low, high = strength(departure * np.linspace(0.9, 1.1, 16)[:, None])
    assert middle == pytest.approx(np.sqrt((departure**2).mean()), rel=1e-9)
    assert 0 < low < middle < high


def test_draws_that_disagree_are_no_interaction():
    draws = np.random.default_rng(5).normal(size=(16, 400))
    middle, low, high = strength(draws)
    assert np.sqrt((draws**2).mean()) == pytest.approx(1.0, abs=0.05)
    assert abs(middle) < 0.1
    assert low < 0 < high


def test_an_additive_model_has_no_strength_and_no_interval():
    middle, low, high = strength(np.zeros((16, 30)))
    assert middle == 0
    assert np.isnan([low, high]).all()

"""The gamma-Poisson against torch.distributions and against direct summation."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import NegativeBinomial

from cradle.nn.likelihoods import GammaPoisson, standard_gamma

SHARES = torch.tensor([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 5e-2, 0.3], dtype=torch.float64)
SIZES = torch.tensor([[500.0], [5000.0], [50000.0]], dtype=torch.float64)
LOG_THETA = torch.linspace(-2, 4, 7, dtype=torch.float64)


@pytest.fixture
def likelihood():
    return GammaPoisson(SHARES.log().expand(2, 3, 7), SIZES, LOG_THETA)


def reference(likelihood):
    return NegativeBinomial(LOG_THETA.exp(), logits=likelihood.mean.log() - LOG_THETA)


def test_log_prob_equals_the_negative_binomial(likelihood):
    counts = torch.poisson(likelihood.mean[0], generator=torch.Generator().manual_seed(0))
    expected = reference(likelihood).log_prob(counts).sum(-1)
    torch.testing.assert_close(likelihood.log_prob(counts), expected)


def test_log_prob_of_empty_cells_is_that_of_zeros(likelihood):
    counts = torch.zeros(3, 7, dtype=torch.float64)
    expected = reference(likelihood).log_prob(counts).sum(-1)
    torch.testing.assert_close(likelihood.log_prob(counts), expected)


def test_gradients_equal_those_of_the_negative_binomial():
    counts = torch.tensor([[0.0, 3.0, 40.0]], dtype=torch.float64)
    size = torch.tensor([[100.0]], dtype=torch.float64)
    gradients = []
    for ours in (True, False):
        log_rate = torch.tensor([[-4.0, -3.0, -2.0]], dtype=torch.float64, requires_grad=True)
        log_theta = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
        likelihood = GammaPoisson(log_rate, size, log_theta)
        if ours:
            value = likelihood.log_prob(counts).sum()
        else:
            logits = likelihood.mean.log() - log_theta
            value = NegativeBinomial(log_theta.exp(), logits=logits).log_prob(counts).sum()
        gradients.append(torch.autograd.grad(value, [log_rate, log_theta]))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("log_theta", [-2.0, 2.0, 5.0, 8.0, 11.0])
def test_single_precision_keeps_value_and_slope_where_dispersion_is_small(log_theta):
    generator = torch.Generator().manual_seed(0)
    rates = torch.tensor([0.01, 0.1, 1.0, 10.0, 100.0]).repeat(20)
    counts = torch.poisson(rates.expand(50, 100), generator=generator)
    found = []
    for dtype in (torch.float32, torch.float64):
        parameter = torch.full((100,), log_theta, dtype=dtype, requires_grad=True)
        size = torch.full((50, 1), 1000.0, dtype=dtype)
        likelihood = GammaPoisson((rates.to(dtype) / 1000).log().expand(50, 100), size, parameter)
        value = likelihood.log_prob(counts.to(dtype))
        (slope,) = torch.autograd.grad(value.sum(), parameter)
        found.append((value.detach().double(), slope.double()))
    (value, slope), (exact, exact_slope) = found
    torch.testing.assert_close(value, exact, atol=2e-3, rtol=1e-5)
    torch.testing.assert_close(slope, exact_slope, atol=5e-3, rtol=1e-3)


def test_a_dispersion_beyond_measure_is_that_of_a_poisson():
    counts = torch.tensor([[0.0, 1.0, 20.0]])
    rates = torch.tensor([0.5, 2.0, 15.0])
    likelihood = GammaPoisson(
        (rates / 100).log()[None], torch.tensor([[100.0]]), torch.full((3,), 40.0)
    )
    expected = torch.distributions.Poisson(rates).log_prob(counts).sum(-1)
    torch.testing.assert_close(likelihood.log_prob(counts), expected, atol=1e-2, rtol=0)


def test_expected_log2_equals_the_sum_over_all_counts(likelihood):
    x = torch.arange(200_000, dtype=torch.float64)
    theta = LOG_THETA.exp()
    for i, size in enumerate(SIZES[:, 0]):
        for g in range(7):
            logits = (size * SHARES[g]).log() - LOG_THETA[g]
            probability = NegativeBinomial(theta[g], logits=logits).log_prob(x).exp()
            exact = (probability * torch.log2(1 + 1e4 * x / size)).sum()
            assert likelihood.expected_log2_cp10k()[0, i, g] == pytest.approx(
                float(exact), abs=2e-4
            )


def test_expected_log2_in_single_precision(likelihood):
    single = GammaPoisson(likelihood.log_rate.float(), SIZES.float(), LOG_THETA.float())
    torch.testing.assert_close(
        single.expected_log2_cp10k(), likelihood.expected_log2_cp10k().float(), atol=1e-4, rtol=0
    )


def test_samples_have_the_mean_and_variance_of_the_model():
    generator = torch.Generator().manual_seed(1)
    likelihood = GammaPoisson(
        torch.tensor([-4.0, -3.0]).expand(200_000, 2),
        torch.full((200_000, 1), 100.0),
        torch.tensor([0.0, 1.0]),
    )
    counts = likelihood.sample(generator)
    mean = likelihood.mean[0]
    variance = mean + mean**2 / likelihood.log_theta.exp()
    standard_error = (variance / len(counts)).sqrt()
    assert ((counts.mean(0) - mean).abs() < 4 * standard_error).all()
    np.testing.assert_allclose(counts.var(0), variance, rtol=0.03)


@pytest.mark.parametrize("concentration", [0.2, 1.0, 2.7, 300.0])
def test_gamma_draws_follow_the_gamma_distribution(concentration):
    generator = torch.Generator().manual_seed(5)
    drawn = standard_gamma(torch.full((50_000,), concentration), generator).double().numpy()
    assert stats.kstest(drawn, stats.gamma(concentration).cdf).pvalue > 0.01

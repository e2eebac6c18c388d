"""Discrete variables: exact values, exact KL, the gradient of the relaxation."""

import pytest
import torch
from torch.distributions import Bernoulli, kl_divergence

from cradle.nn.relaxed import (
    bernoulli_kl,
    straight_through_bernoulli,
    straight_through_categorical,
)


@pytest.mark.parametrize("prior", [0.001, 0.1, 0.5])
def test_kl_equals_torch_distributions(prior):
    logits = torch.linspace(-8, 8, 33, dtype=torch.float64)
    expected = kl_divergence(
        Bernoulli(logits=logits), Bernoulli(torch.tensor(prior, dtype=torch.float64))
    )
    torch.testing.assert_close(bernoulli_kl(logits, prior), expected, atol=1e-7, rtol=1e-6)


def test_samples_are_zeros_and_ones_with_the_right_frequency():
    logits = torch.tensor([-2.0, 0.0, 3.0])
    draws = straight_through_bernoulli(logits, 50_000, 1.0, torch.Generator().manual_seed(0))
    assert set(draws.unique().tolist()) <= {0.0, 1.0}
    torch.testing.assert_close(draws.mean(0), torch.sigmoid(logits), atol=0.01, rtol=0)


def test_gradient_is_that_of_the_relaxed_variable():
    logits = torch.tensor([0.3, -1.0], requires_grad=True)
    straight_through_bernoulli(logits, 1, 0.7, torch.Generator().manual_seed(3)).sum().backward()
    uniform = torch.rand((1, 2), generator=torch.Generator().manual_seed(3))
    relaxed = logits.detach().clone().requires_grad_()
    torch.sigmoid((relaxed + torch.logit(uniform)) / 0.7).sum().backward()
    torch.testing.assert_close(logits.grad, relaxed.grad)


def test_one_hot_samples_have_the_right_frequency():
    logits = torch.tensor([[0.0, 1.0, -2.0], [3.0, 3.0, 3.0]])
    draws = straight_through_categorical(logits, 50_000, torch.Generator().manual_seed(0))
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    assert (draws.sum(-1) == 1).all()
    torch.testing.assert_close(draws.mean(0), logits.softmax(-1), atol=0.01, rtol=0)


def test_gradient_of_one_hot_samples_is_that_of_the_relaxed_variable():
    logits, weight = torch.tensor([0.3, -1.0, 0.5], requires_grad=True), torch.tensor([1.0, 2, 4])
    drawn = straight_through_categorical(logits, 1, torch.Generator().manual_seed(3))
    (drawn * weight).sum().backward()
    uniform = torch.rand((1, 3), generator=torch.Generator().manual_seed(3))
    relaxed = logits.detach().clone().requires_grad_()
    soft = torch.softmax(relaxed - torch.log(-torch.log(uniform)), -1)
    (soft * weight).sum().backward()
    torch.testing.assert_close(logits.grad, relaxed.grad)

"""Discrete variables with a straight-through gradient."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def straight_through_bernoulli(
    logits: Tensor, n_particles: int, temperature: float, generator: torch.Generator | None = None
) -> Tensor:
    """Exact Bernoulli samples whose gradient is that of the relaxed variable.

    Straight-through Gumbel (Jang 2017, Maddison 2017): the forward value is
    ``1[logits + logistic noise > 0]``, the backward pass differentiates
    ``sigmoid((logits + noise) / temperature)``.

    Parameters
    ----------
    logits
        ``(...)``, log-odds.

    Returns
    -------
    ``(n_particles, ...)``, zeros and ones.
    """
    uniform = torch.rand((n_particles, *logits.shape), generator=generator, device=logits.device)
    soft = torch.sigmoid((logits + torch.logit(uniform, eps=1e-7)) / temperature)
    hard = (soft > 0.5).to(soft.dtype)
    # in this order the added part is exactly zero, so the values are exactly zero and one
    return hard + (soft - soft.detach())


def straight_through_categorical(
    logits: Tensor, n_particles: int, generator: torch.Generator | None = None
) -> Tensor:
    """Exact one-hot samples whose gradient is that of the relaxed variable.

    Straight-through Gumbel-softmax (Jang 2017) at temperature one.

    Parameters
    ----------
    logits
        ``(..., C)``, log-probabilities up to a constant.

    Returns
    -------
    ``(n_particles, ..., C)``, zeros and a one.
    """
    uniform = torch.rand((n_particles, *logits.shape), generator=generator, device=logits.device)
    gumbel = -torch.log(-torch.log(uniform.clamp(1e-7, 1 - 1e-7)))
    soft = torch.softmax(logits + gumbel, dim=-1)
    hard = functional.one_hot(soft.argmax(-1), logits.shape[-1]).to(soft.dtype)
    return hard + (soft - soft.detach())


def bernoulli_kl(logits: Tensor, prior: float) -> Tensor:
    """Elementwise ``KL(Bernoulli(sigmoid(logits)) ‖ Bernoulli(prior))``, in nats."""
    p = torch.sigmoid(logits)
    log_p, log_not_p = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    return p * (log_p - math.log(prior)) + (1 - p) * (log_not_p - math.log1p(-prior))

"""The gamma-Poisson (negative binomial) likelihood of counts."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus

#: Counts up to here are looked up, one table a gene; most are one or two.
FEW = 16
#: Where the gamma-Poisson is a Poisson: the variance of a mean of 1,000 is larger by 0.6 %.
MAX_LOG_THETA = 12.0


class GammaPoisson:
    """Counts with mean ``μ = library_size · ρ`` and inverse dispersion ``θ``.

    ``x | λ ~ Poisson(λ)``, ``λ ~ Gamma(θ, rate θ/μ)``, so that the variance is
    ``μ + μ²/θ`` (Baek 2025, algorithm 2).

    Parameters
    ----------
    log_rate
        ``(..., n_cells, n_genes)``, log ρ, where ρ is the share of the library.
    library_size
        ``(n_cells, 1)``, counts.
    log_theta
        ``(n_genes,)``, log inverse dispersion.
    """

    def __init__(self, log_rate: Tensor, library_size: Tensor, log_theta: Tensor):
        self.log_rate = log_rate
        self.library_size = library_size
        self.log_theta = log_theta

    @property
    def mean(self) -> Tensor:
        """Expected counts, ``(..., n_cells, n_genes)``."""
        return self.library_size * self.log_rate.exp()

    def log_prob(self, counts: Tensor) -> Tensor:
        """Log probability of each cell, summed over genes, ``(..., n_cells)``, nats.

        A count of zero contributes ``-θ log(1 + μ/θ)`` alone; every other term is
        evaluated at the non-zero counts only, which are about a tenth of them. ``log θ`` counts up
        to ``MAX_LOG_THETA``, where nothing is left to learn.

        Parameters
        ----------
        counts
            ``(n_cells, n_genes)``, whole numbers.
        """
        log_theta = self.log_theta.clamp_max(MAX_LOG_THETA)
        # μ/θ as one exponential: log ρ + log ℓ − log θ
        log_ratio = self.log_rate + (self.library_size.log() - log_theta)
        dense = softplus(log_ratio) @ -log_theta.exp()
        cell, gene = counts.nonzero(as_tuple=True)
        x = counts[cell, gene]
        # x·log(μ/(θ+μ)) = −x·log(1 + θ/μ)
        nonzero = log_rising(x, log_theta, gene) - x * softplus(-log_ratio[..., cell, gene])
        return dense.index_add(-1, cell, nonzero)

    def expected_log2_cp10k(self, n_nodes: int = 24) -> Tensor:
        """``E[log2(1 + 1e4·x/ℓ)]`` without sampling, ``(..., n_cells, n_genes)``.

        Frullani's integral ``log(1 + c·x) = ∫ e^{-s} (1 − e^{-s·c·x}) / s ds`` turns the
        expectation into one over the Laplace transform of the gamma-Poisson,
        ``E[e^{-t·x}] = (1 + (μ/θ)(1 − e^{-t}))^{-θ}``, which is known. The integral over
        ``v = log s`` is smooth and decays at both ends, where the trapezoid rule converges
        exponentially; below the first node the integrand is its own tangent, so that tail
        is added in closed form.
        """
        theta = self.log_theta.exp()
        ratio = (self.log_rate + (self.library_size.log() - self.log_theta)).exp()
        scale = 1e4 / self.library_size
        # upper end: e^{-e^v} < 1e-15; lower end: c·μ·e^v far below one for any μ ≤ ℓ
        nodes = torch.linspace(math.log(1e-8), 3.5, n_nodes, dtype=ratio.dtype)
        step = float(nodes[1] - nodes[0])
        total = torch.zeros_like(ratio)
        for i, s in enumerate(nodes.exp()):
            survival = -torch.expm1(-theta * torch.log1p(ratio * -torch.expm1(-s * scale)))
            weight = torch.exp(-s) * (step / 2 + 1 if i == 0 else step)
            total = total + weight * survival
        return total / math.log(2)

    def sample(self, generator: torch.Generator) -> Tensor:
        """Counts of the shape of ``mean``."""
        return torch.poisson(self.sample_rate(generator), generator=generator)

    def sample_rate(self, generator: torch.Generator) -> Tensor:
        """The Poisson rates λ, of the shape of ``mean``."""
        return self.mean * self.gamma_noise(generator)

    def gamma_noise(self, generator: torch.Generator) -> Tensor:
        """``λ/μ ~ Gamma(θ, rate θ)``, of the shape of ``mean``."""
        theta = self.log_theta.exp()
        return standard_gamma(theta.expand(self.log_rate.shape), generator) / theta


def log_rising(x: Tensor, log_theta: Tensor, gene: Tensor) -> Tensor:
    """``log Γ(x + θ) / (Γ(θ) x!)`` of counts above zero, ``(n,)``.

    The sum of ``log (θ + k) / (k + 1)`` over k below x, in double precision. As a difference of
    two ``lgamma`` in single precision, which with little dispersion are as large as θ log θ, it
    and its slope are rounding.

    Parameters
    ----------
    x
        ``(n,)``, whole numbers.
    log_theta
        ``(n_genes,)``.
    gene
        ``(n,)``, of which gene each count is.
    """
    theta = log_theta.double().exp()
    k = torch.arange(FEW, device=theta.device)
    table = ((theta[:, None] + k) / (k + 1)).log().cumsum(1).to(x.dtype)
    value = table.flatten().index_select(0, gene * FEW + x.long().clamp_max(FEW) - 1)
    many = (x > FEW).nonzero()[:, 0]
    count, own = x[many].double(), theta[gene[many]]
    beyond = torch.lgamma(count + own) - torch.lgamma(own + FEW) - torch.lgamma(count + 1)
    return value.index_add(0, many, (beyond + math.lgamma(FEW + 1)).to(x.dtype))


def standard_gamma(concentration: Tensor, generator: torch.Generator) -> Tensor:
    """``Gamma(concentration, rate 1)``, elementwise (Marsaglia & Tsang 2000).

    All values are proposed at once, which is three times as fast as one by one; the few that are
    rejected, and those of concentrations below one, are drawn by torch's own sampler, which is
    exact because acceptance is independent of what is drawn instead.
    """
    d = concentration - 1 / 3
    x = torch.randn(concentration.shape, dtype=concentration.dtype, generator=generator)
    v = ((1 + x * (9 * d).rsqrt()) ** 3).clamp_min(1e-30)  # a clamped one is never accepted
    u = torch.rand(concentration.shape, dtype=concentration.dtype, generator=generator)
    accepted = (u.log() < 0.5 * x.square() + d * (1 - v + v.log())) & (concentration >= 1)
    drawn = d * v
    again = ~accepted
    drawn[again] = torch._standard_gamma(concentration[again], generator=generator)
    return drawn


def sample_coupled(likelihoods: Sequence[GammaPoisson], generator: torch.Generator) -> list[Tensor]:
    """Counts of one or two likelihoods with the same noise; each marginal is exact.

    The gamma noise is shared. Of two Poisson rates the smaller gives the shared counts
    and their difference the counts that only the larger has, so that twins with equal
    rates have equal counts.
    """
    noise = likelihoods[0].gamma_noise(generator)
    rates = [likelihood.mean * noise for likelihood in likelihoods]
    if len(rates) == 1:
        return [torch.poisson(rates[0], generator=generator)]
    shared = torch.poisson(torch.minimum(*rates), generator=generator)
    surplus = torch.poisson((rates[0] - rates[1]).abs(), generator=generator)
    first_is_larger = rates[0] > rates[1]
    return [shared + surplus * first_is_larger, shared + surplus * ~first_is_larger]


def ln_cp10k(counts: Tensor, library_size: Tensor) -> Tensor:
    """``ln(1 + 1e4·x/ℓ)`` of counts ``(n_cells, n_genes)`` and sizes ``(n_cells, 1)``."""
    return torch.log1p(counts * (1e4 / library_size))


class GaussianExpression:
    """Normal distribution of ``y = ln(1 + 1e4·x/ℓ)`` with unit variance for every gene.

    It is a density of y, not a probability of counts: no count can be drawn from it, and its
    log density compares with no likelihood of counts.

    Parameters
    ----------
    location
        ``(..., n_cells, n_genes)``, mean of y.
    library_size
        ``(n_cells, 1)``, counts.
    """

    def __init__(self, location: Tensor, library_size: Tensor):
        self.location = location
        self.library_size = library_size

    def log_prob(self, counts: Tensor) -> Tensor:
        """Log density of y of each cell, summed over genes, ``(..., n_cells)``, nats."""
        deviation = ln_cp10k(counts, self.library_size) - self.location
        return -(0.5 * deviation.square() + 0.5 * math.log(2 * math.pi)).sum(-1)

    def expected_log2_cp10k(self) -> Tensor:
        """``E[log2(1 + 1e4·x/ℓ)]``, ``(..., n_cells, n_genes)``."""
        return self.location / math.log(2)

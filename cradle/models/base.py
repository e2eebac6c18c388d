"""What every variational autoencoder of perturbed cells has in common.

A model says which latent variables exist (``plates``), how the global ones are inferred
(:meth:`PerturbationVAE.global_posterior`) and how they act on a cell
(:meth:`CountVAE.conditioning`). Encoder, decoder and likelihood of the models of counts and
the bookkeeping of shapes live here, once.

Shapes: ``K`` particles, ``n`` cells, ``G`` genes, ``T`` perturbed genes, ``D`` latents.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from cradle.batches import CellBatch, Conditions, DataShape
from cradle.models.config import VAEConfig
from cradle.nn.blocks import (
    GaussianMLP,
    LinearOfParts,
    Repeated,
    ResidualMLP,
    dropout,
    full,
)  # fmt: skip
from cradle.nn.likelihoods import GammaPoisson

Latents = dict[str, Tensor]
KL = dict[str, Tensor]
Part = Tensor | Repeated


class Plate(Enum):
    """What a latent variable is repeated over, which is how often its KL is counted."""

    CELL = "cell"
    PERTURBATION = "perturbation"
    ARTIFACT = "artifact"


class Likelihood(Protocol):
    """Distribution of the cells given their latent state."""

    def log_prob(self, counts: Tensor) -> Tensor:
        """Log density of each cell ``(..., n)`` in the space of the likelihood, nats."""
        ...

    def expected_log2_cp10k(self) -> Tensor:
        """``E[log2(1 + 1e4·x/ℓ)]``, ``(..., n, G)``."""
        ...


class PerturbationVAE(nn.Module, ABC):
    """A latent perturbation model, whatever its likelihood.

    Its state ``z`` of a cell is ``(K, n, D)`` with ``D = n_latent``.
    """

    plates: ClassVar[Mapping[str, Plate]]
    n_latent: int

    @abstractmethod
    def global_posterior(
        self, n_particles: int, generator: torch.Generator | None = None
    ) -> tuple[Latents, KL]:
        """Samples of the plated variables ``(K, ...)`` and their KLs, summed, each ``(K,)``."""

    def posterior_for(self, conditions: Conditions, n_particles: int) -> tuple[Latents, KL]:
        """`global_posterior` for a step on these cells: what they do not need may be left out of
        the samples, and a KL be an unbiased estimate."""
        return self.global_posterior(n_particles)

    @abstractmethod
    def lift(self, counts: Tensor, library_size: Tensor | None = None) -> Tensor:
        """Encoder's view of the counts ``(n, G)`` before any conditioning, ``(n, n_hidden)``.

        ``library_size`` ``(n, 1)`` is needed by models of normalised expression alone.
        """

    @abstractmethod
    def cell_posterior(self, lifted: Tensor, conditions: Conditions, latents: Latents) -> Normal:
        """``q(z | x, conditions, latents)``, ``(K, n, D)``."""

    @abstractmethod
    def likelihood(self, state: Tensor, conditions: Conditions, latents: Latents) -> Likelihood:
        """``p(x | z, conditions, latents)`` over ``(K, n, G)``."""

    def cell_prior(self, conditions: Conditions, latents: Latents) -> Normal:
        """``p(z | conditions, latents)``, broadcastable to ``(K, n, D)``."""
        return centred_normal(conditions.library_size.new_ones(self.n_latent))

    def sample_basal(self, noise: Tensor, conditions: Conditions, latents: Latents) -> Tensor:
        """A draw of ``cell_prior`` from standard normal noise ``(K, n, D)``, which cells of
        other conditions may share."""
        prior = self.cell_prior(conditions, latents)
        return prior.loc + prior.scale * noise

    def infer_cells(
        self,
        lifted: Tensor,
        conditions: Conditions,
        n_particles: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Latents, KL]:
        """Samples ``(K, n, ...)`` of what is inferred of a cell before its state, and their KLs
        ``(K, n)``; nothing by default."""
        return {}, {}

    def draw_cells(self, n_cells: int, generator: torch.Generator | None = None) -> Latents:
        """The variables of :meth:`infer_cells` from their prior, ``(1, n_cells, ...)``."""
        return {}

    def cell_kl(self, posterior: Normal, conditions: Conditions, latents: Latents) -> KL:
        """KLs of the variables of each cell, each ``(K, n)``, nats."""
        prior = self.cell_prior(conditions, latents)
        return {"z_basal": kl_divergence(posterior, prior).sum(-1)}

    def penalties(self, batch: CellBatch, lifted: Tensor, latents: Latents) -> dict[str, Tensor]:
        """Further terms to minimize, each ``(K,)``, already weighted; none by default."""
        return {}

    def mask_probability(self) -> Tensor | None:
        """``q(m = 1)`` of every mask, ``(T, D)``; none by default."""
        return None

    def artifact_posterior(self) -> Normal | None:
        """``q(u)`` of each kind of artifact, ``(C, D)``, of scale zero where it is a learnable
        vector; none by default."""
        return None

    def artifact_shares(self) -> Tensor | None:
        """How common each kind of artifact is among failed cells, ``(C,)``; none by default."""
        return None

    def kl_weight(self, name: str) -> float:
        """Weight of a KL in the objective; one makes it the evidence lower bound."""
        return 1.0

    def start_epoch(self, epoch: int) -> None:
        """Told before each epoch, counted from zero."""

    def meet_controls(self, controls: CellBatch) -> None:
        """Shown unperturbed training cells before training."""

    def settle(self) -> None:
        """Told when the weights to keep are in place."""


class CountVAE(PerturbationVAE):
    """Encoder, decoder and gamma-Poisson likelihood around a latent perturbation model.

    Parameters
    ----------
    shape
        Sizes and statistics of the training data.
    config
        Latent dimension, width and number of layers of the networks, and:

        ``linear_path`` adds a linear map of the latent state to the decoder's logits, zero at
        first. Effects that are additive in the latent space are then additive in log expression
        with little to learn, and the rest of the decoder models what departs from it.

        ``encoder_dropout`` is the share of genes that is hidden from the encoder at each training
        step, as in scVI (Lopez 2018): it overfits before the effects have been learned.
    n_conditioning
        Width of each tensor that :meth:`conditioning` returns.
    combine
        Whether the decoder sees the basal state and the conditioning side by side
        (``concat``, Baek 2025, algorithm 2) or added up (``sum``, Bereket 2023).
    """

    log1p_mean: Tensor
    log1p_sd: Tensor

    def __init__(
        self,
        shape: DataShape,
        config: VAEConfig,
        n_conditioning: tuple[int, ...],
        combine: Literal["concat", "sum"] = "concat",
    ):
        super().__init__()
        self.config, self.combine = config, combine
        n_latent, n_hidden = config.n_latent, config.n_hidden
        self.n_latent = n_latent
        self.n_genes, self.n_perturbations = shape.n_genes, shape.n_perturbations
        self.register_buffer("log1p_mean", shape.log1p_mean)
        self.register_buffer("log1p_sd", shape.log1p_sd)
        self.encoder = GaussianMLP(
            (shape.n_genes, *n_conditioning), n_latent, n_hidden, config.n_encoder_layers
        )
        told = n_conditioning if combine == "concat" else ()
        n_output = shape.n_genes + 1
        self.decoder = ResidualMLP((n_latent, *told), n_output, n_hidden, config.n_decoder_layers)
        rest = (1 - shape.mean_profile.sum()).clamp_min(1e-8)
        profile = torch.cat([shape.mean_profile.clamp_min(1e-8), rest[None]])
        self.linear_path = (
            LinearOfParts((n_latent, *told), n_output, bias=False) if config.linear_path else None
        )
        # an untrained decoder already answers with the mean profile
        with torch.no_grad():
            if self.linear_path is not None:
                for weight in self.linear_path.weights:
                    weight.zero_()
            self.decoder.output.weight.mul_(0.1)
            self.decoder.output.bias.copy_(profile.log())
        self.log_theta = nn.Parameter(torch.full((shape.n_genes,), 1.0))

    @abstractmethod
    def conditioning(self, conditions: Conditions, latents: Latents) -> tuple[Part, ...]:
        """What encoder and decoder are told of each cell's conditions, each ``(K, n, ·)``."""

    def lift(self, counts: Tensor, library_size: Tensor | None = None) -> Tensor:
        """See :meth:`PerturbationVAE.lift`; standardized ``log(1 + x)`` is encoded."""
        expression = (torch.log1p(counts) - self.log1p_mean) / self.log1p_sd
        if self.training:
            expression = dropout(expression, self.config.encoder_dropout)
        return self.encoder.lift(expression)

    def cell_posterior(self, lifted: Tensor, conditions: Conditions, latents: Latents) -> Normal:
        """``q(z_basal | x, conditions, latents)``, ``(K, n, D)``."""
        posterior: Normal = self.encoder(lifted, *self.conditioning(conditions, latents))
        return posterior

    def likelihood(self, state: Tensor, conditions: Conditions, latents: Latents) -> GammaPoisson:
        """``p(x | z_basal, conditions, latents)`` over ``(K, n, G)``.

        The softmax has one more category, the rest of the transcriptome, so that
        ``ρ`` is a share of all counts of the cell; no count is ever scored in it.
        """
        told = self.conditioning(conditions, latents)
        parts = (sum(map(full, told), state),) if self.combine == "sum" else (state, *told)
        logits = self.decoder(self.decoder.input(parts))
        if self.linear_path is not None:
            logits = self.linear_path(parts, logits)
        log_rate = logits.log_softmax(-1)[..., : self.n_genes]
        return GammaPoisson(log_rate, conditions.library_size, self.log_theta)


def by_dosage(conditions: Conditions, act: Callable[[Tensor], Tensor]) -> Part:
    """What follows from the dosage ``(n, T)`` alone, ``(K, n, width)``, worked out once a group."""
    groups = conditions.by_group()
    return act(conditions.dosage) if groups is None else Repeated(act(groups[0]), groups[1])


def centred_normal(scale: Tensor) -> Normal:
    """``N(0, scale²)``, of the shape of the scale."""
    return Normal(torch.zeros_like(scale), scale, validate_args=False)


def draw_of(latents: Latents, k: int) -> Latents:
    """The ``k``-th posterior draw alone, every tensor ``(1, ...)``."""
    return {name: value[k : k + 1] for name, value in latents.items()}

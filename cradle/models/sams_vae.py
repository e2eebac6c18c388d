"""SAMS-VAE: sparse additive mechanism shifts (Bereket & Karaletsos, NeurIPS 2023)."""

import math
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from cradle.batches import Conditions, DataShape
from cradle.models.base import KL, CountVAE, Latents, Part, Plate, by_dosage, centred_normal
from cradle.models.config import VAEConfig
from cradle.nn.blocks import GaussianMLP
from cradle.nn.relaxed import bernoulli_kl, straight_through_bernoulli


class Few(NamedTuple):
    """Perturbed genes that occur in a batch."""

    genes: Tensor  # (T',), which of the T
    weight: Tensor  # (T',), of their KLs: expected to be one over the batches of an epoch

    @classmethod
    def among(cls, dosage: Tensor, perturbed_share: Tensor) -> "Few":
        """Those of the cells ``(n, T)``, drawn from cells of which the share ``(T,)`` carries
        each gene."""
        share = dosage.mean(0)
        genes = share.nonzero().squeeze(1)
        return cls(genes, share[genes] / perturbed_share[genes])


def rows_of(values: Tensor, few: Few | None) -> Tensor:
    """The rows of these genes of ``(T, ...)``, or all."""
    return values if few is None else values[few.genes]


def total(kl: Tensor, few: Few | None) -> Tensor:
    """KLs ``(..., T', D)`` summed, or estimated, over all genes and latents, ``(...)``."""
    by_gene = kl.sum(-1)
    return (by_gene if few is None else by_gene * few.weight).sum(-1)


class SparseEffects(nn.Module):
    """Posterior of the mask and the embedding of every perturbed gene.

    ``m_t ~ Bernoulli(p)``, ``e_t ~ N(0, s²I)``;
    ``q(m_t) = Bernoulli(σ(ω_t))``, ``q(e_t | m_t) = N(f_emb([m_t, onehot_t]))`` or, mean
    field, ``q(e_t) = N(μ_t, σ_t)`` (Baek 2025, algorithm 1, lines 1-4).
    """

    def __init__(self, n_perturbations: int, config: VAEConfig):
        super().__init__()
        self.config = config
        n_latent = config.n_latent
        self.mask_logits = nn.Parameter(torch.full((n_perturbations, n_latent), config.mask_init))
        if config.correlated_effects:
            self.embedding = GaussianMLP(
                (n_latent, n_perturbations),
                n_latent,
                config.n_hidden,
                config.n_embedding_layers,
                initial_scale=config.embedding_init_scale,
            )
        else:
            self.embedding_location = nn.Parameter(torch.zeros(n_perturbations, n_latent))
            log_scale = math.log(config.embedding_init_scale)
            self.embedding_log_scale = nn.Parameter(
                torch.full((n_perturbations, n_latent), log_scale)
            )

    def embedding_posterior(self, mask: Tensor, few: Few | None = None) -> Normal:
        """``q(e | m)`` for masks ``(K, T, D)``, or of a few genes."""
        if self.config.correlated_effects:
            # a product with one-hot rows is the matrix itself, however many perturbations
            of_onehot = rows_of(self.embedding.mlp.input.weights[1].T, few)
            posterior: Normal = self.embedding(self.embedding.lift(mask) + of_onehot)
            return posterior
        return Normal(
            rows_of(self.embedding_location, few).expand_as(mask),
            rows_of(self.embedding_log_scale, few).exp().expand_as(mask),
            validate_args=False,
        )

    def forward(
        self, n_particles: int, generator: torch.Generator | None, few: Few | None = None
    ) -> tuple[Latents, KL]:
        """Effects ``(K, T, D)``, masks, and their KLs ``(K,)``; or those of a few genes."""
        logits = rows_of(self.mask_logits, few)
        mask = straight_through_bernoulli(
            logits, n_particles, self.config.mask_temperature, generator
        )
        posterior = self.embedding_posterior(mask, few)
        noise = torch.randn(posterior.loc.shape, generator=generator, device=mask.device)
        embedding = posterior.loc + posterior.scale * noise
        prior = centred_normal(mask.new_tensor(self.config.effect_scale))
        kl = {
            "mask": total(bernoulli_kl(logits, self.config.mask_prior), few).expand(n_particles),
            "embedding": total(kl_divergence(posterior, prior), few),
        }
        return {"effect": mask * embedding, "mask": mask}, kl


class SAMSVAE(CountVAE):
    """``z = z_basal + Σ_t d_t (e_t ⊙ m_t)``."""

    plates: ClassVar[Mapping[str, Plate]] = {
        "z_basal": Plate.CELL,
        "mask": Plate.PERTURBATION,
        "embedding": Plate.PERTURBATION,
    }

    perturbed_share: Tensor | None

    def __init__(self, shape: DataShape, config: VAEConfig, n_extra: tuple[int, ...] = ()):
        super().__init__(shape, config, (config.n_latent, *n_extra), config.combine)
        self.effects = self.new_effects(shape.n_perturbations, config)
        many = shape.n_perturbations > config.batch_size
        share = shape.perturbed_share if many else None
        self.register_buffer("perturbed_share", share, persistent=False)

    def new_effects(self, n_perturbations: int, config: VAEConfig) -> nn.Module:
        """Posterior of the effects of the perturbed genes."""
        return SparseEffects(n_perturbations, config)

    def mask_probability(self) -> Tensor | None:
        """``σ(ω_t)``, ``(T, D)``; none where the effects have no mask."""
        logits: Tensor | None = getattr(self.effects, "mask_logits", None)
        return None if logits is None else torch.sigmoid(logits)

    def global_posterior(
        self, n_particles: int, generator: torch.Generator | None = None, few: Few | None = None
    ) -> tuple[Latents, KL]:
        """Masks and effects ``(K, T, D)``; or of a few genes, and which those are."""
        latents, kl = self.effects(n_particles, generator, few)
        return (latents if few is None else {**latents, "genes": few.genes}), kl

    def posterior_for(self, conditions: Conditions, n_particles: int) -> tuple[Latents, KL]:
        """In training on a screen with more perturbed genes than a batch has cells, those of the
        batch: a step then costs the same however many there are."""
        if not self.training or self.perturbed_share is None:
            return self.global_posterior(n_particles)
        return self.global_posterior(
            n_particles, few=Few.among(conditions.dosage, self.perturbed_share)
        )

    def conditioning(self, conditions: Conditions, latents: Latents) -> tuple[Part, ...]:
        """``z_p = Σ_t d_t (e_t ⊙ m_t)``, ``(K, n, D)`` (Baek 2025, algorithm 1, line 7)."""

        def shift(dosage: Tensor) -> Tensor:
            drawn = dosage[:, latents["genes"]] if "genes" in latents else dosage
            return drawn @ latents["effect"]

        return (by_dosage(conditions, shift),)

"""SAMS-VAE: sparse additive mechanism shifts (Bereket & Karaletsos, NeurIPS 2023)."""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from cradle.batches import Conditions, DataShape
from cradle.models.base import KL, CountVAE, Latents, Part, Plate, by_dosage, centred_normal
from cradle.models.config import VAEConfig
from cradle.nn.blocks import GaussianMLP
from cradle.nn.relaxed import bernoulli_kl, straight_through_bernoulli


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

    def embedding_posterior(self, mask: Tensor) -> Normal:
        """``q(e | m)`` for masks ``(K, T, D)``."""
        if self.config.correlated_effects:
            # a product with one-hot rows is the matrix itself, however many perturbations
            of_onehot = self.embedding.mlp.input.weights[1].T
            posterior: Normal = self.embedding(self.embedding.lift(mask) + of_onehot)
            return posterior
        return Normal(
            self.embedding_location.expand_as(mask),
            self.embedding_log_scale.exp().expand_as(mask),
            validate_args=False,
        )

    def forward(self, n_particles: int, generator: torch.Generator | None) -> tuple[Latents, KL]:
        """Effects ``(K, T, D)``, masks, and their KLs ``(K,)``."""
        mask = straight_through_bernoulli(
            self.mask_logits, n_particles, self.config.mask_temperature, generator
        )
        posterior = self.embedding_posterior(mask)
        noise = torch.randn(posterior.loc.shape, generator=generator, device=mask.device)
        embedding = posterior.loc + posterior.scale * noise
        prior = centred_normal(mask.new_tensor(self.config.effect_scale))
        kl_mask = bernoulli_kl(self.mask_logits, self.config.mask_prior).sum()
        kl = {
            "mask": kl_mask.expand(n_particles),
            "embedding": kl_divergence(posterior, prior).sum((-2, -1)),
        }
        return {"effect": mask * embedding, "mask": mask}, kl


class SAMSVAE(CountVAE):
    """``z = z_basal + Σ_t d_t (e_t ⊙ m_t)``."""

    plates: ClassVar[Mapping[str, Plate]] = {
        "z_basal": Plate.CELL,
        "mask": Plate.PERTURBATION,
        "embedding": Plate.PERTURBATION,
    }

    def __init__(self, shape: DataShape, config: VAEConfig, n_extra: tuple[int, ...] = ()):
        super().__init__(shape, config, (config.n_latent, *n_extra), config.combine)
        self.effects = self.new_effects(shape.n_perturbations, config)

    def new_effects(self, n_perturbations: int, config: VAEConfig) -> nn.Module:
        """Posterior of the effects of the perturbed genes."""
        return SparseEffects(n_perturbations, config)

    def mask_probability(self) -> Tensor | None:
        """``σ(ω_t)``, ``(T, D)``; none where the effects have no mask."""
        logits: Tensor | None = getattr(self.effects, "mask_logits", None)
        return None if logits is None else torch.sigmoid(logits)

    def global_posterior(
        self, n_particles: int, generator: torch.Generator | None = None
    ) -> tuple[Latents, KL]:
        """Masks and effects ``(K, T, D)``."""
        latents, kl = self.effects(n_particles, generator)
        return latents, kl

    def conditioning(self, conditions: Conditions, latents: Latents) -> tuple[Part, ...]:
        """``z_p = Σ_t d_t (e_t ⊙ m_t)``, ``(K, n, D)`` (Baek 2025, algorithm 1, line 7)."""
        return (by_dosage(conditions, lambda dosage: dosage @ latents["effect"]),)

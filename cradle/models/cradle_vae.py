"""CRADLE-VAE: SAMS-VAE plus a latent artifact plus a counterfactual penalty.

Baek et al., AAAI 2025, algorithms 1-3 and equations 1-5.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from cradle.batches import CellBatch, Conditions, DataShape
from cradle.models.base import KL, Latents, Plate
from cradle.models.config import VAEConfig
from cradle.models.sams_vae import SAMSVAE
from cradle.nn.blocks import GaussianMLP


class Artifact(nn.Module):
    """The artifact ``u``: ``q(u) = N(μ_u, σ_u)`` against ``p(u) = N(0, s²I)``.

    Without ``causal_artifact`` it is a learnable vector, neither prior nor KL (ablation
    "w/o Causal"). With ``artifact_posterior_network`` the parameters of ``q(u)`` come from
    a network that is fed with ones, as in the published code.
    """

    def __init__(self, config: VAEConfig):
        super().__init__()
        self.config = config
        if config.artifact_posterior_network:
            self.network = GaussianMLP((1,), config.n_latent, config.n_hidden, 4)
        else:
            self.location = nn.Parameter(0.01 * torch.randn(config.n_latent))
            if config.causal_artifact:
                self.log_scale = nn.Parameter(torch.full((config.n_latent,), -1.0))

    def posterior(self) -> Normal:
        """``q(u)``, ``(D,)``; of scale zero where it is a learnable vector."""
        if not self.config.causal_artifact:
            return Normal(self.location, torch.zeros_like(self.location), validate_args=False)
        if self.config.artifact_posterior_network:
            posterior: Normal = self.network(self.network.lift(torch.ones(1)))
            return posterior
        return Normal(self.location, self.log_scale.exp(), validate_args=False)

    def forward(self, n_particles: int, generator: torch.Generator | None) -> tuple[Tensor, KL]:
        """``u`` of shape ``(K, 1, D)`` and its KL ``(K,)``."""
        shape = (n_particles, 1, self.config.n_latent)
        if not self.config.causal_artifact:
            return self.location.expand(shape), {"artifact": torch.zeros(n_particles)}
        posterior = self.posterior()
        u = posterior.loc + posterior.scale * torch.randn(shape, generator=generator)
        kl = kl_divergence(posterior, Normal(0.0, self.config.effect_scale)).sum()
        return u, {"artifact": kl.expand(n_particles)}


class CradleVAE(SAMSVAE):
    """Decodes ``[z_basal, z_p, z_a]`` with ``z_a = a·u``; J2 aligns counterfactual posteriors."""

    plates: ClassVar[Mapping[str, Plate]] = {**SAMSVAE.plates, "artifact": Plate.ARTIFACT}

    def __init__(self, shape: DataShape, config: VAEConfig):
        super().__init__(shape, config, n_extra=(config.n_latent,))
        self.artifact = Artifact(config)

    def artifact_posterior(self) -> Normal:
        """``q(u)``, ``(D,)``."""
        return self.artifact.posterior()

    def global_posterior(
        self, n_particles: int, generator: torch.Generator | None = None
    ) -> tuple[Latents, KL]:
        """Masks, effects ``(K, T, D)`` and the artifact ``(K, 1, D)``."""
        latents, kl = super().global_posterior(n_particles, generator)
        u, kl_artifact = self.artifact(n_particles, generator)
        return {**latents, "artifact": u}, {**kl, **kl_artifact}

    def conditioning(self, conditions: Conditions, latents: Latents) -> tuple[Tensor, ...]:
        """``z_p`` and ``z_a = a·u``, each ``(K, n, D)`` (algorithm 1, lines 7-8)."""
        return *super().conditioning(conditions, latents), conditions.artifact * latents["artifact"]

    def penalties(self, batch: CellBatch, lifted: Tensor, latents: Latents) -> dict[str, Tensor]:
        """``-α·J2`` of equation 3, ``(K,)``.

        Each cell with a counterpart is encoded as if its artifact state were flipped, and
        compared with the encoding of the median profile of the cells of its perturbation
        that really are in that state. That profile is encoded once a group, not once a cell.
        """
        if self.config.counterfactual_weight == 0 or batch.counterparts is None:
            return {}
        there = batch.counterparts
        cells = (there.row >= 0).nonzero().squeeze(1)
        row = there.row[cells]
        if len(cells) == 0:
            return {"counterfactual": lifted.new_zeros(len(latents["artifact"]))}
        flipped = Conditions(batch.conditions.dosage[cells], there.artifact[row], there.artifact)
        reference = Conditions(there.dosage, there.artifact, there.artifact)
        factual = self.cell_posterior(lifted[cells], flipped, latents)
        aligned = self.cell_posterior(self.lift(there.counts), reference, latents)
        kl = self._alignment(
            factual, Normal(aligned.loc[:, row], aligned.scale[:, row], validate_args=False)
        )
        total = self.config.counterfactual_weight * kl.sum(-1)
        if self.config.counterfactual_sum_over_batch:
            return {"counterfactual": total}
        return {"counterfactual": there.weight * total / len(batch.counts)}

    def _alignment(self, factual: Normal, reference: Normal) -> Tensor:
        """KL between two encodings, ``(K, n)``, with the switches of the published code."""
        if self.config.counterfactual_swapped:
            factual, reference = reference, factual
        if not self.config.counterfactual_unscaled:
            return kl_divergence(factual, reference).sum(-1)
        ratio = factual.scale / reference.scale
        return (
            0.5 * (ratio.square() - 1) - ratio.log() + 0.5 * (factual.loc - reference.loc).square()
        ).sum(-1)

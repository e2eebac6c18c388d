"""CPA-VAE: additive effects without masks (Bereket & Karaletsos, NeurIPS 2023, after CPA)."""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from cradle.models.base import KL, Latents, Plate, centred_normal
from cradle.models.config import VAEConfig
from cradle.models.sams_vae import SAMSVAE, Few, rows_of, total


class DenseEffects(nn.Module):
    """``e_t ~ N(0, s²I)`` with ``q(e_t) = N(μ_t, σ_t)``.

    Starts as the mean-field posterior of SAMS-VAE does: at zero with the scale
    ``embedding_init_scale``. The settings of masks and of the correlated posterior have
    nothing to act on here.
    """

    def __init__(self, n_perturbations: int, config: VAEConfig):
        super().__init__()
        self.prior_scale = config.effect_scale
        size = (n_perturbations, config.n_latent)
        self.embedding_location = nn.Parameter(torch.zeros(size))
        log_scale = math.log(config.embedding_init_scale)
        self.embedding_log_scale = nn.Parameter(torch.full(size, log_scale))

    def forward(
        self, n_particles: int, generator: torch.Generator | None, few: Few | None = None
    ) -> tuple[Latents, KL]:
        """Effects ``(K, T, D)`` and their KL ``(K,)``; or those of a few genes."""
        scale = rows_of(self.embedding_log_scale, few).exp()
        posterior = Normal(rows_of(self.embedding_location, few), scale, validate_args=False)
        noise = torch.randn((n_particles, *scale.shape), generator=generator, device=scale.device)
        kl = kl_divergence(posterior, centred_normal(scale.new_tensor(self.prior_scale)))
        effect = posterior.loc + posterior.scale * noise
        return {"effect": effect}, {"embedding": total(kl, few).expand(n_particles)}


class CPAVAE(SAMSVAE):
    """``z = z_basal + Σ_t d_t e_t``: SAMS-VAE where every mask is one.

    Size-dependent defaults, ``linear_path``, ``weight_average``, ``embedding_init_scale`` and
    the faster rate of the embeddings apply as in SAMS-VAE.
    """

    plates: ClassVar[Mapping[str, Plate]] = {
        "z_basal": Plate.CELL,
        "embedding": Plate.PERTURBATION,
    }

    def new_effects(self, n_perturbations: int, config: VAEConfig) -> nn.Module:
        """Posterior of the effects of the perturbed genes."""
        return DenseEffects(n_perturbations, config)

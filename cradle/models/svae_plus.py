"""sVAE+: sparse mechanism shifts in the prior of the latent state (Lopez et al., CLeaR 2023)."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Beta, Normal, kl_divergence
from torch.nn import functional

from cradle.batches import Conditions, DataShape
from cradle.models.base import KL, CountVAE, Latents, Part, Plate
from cradle.models.config import VAEConfig
from cradle.nn.relaxed import straight_through_bernoulli


class SVAEPlus(CountVAE):
    """``π_t ~ Beta(1, b)``, ``m_t ~ Bernoulli(π_t)``, ``z | t ~ N(m_t ⊙ μ_t, I)``; ``q(z | x)``.

    Neither encoder nor decoder is told of the treatment: it acts through the prior of ``z``
    alone. Treatments are one-hot; a measured combination is a treatment of its own, and one
    that was never measured has no prior.

    The posterior is ``q(m_t) = Bernoulli(σ(ω_t))`` and ``q(π_t) = Beta(α_t, β_t)``; ``μ_t`` is
    a parameter. One ``π_t`` is shared by the latents of a treatment: with one for every mask
    entry, as in the published code, it could be integrated out and leave a constant.
    ``b = 1/mask_prior − 1``, so that ``mask_prior`` is the expected share of moved latents, as
    in SAMS-VAE, and follows the size of the data in the same way. ``mask_init``,
    ``mask_temperature``, ``direct_learning_rate_factor``, ``linear_path`` and ``weight_average``
    apply too; the settings of embeddings and ``combine`` have nothing to act on.
    """

    plates: ClassVar[Mapping[str, Plate]] = {
        "z_basal": Plate.CELL,
        "mask": Plate.PERTURBATION,
        "mask_rate": Plate.PERTURBATION,
    }

    prior_b: Tensor

    def __init__(self, shape: DataShape, config: VAEConfig):
        super().__init__(shape, config, ())
        size = (shape.n_perturbations, config.n_latent)
        self.mask_logits = nn.Parameter(torch.full(size, config.mask_init))
        self.embedding_location = nn.Parameter(torch.zeros(size))
        self.register_buffer("prior_b", torch.tensor(1 / config.mask_prior - 1), persistent=False)
        # starts at the best q(π) for the masks as they start
        on = torch.sigmoid(self.mask_logits.detach()).sum(-1)
        alpha, beta = 1 + on, self.prior_b + config.n_latent - on
        self.rate_log_alpha = nn.Parameter(alpha.log())
        self.rate_log_beta = nn.Parameter(beta.log())

    def mask_probability(self) -> Tensor:
        """``σ(ω_t)``, ``(T, D)``."""
        return torch.sigmoid(self.mask_logits)

    def global_posterior(
        self, n_particles: int, generator: torch.Generator | None = None
    ) -> tuple[Latents, KL]:
        """Shifts ``m_t ⊙ μ_t`` and masks, ``(K, T, D)``."""
        mask = straight_through_bernoulli(
            self.mask_logits, n_particles, self.config.mask_temperature, generator
        )
        rate = Beta(self.rate_log_alpha.exp(), self.rate_log_beta.exp(), validate_args=False)
        prior = Beta(torch.ones_like(self.prior_b), self.prior_b, validate_args=False)
        kl = {
            "mask": self._mask_kl(rate).sum().expand(n_particles),
            "mask_rate": kl_divergence(rate, prior).sum().expand(n_particles),
        }
        return {"effect": mask * self.embedding_location, "mask": mask}, kl

    def _mask_kl(self, rate: Beta) -> Tensor:
        """``E_q(π) KL(q(m_t) ‖ Bernoulli(π_t))``, ``(T, D)``, closed form.

        ``E log π = ψ(α) − ψ(α+β)`` and ``E log(1−π) = ψ(β) − ψ(α+β)``.
        """
        alpha, beta = rate.concentration1[:, None], rate.concentration0[:, None]
        total = torch.digamma(alpha + beta)
        p = torch.sigmoid(self.mask_logits)
        log_p = functional.logsigmoid(self.mask_logits)
        log_not_p = functional.logsigmoid(-self.mask_logits)
        on = log_p - (torch.digamma(alpha) - total)
        off = log_not_p - (torch.digamma(beta) - total)
        return p * on + (1 - p) * off

    def conditioning(self, conditions: Conditions, latents: Latents) -> tuple[Part, ...]:
        """Nothing: the treatment is known to the prior alone."""
        return ()

    def cell_posterior(self, lifted: Tensor, conditions: Conditions, latents: Latents) -> Normal:
        """``q(z | x)``, ``(K, n, D)``, the same for each particle."""
        posterior = super().cell_posterior(lifted, conditions, latents)
        shape = (len(latents["effect"]), *posterior.loc.shape)
        return Normal(posterior.loc.expand(shape), posterior.scale.expand(shape), False)

    def cell_prior(self, conditions: Conditions, latents: Latents) -> Normal:
        """``p(z | t) = N(m_t ⊙ μ_t, I)``, ``(K, n, D)``; control cells have ``N(0, I)``."""
        location = conditions.dosage @ latents["effect"]
        return Normal(location, torch.ones_like(location), validate_args=False)

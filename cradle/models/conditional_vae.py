"""Conditional VAE: encoder ``[x, d]``, decoder ``[z, d]`` (Sohn, Lee & Yan, NeurIPS 2015)."""

from collections.abc import Mapping
from typing import ClassVar

import torch

from cradle.batches import Conditions, DataShape
from cradle.models.base import KL, CountVAE, Latents, Part, Plate, by_dosage
from cradle.models.config import VAEConfig


class ConditionalVAE(CountVAE):
    """Networks that are told of the dosage and are free in what they make of it.

    No variable is shared between cells, so that there is no posterior over effects and no
    interval. Size-dependent defaults, ``linear_path`` (which lets a gene act additively on
    log expression) and ``weight_average`` apply as in the other models; the settings of
    masks, effects and ``combine`` have nothing to act on.
    """

    plates: ClassVar[Mapping[str, Plate]] = {"z_basal": Plate.CELL}

    def __init__(self, shape: DataShape, config: VAEConfig):
        super().__init__(shape, config, (shape.n_perturbations,))

    def global_posterior(
        self, n_particles: int, generator: torch.Generator | None = None
    ) -> tuple[Latents, KL]:
        """Nothing but the weight of the dosage, one, ``(K, 1, 1)``: it carries the particles."""
        return {"weight": self.log_theta.new_ones(n_particles, 1, 1)}, {}

    def conditioning(self, conditions: Conditions, latents: Latents) -> tuple[Part, ...]:
        """The dosage itself, ``(K, n, T)``."""
        return (by_dosage(conditions, lambda dosage: dosage * latents["weight"]),)

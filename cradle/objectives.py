"""The evidence lower bound; the only place that knows what a plate counts for."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from cradle.batches import CellBatch
from cradle.models.base import PerturbationVAE, Plate


@dataclass(frozen=True)
class Objective:
    """Terms of the objective, in nats per cell, averaged over particles.

    ``loss = -elbo + Σ penalties``. Every term is a scalar tensor.
    """

    reconstruction: Tensor
    kl: dict[str, Tensor]
    penalties: dict[str, Tensor]
    kl_weights: dict[str, float] = field(default_factory=dict)

    @property
    def elbo(self) -> Tensor:
        """``E log p(x | ·) − Σ KL``; each KL times its weight, which is one unless given."""
        weighted = [self.kl_weights.get(name, 1.0) * kl for name, kl in self.kl.items()]
        return self.reconstruction - torch.stack(weighted).sum()

    @property
    def loss(self) -> Tensor:
        """What is minimized."""
        return sum(self.penalties.values(), -self.elbo)

    def terms(self) -> dict[str, Tensor]:
        """Every term under its name, for logs and for the search of a non-finite one."""
        kl = {f"kl_{name}": value for name, value in self.kl.items()}
        return {"reconstruction": self.reconstruction, **kl, **self.penalties}


def evidence_lower_bound(
    model: PerturbationVAE,
    batch: CellBatch,
    n_train: int,
    *,
    n_particles: int = 1,
    cell_weights: Tensor | None = None,
) -> Objective:
    """ELBO of a minibatch with analytic KLs and exact plates (Baek 2025, equations 2 and 5).

    Variables of a cell count once a cell; variables of the perturbations and of the
    artifact are shared by all training cells, so each cell carries ``1/n_train`` of their
    KL, summed over every perturbation whether or not it is in the batch; or, where there are
    too many, over those of the batch, weighed so that the expectation is the same.

    Parameters
    ----------
    batch
        ``n`` cells.
    n_train
        Number of training cells.
    cell_weights
        ``(n,)``, weights of the reconstruction; ``None`` weighs every cell with one.
    """
    shared, global_kl = model.posterior_for(batch.conditions, n_particles)
    lifted = model.lift(batch.counts, batch.conditions.library_size)
    of_cells, cells_kl = model.infer_cells(lifted, batch.conditions, n_particles)
    latents = {**shared, **of_cells}
    posterior = model.cell_posterior(lifted, batch.conditions, latents)
    likelihood = model.likelihood(posterior.rsample(), batch.conditions, latents)
    # in mixed precision too: a sum over genes needs all its digits
    with torch.autocast(batch.counts.device.type, enabled=False):
        log_prob = likelihood.log_prob(batch.counts)
    if cell_weights is not None:
        log_prob = log_prob * cell_weights
    kl = {**model.cell_kl(posterior, batch.conditions, latents), **cells_kl, **global_kl}
    per_cell = {
        name: value.mean() / (1 if model.plates[name] is Plate.CELL else n_train)
        for name, value in kl.items()
    }
    penalties = model.penalties(batch, lifted, shared)
    return Objective(
        log_prob.mean(),
        per_cell,
        {name: value.mean() for name, value in penalties.items()},
        {name: model.kl_weight(name) for name in per_cell},
    )

"""CRADLE-VAE: SAMS-VAE plus a latent artifact plus a counterfactual penalty.

Baek et al., AAAI 2025, algorithms 1-3 and equations 1-5.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional

from cradle.batches import CellBatch, Conditions, DataShape
from cradle.models.base import KL, Latents, Part, Plate, centred_normal
from cradle.models.config import VAEConfig
from cradle.models.sams_vae import SAMSVAE, Few
from cradle.nn.blocks import GaussianMLP, Repeated
from cradle.nn.relaxed import straight_through_categorical

#: Norm of each kind of artifact before training. Nearer to each other, all become the same:
#: what they would have to tell apart is then within the reach of the basal state.
_KIND_NORM = 7.0


class Artifact(nn.Module):
    """The artifact: ``q(u_c) = N(μ_c, σ_c)`` against ``p(u_c) = N(0, s²I)``, c = 1..C kinds.

    A failed cell is of one kind, ``c ~ Categorical(π)``, inferred from its counts. The paper
    has one artifact, C = 1; a broken cell, a red-cell fragment and a doublet share no vector.

    Without ``causal_artifact`` it is a learnable vector, neither prior nor KL (ablation
    "w/o Causal"). With ``artifact_posterior_network`` the parameters of ``q(u)`` come from
    a network that is fed with ones, as in the published code.
    """

    def __init__(self, config: VAEConfig):
        super().__init__()
        self.config = config
        n_kinds, n_latent = config.artifact_kinds, config.n_latent
        if config.artifact_posterior_network:
            self.network = GaussianMLP((1,), n_kinds * n_latent, config.n_hidden, 4)
        else:
            spread = 0.01 if n_kinds == 1 else _KIND_NORM / math.sqrt(n_latent)
            self.location = nn.Parameter(spread * torch.randn(n_kinds, n_latent))
            if config.causal_artifact:
                self.log_scale = nn.Parameter(torch.full((n_kinds, n_latent), -1.0))
        self.kind_logits = nn.Parameter(torch.zeros(n_kinds))
        self.kind = nn.Linear(config.n_hidden, n_kinds)

    def posterior(self) -> Normal:
        """``q(u)``, ``(C, D)``; of scale zero where they are learnable vectors."""
        if not self.config.causal_artifact:
            return Normal(self.location, torch.zeros_like(self.location), validate_args=False)
        if self.config.artifact_posterior_network:
            flat: Normal = self.network(self.network.lift(self.kind_logits.new_ones(1)))
            shape = (self.config.artifact_kinds, self.config.n_latent)
            return Normal(flat.loc.view(shape), flat.scale.view(shape), validate_args=False)
        return Normal(self.location, self.log_scale.exp(), validate_args=False)

    def forward(self, n_particles: int, generator: torch.Generator | None) -> tuple[Tensor, KL]:
        """``u`` of shape ``(K, C, D)`` and its KL ``(K,)``."""
        shape = (n_particles, self.config.artifact_kinds, self.config.n_latent)
        if not self.config.causal_artifact:
            return self.location.expand(shape), {"artifact": self.location.new_zeros(n_particles)}
        posterior = self.posterior()
        loc = posterior.loc
        noise = torch.randn(shape, generator=generator, device=loc.device)
        u = loc + posterior.scale * noise
        prior = centred_normal(loc.new_tensor(self.config.effect_scale))
        kl = kl_divergence(posterior, prior).sum()
        return u, {"artifact": kl.expand(n_particles)}

    def shares(self) -> Tensor:
        """``π``, how common each kind is among failed cells, ``(C,)``."""
        return self.kind_logits.softmax(-1)

    def infer_kind(self, lifted: Tensor, failed: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of ``q(c | x)``, ``(n, C)``, and KL to ``π``, ``(n,)``.

        A cell without artifact tells nothing of its kind: its posterior is the prior.
        """
        prior = self.kind_logits.log_softmax(-1)
        told = self.kind(functional.leaky_relu(lifted)).log_softmax(-1)
        logits = torch.where(failed > 0, told, prior)
        return logits, (logits.exp() * (logits - prior)).sum(-1)


class CradleVAE(SAMSVAE):
    """Decodes ``[z_basal, z_p, z_a]``, ``z_a = a·u_c``; J2 aligns counterfactual posteriors."""

    plates: ClassVar[Mapping[str, Plate]] = {
        **SAMSVAE.plates,
        "artifact": Plate.ARTIFACT,
        "kind": Plate.CELL,
    }

    def __init__(self, shape: DataShape, config: VAEConfig):
        super().__init__(shape, config, n_extra=(config.n_latent,))
        self.artifact = Artifact(config)
        as_published = config.artifact_kinds == 1 or config.artifact_posterior_network
        if shape.counts_by_quality is not None and not as_published:
            self._start_at(shape.counts_by_quality)

    @torch.no_grad()
    def _start_at(self, counts: Tensor) -> None:
        """Let the untrained decoder answer with the profile of QC-passing cells, and with the
        artifact on with those of failed cells of each kind.

        A small screen ends its training after a few hundred steps, in which log rates that start
        at the mean of both do not part.
        """
        passing, failed = counts[0], counts[1:]
        if passing.sum() == 0:  # nothing is known of cells without the artifact
            return
        share = (passing + 0.5) / (passing + 0.5).sum()
        self.decoder.output.bias.copy_(share.log())
        if self.linear_path is None or self.combine == "sum" or len(failed) == 0:
            return
        # counts over those that passing cells would give, shrunk by a Gamma(1, 1) prior on them
        change = ((failed + 1) / (failed.sum(1, keepdim=True) * share + 1)).log()
        n_kinds = len(self.artifact.location)
        # further kinds start without a change: two that start alike stay alike
        start = change.new_zeros(n_kinds, change.shape[1])
        start[: len(change)] = change[:n_kinds]
        of_artifact = self.linear_path.weights[-1]
        of_artifact.copy_((torch.linalg.pinv(self.artifact.location) @ start).T)

    def artifact_posterior(self) -> Normal:
        """``q(u_c)``, ``(C, D)``."""
        return self.artifact.posterior()

    def artifact_shares(self) -> Tensor:
        """``π``, ``(C,)``."""
        return self.artifact.shares()

    def global_posterior(
        self, n_particles: int, generator: torch.Generator | None = None, few: Few | None = None
    ) -> tuple[Latents, KL]:
        """Masks, effects ``(K, T, D)``, or of a few genes, and the artifact ``(K, C, D)``."""
        latents, kl = super().global_posterior(n_particles, generator, few)
        u, kl_artifact = self.artifact(n_particles, generator)
        return {**latents, "artifact": u}, {**kl, **kl_artifact}

    def infer_cells(
        self,
        lifted: Tensor,
        conditions: Conditions,
        n_particles: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Latents, KL]:
        """Kind of artifact of each cell, one-hot, ``(K, n, C)``."""
        logits, kl = self.artifact.infer_kind(lifted, conditions.artifact)
        kind = straight_through_categorical(logits, n_particles, generator)
        return {"kind": kind}, {"kind": kl.expand(n_particles, -1)}

    def draw_cells(self, n_cells: int, generator: torch.Generator | None = None) -> Latents:
        """Kinds drawn from ``π``, ``(1, n_cells, C)``."""
        shares = self.artifact.shares()
        kind = torch.multinomial(shares, n_cells, replacement=True, generator=generator)
        return {"kind": functional.one_hot(kind, len(shares)).to(shares.dtype)[None]}

    def conditioning(self, conditions: Conditions, latents: Latents) -> tuple[Part, ...]:
        """``z_p`` and ``z_a = a·u_c``, each ``(K, n, D)`` (algorithm 1, lines 7-8).

        Where nobody has said which kind, the mean over kinds. The penalty does not move their
        shares, which belong to the data.
        """
        kind = latents.get("kind")
        if kind is None:
            kind = self.artifact.shares().detach().expand(1, 1, -1)
        z_a = Repeated(latents["artifact"], conditions.artifact * kind)
        return *super().conditioning(conditions, latents), z_a

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
        flipped = batch.conditions.at(cells)._replace(artifact=there.artifact[row])
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

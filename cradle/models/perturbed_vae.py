"""PerturbedVAE: an invariant block and a causal, responsive one (Jiang et al. 2026).

arXiv 2605.19343; no code is published, and what its text leaves open is decided here (SPEC 6).
"""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional

from cradle.batches import CellBatch, Conditions, DataShape
from cradle.models.base import KL, Latents, PerturbationVAE, Plate, centred_normal
from cradle.models.config import VAEConfig
from cradle.nn.blocks import ResidualMLP
from cradle.nn.likelihoods import GaussianExpression, ln_cp10k

#: Control cells whose invariant state is kept with the weights, for predictions.
N_KEPT = 512


class Terms(NamedTuple):
    """What a perturbation u does to the responsive block."""

    edges: Tensor  # (n, d_ν, d_ν), Λ_νν(u), strictly lower triangular
    inputs: Tensor  # (n, d_ν, d_ι), Λ_νι(u)
    location: Tensor  # (n, d_ν), μ_ν(u)
    scale: Tensor  # (n, d_ν), √β_ν(u)


class Mechanism(nn.Module):
    """``z_ν = Λ_νι(u) z_ι + Λ_νν(u) z_ν + n_ν``, ``n_ν ~ N(μ_ν(u), diag β_ν(u))``.

    Each of the four is affine in the dosage u, row 0 being the control's.
    """

    lower: Tensor

    def __init__(self, n_perturbations: int, config: VAEConfig):
        super().__init__()
        n, invariant, rows = config.n_responsive, config.n_invariant, 1 + n_perturbations
        self.causal = config.causal_structure
        if self.causal:
            self.edges = nn.Parameter(torch.zeros(rows, n, n))
            self.inputs = nn.Parameter(torch.zeros(rows, n, invariant))
        self.location = nn.Parameter(0.01 * torch.randn(rows, n))
        self.log_variance = nn.Parameter(torch.zeros(rows, n))
        self.register_buffer("lower", torch.ones(n, n).tril(-1), persistent=False)
        self.n_invariant = invariant

    def forward(self, dosage: Tensor) -> Terms:
        """Terms of each dosage ``(n, T)``."""

        def affine(values: Tensor) -> Tensor:
            found: Tensor = values[0] + torch.tensordot(dosage, values[1:], dims=1)
            return found

        location = affine(self.location)
        scale = (0.5 * affine(self.log_variance)).exp()
        if not self.causal:
            edges = location.new_zeros(*location.shape, location.shape[-1])
            inputs = location.new_zeros(*location.shape, self.n_invariant)
            return Terms(edges, inputs, location, scale)
        return Terms(affine(self.edges) * self.lower, affine(self.inputs), location, scale)


class PerturbedVAE(PerturbationVAE):
    """``x = g([z_ν, z_ι])``, ``z_ι ~ N(0, I)`` and z_ν of :class:`Mechanism`.

    The state of a cell is ``[z̃, z_ι]`` with z̃ the centred noise of the responsive block, and
    ``z_ν = A⁻¹(Λ_νι z_ι + μ_ν + z̃)``, ``A = I − Λ_νν``, by a triangular solve. The KL of z_ν is
    taken in noise space: ``KL(q(z̃ | x, u) ‖ N(0, β_ν(u)))``. The decoder never sees u.

    Its likelihood is of ``y = ln(1 + 1e4·x/ℓ)``, with unit variance. To it come, for each cell,
    a random control cell's KL and ``α‖μ_ι(cell) − μ_ι(control)‖²/d_ι``, a mean over latents where
    the paper writes a sum. The weights β and α stand beside a reconstruction averaged over genes,
    so they are multiplied by G here, where it is summed: beside the sum, β = 0.01 leaves z̃ free to
    carry the perturbation itself, the prior of z_ν learns nothing and unseen pairs are predicted
    at chance. The KLs start at zero; ``val_elbo`` uses their final weights and is a bound only
    where β·G is one.

    Predictions take z_ι from control cells of the training set, of which the posteriors of
    ``N_KEPT`` are kept, and z̃ from its prior; before :meth:`settle` z_ι comes from its prior.
    """

    plates: ClassVar[Mapping[str, Plate]] = {"responsive": Plate.CELL, "invariant": Plate.CELL}

    centre: Tensor
    control_location: Tensor
    control_scale: Tensor

    def __init__(self, shape: DataShape, config: VAEConfig):
        super().__init__()
        self.config = config
        self.n_genes, self.n_perturbations = shape.n_genes, shape.n_perturbations
        self.n_responsive, self.n_invariant = config.n_responsive, config.n_invariant
        self.n_latent = self.n_responsive + self.n_invariant
        hidden = config.n_hidden
        centre = torch.log1p(1e4 * shape.mean_profile)
        self.register_buffer("centre", centre, persistent=False)
        self.encoder = ResidualMLP((shape.n_genes,), hidden, hidden, config.n_encoder_layers)
        self.invariant_head = nn.Linear(hidden, 2 * self.n_invariant)
        self.noise_head = ResidualMLP(
            (hidden, shape.n_perturbations), 2 * self.n_responsive, hidden, 1
        )
        self.mechanism = Mechanism(shape.n_perturbations, config)
        self.decoder = ResidualMLP((self.n_latent,), shape.n_genes, hidden, config.n_decoder_layers)
        self.linear_path = (
            nn.Linear(self.n_latent, shape.n_genes, bias=False) if config.linear_path else None
        )
        # an untrained decoder already answers with the mean profile
        with torch.no_grad():
            if self.linear_path is not None:
                self.linear_path.weight.mul_(0.1)
            self.decoder.output.weight.mul_(0.1)
            self.decoder.output.bias.copy_(centre)
        kept = torch.zeros(N_KEPT, self.n_invariant)
        self.register_buffer("control_location", kept)
        self.register_buffer("control_scale", torch.ones_like(kept))
        self.controls: CellBatch | None = None
        self.warmup = 1.0

    def global_posterior(
        self, n_particles: int, generator: torch.Generator | None = None
    ) -> tuple[Latents, KL]:
        """Nothing but ones, ``(K, 1, 1)``, that carry the particles: no variable is shared."""
        return {"weight": self.centre.new_ones(n_particles, 1, 1)}, {}

    def lift(self, counts: Tensor, library_size: Tensor | None = None) -> Tensor:
        """``h = f_enc(y)``, ``(n, n_hidden)``."""
        assert library_size is not None, "expression is normalised by the library size"
        y = ln_cp10k(counts, library_size) - self.centre
        return functional.leaky_relu(self.encoder(self.encoder.lift(y)))

    def invariant_posterior(self, lifted: Tensor) -> Normal:
        """``q(z_ι | h)``, ``(n, d_ι)``; it is not told of the perturbation."""
        return _normal(self.invariant_head(lifted))

    def cell_posterior(self, lifted: Tensor, conditions: Conditions, latents: Latents) -> Normal:
        """``q(z̃ | h, u) q(z_ι | h)``, ``(K, n, d_ν + d_ι)``."""
        noise = _normal(self.noise_head(self.noise_head.lift(lifted), conditions.dosage))
        invariant = self.invariant_posterior(lifted)
        shape = (len(latents["weight"]), len(lifted), self.n_latent)
        location = torch.cat([noise.loc, invariant.loc], dim=-1)
        scale = torch.cat([noise.scale, invariant.scale], dim=-1)
        return Normal(location.expand(shape), scale.expand(shape), validate_args=False)

    def cell_prior(self, conditions: Conditions, latents: Latents) -> Normal:
        """``N(0, β_ν(u))`` and ``N(0, I)``, ``(n, d_ν + d_ι)``."""
        noise = self.mechanism(conditions.dosage).scale
        return centred_normal(
            torch.cat([noise, noise.new_ones(len(noise), self.n_invariant)], dim=-1)
        )

    def cell_kl(self, posterior: Normal, conditions: Conditions, latents: Latents) -> KL:
        """KLs of the two blocks, each ``(K, n)``, nats, without their weights."""
        kl = kl_divergence(posterior, self.cell_prior(conditions, latents))
        responsive, invariant = self.blocks(kl)
        return {"responsive": responsive.sum(-1), "invariant": invariant.sum(-1)}

    def sample_basal(self, noise: Tensor, conditions: Conditions, latents: Latents) -> Tensor:
        """``[z̃, z_ι]`` with z̃ of its prior given u and z_ι of a control cell, ``(K, n, D)``.

        Cell i takes the i-th kept control cell, whatever its conditions, so that treated and
        control cells share their background.
        """
        own = self.cell_prior(conditions, latents).scale[:, : self.n_responsive]
        kept = torch.arange(noise.shape[1], device=noise.device) % N_KEPT
        drawn, background = self.blocks(noise)
        invariant = self.control_location[kept] + self.control_scale[kept] * background
        return torch.cat([own * drawn, invariant], dim=-1)

    def blocks(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """The two parts of ``(..., d_ν + d_ι)``."""
        return state[..., : self.n_responsive], state[..., self.n_responsive :]

    def responsive(self, state: Tensor, conditions: Conditions) -> Tensor:
        """``z_ν = A⁻¹(Λ_νι z_ι + μ_ν + z̃)`` of states ``(K, n, D)``, ``(K, n, d_ν)``."""
        noise, invariant = self.blocks(state)
        terms: Terms = self.mechanism(conditions.dosage)
        driven = noise + terms.location
        if not self.config.causal_structure:
            return driven
        driven = driven[..., None] + terms.inputs @ invariant[..., None]
        # the diagonal of A is one, and is not read
        found: Tensor = torch.linalg.solve_triangular(
            -terms.edges, driven, upper=False, unitriangular=True
        )
        return found.squeeze(-1)

    def likelihood(
        self, state: Tensor, conditions: Conditions, latents: Latents
    ) -> GaussianExpression:
        """``p(y | z_ν, z_ι)`` over ``(K, n, G)``."""
        _, invariant = self.blocks(state)
        location = self.decoded(self.responsive(state, conditions), invariant)
        return GaussianExpression(location, conditions.library_size)

    def decoded(self, responsive: Tensor, invariant: Tensor) -> Tensor:
        """``g([z_ν, z_ι])``, the mean of y, ``(K, n, G)``."""
        blocks = torch.cat([responsive, invariant], dim=-1)
        location: Tensor = self.decoder(self.decoder.lift(blocks))
        return location if self.linear_path is None else location + self.linear_path(blocks)

    def penalties(self, batch: CellBatch, lifted: Tensor, latents: Latents) -> dict[str, Tensor]:
        """KL of a random control cell and the distance to it, each ``(K,)``."""
        if self.controls is None:
            return {}
        n_particles, there = len(latents["weight"]), self.controls
        drawn = torch.randint(len(there.counts), (len(lifted),), device=there.counts.device)
        counts, sizes = (t[drawn].to(lifted) for t in (there.counts, there.conditions.library_size))
        control = self.invariant_posterior(self.lift(counts, sizes))
        prior = centred_normal(lifted.new_ones(()))
        kl = self.kl_weight("invariant") * kl_divergence(control, prior).sum(-1).mean()
        found = {"kl_invariant_of_control": kl.expand(n_particles)}
        if self.config.alignment_weight:
            away = self.invariant_posterior(lifted).loc - control.loc
            weight = self.n_genes * self.config.alignment_weight
            alignment = weight * self.misalignment(away, batch.conditions.dosage)
            found["alignment"] = alignment.expand(n_particles)
        return found

    def misalignment(self, away: Tensor, dosage: Tensor) -> Tensor:
        """Mean square of ``μ_ι(cell) − μ_ι(control)`` ``(n, d_ι)``, a scalar."""
        return away.square().mean()

    def kl_weight(self, name: str) -> float:
        """β of the block times the number of genes, times the warm-up while training."""
        config = self.config
        beta = {
            "responsive": config.responsive_kl_weight, "invariant": config.invariant_kl_weight,
        }[name]  # fmt: skip
        return self.n_genes * beta * (self.warmup if self.training else 1.0)

    def start_epoch(self, epoch: int) -> None:
        """Warm-up of the KLs: zero for ``kl_free_epochs``, then linear to one."""
        risen = (epoch + 1 - self.config.kl_free_epochs) / self.config.kl_warmup_epochs
        self.warmup = min(1.0, max(0.0, risen))

    def meet_controls(self, controls: CellBatch) -> None:
        """Keep unperturbed training cells at hand for alignment."""
        self.controls = controls

    @torch.no_grad()
    def settle(self) -> None:
        """Keep the invariant posterior of control cells, for predictions."""
        if self.controls is None:
            return
        counts, conditions, _ = self.controls
        rows = torch.arange(N_KEPT, device=counts.device) % len(counts)
        lifted = self.lift(counts[rows], conditions.library_size[rows])
        posterior = self.invariant_posterior(lifted)
        self.control_location.copy_(posterior.loc)
        self.control_scale.copy_(posterior.scale)


class MeanAlignedPerturbedVAE(PerturbedVAE):
    """PerturbedVAE that aligns the mean of z_ι of a perturbation, not each cell, with control.

    The control cell that a cell is compared with is a random one, of another background, so
    ``E‖μ_ι(cell) − μ_ι(control)‖² = ‖E μ_ι(cell) − E μ_ι(control)‖² + Var + Var``: beside the
    distance between the groups the term of the paper weighs the spread of z_ι itself, which is
    the background that the block should keep. Here only the first part is left.
    """

    def misalignment(self, away: Tensor, dosage: Tensor) -> Tensor:
        """``‖E away‖²/d_ι`` of each perturbation, weighed by its cells; without bias.

        ``Σ_{i≠j} away_i·away_j / (n(n−1))`` over the n cells of a perturbation in the batch has
        that expectation, since the controls of two cells are independent. The control, whose
        distance is zero, and perturbations with one cell count zero.
        """
        labels, code = dosage.unique(dim=0, return_inverse=True)  # type: ignore[no-untyped-call]
        none = away.new_zeros(len(labels))
        n = none.index_add(0, code, away.new_ones(len(code)))
        total = away.new_zeros(len(labels), away.shape[-1]).index_add(0, code, away)
        squares = none.index_add(0, code, away.square().sum(-1))
        pairs = (total.square().sum(-1) - squares) / (n - 1).clamp_min(1)
        counted = (n > 1) & (labels != 0).any(dim=1)
        return pairs[counted].sum() / away.numel()


def _normal(parameters: Tensor) -> Normal:
    # also in mixed precision, where what a layer gives has few digits
    exact = parameters.to(torch.promote_types(parameters.dtype, torch.float32))
    location, raw_scale = exact.chunk(2, dim=-1)
    scale = functional.softplus(raw_scale + 0.5413) + 1e-4  # about one at first
    return Normal(location, scale, validate_args=False)

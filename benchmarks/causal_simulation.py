"""PerturbedVAE on cells of its own generative model, whose causes are known.

    python -m benchmarks.causal_simulation

Draws screens in which a few responsive latents follow a linear structural model, each perturbation
shifts one of them, and a larger invariant background moves most of the expression. Fits the model
on control and single perturbations with several weights α of the alignment, without structure, and
with d_ν ≥ d_ι, and writes what each recovers on cells and pairs that it never saw to
``assets/benchmarks/causal_simulation/table.csv``. Probes and regressions are fitted on one half of
the unseen cells and scored on the other.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from benchmarks.study import TABLES
from cradle.batches import CellBatch, Conditions
from cradle.data.dosage import Design
from cradle.data.loading import CellDataset, Cells
from cradle.evaluation.probes import probe_accuracy, probe_r2
from cradle.files import write_frame
from cradle.models.config import VAEConfig
from cradle.models.perturbed_vae import PerturbedVAE
from cradle.models.registry import model_spec
from cradle.training import PerturbationTraining

GENES = ("A", "B", "C", "D", "E")
TRAINED = ("control", *GENES)
PAIRS = tuple(f"{a}+{b}" for a, b in itertools.combinations(GENES, 2))
N_RESPONSIVE, N_INVARIANT, N_GENES = len(GENES), 10, 60
LIBRARY_SIZE = 1e4
SETTINGS = {
    "n_responsive": N_RESPONSIVE, "n_invariant": N_INVARIANT, "n_hidden": 64, "batch_size": 128,
    "learning_rate": 2e-3, "weight_average": 0.0, "kl_free_epochs": 10, "kl_warmup_epochs": 20,
}  # fmt: skip
N_EPOCHS, STEPS_PER_EPOCH = 50, 20
SEEDS = (0, 1)
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """``z_ν = B z_ι + L z_ν + μ(u) + n``, ``y = 6 + g(z_ν, z_ι) + noise``, ln(1 + 1e4·x/ℓ) units.

    Parameters
    ----------
    edges
        L, strictly lower triangular, ``(d_ν, d_ν)``.
    inputs
        B, ``(d_ν, d_ι)``.
    shift
        μ of each perturbed gene, one latent each, ``(T, d_ν)``.
    responsive, invariant
        Genes moved by each latent, ``(d, G)``.
    """

    edges: Tensor
    inputs: Tensor
    shift: Tensor
    responsive: Tensor
    invariant: Tensor

    @classmethod
    def drawn(cls, seed: int) -> World:
        """A world of this seed."""
        generator = torch.Generator().manual_seed(seed)

        def normal(*size: int) -> Tensor:
            return torch.randn(size, generator=generator)

        def sparse(share: float, *size: int) -> Tensor:
            return (torch.rand(size, generator=generator) < share).float()

        sign = normal(N_RESPONSIVE).sign()
        return cls(
            (0.8 * normal(N_RESPONSIVE, N_RESPONSIVE).sign()).tril(-1)
            * sparse(0.5, N_RESPONSIVE, N_RESPONSIVE),
            0.3 * normal(N_RESPONSIVE, N_INVARIANT) * sparse(0.3, N_RESPONSIVE, N_INVARIANT),
            torch.diag(2.5 * sign),
            0.25 * normal(N_RESPONSIVE, N_GENES) * sparse(0.3, N_RESPONSIVE, N_GENES),
            0.3 * normal(N_INVARIANT, N_GENES),
        )

    def latents(
        self, dosage: Tensor, generator: torch.Generator, background: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """z_ν ``(n, d_ν)`` and z_ι ``(n, d_ι)`` of cells with this dosage ``(n, T)``."""
        n = len(dosage)
        noise = 0.5 * torch.randn((n, N_RESPONSIVE), generator=generator)
        invariant = torch.randn((n, N_INVARIANT), generator=generator)
        invariant = invariant if background is None else background
        driven = dosage @ self.shift + invariant @ self.inputs.T + noise
        identity = torch.eye(N_RESPONSIVE)
        return torch.linalg.solve(identity - self.edges, driven.T).T, invariant

    def expression(self, responsive: Tensor, invariant: Tensor) -> Tensor:
        """Mean of y, ``(n, G)``; mildly non-linear in each block's sum."""
        state = responsive @ self.responsive + invariant @ self.invariant
        return 6 + torch.where(state > 0, state, 0.7 * state)

    def effect(self, label: str, n: int = 20_000) -> FloatArray:
        """Change of the mean against control, log2 units, ``(G,)``; the background is shared."""
        found = []
        for name in (label, "control"):
            generator = torch.Generator().manual_seed(99)
            dosage = torch.from_numpy(Design(GENES).rows([name])).expand(n, -1)
            found.append(self.expression(*self.latents(dosage, generator)).mean(0))
        return np.asarray((found[0] - found[1]).double().numpy() / np.log(2.0))


@dataclass(frozen=True)
class Sample:
    """Cells with their true latents."""

    cells: Cells
    responsive: FloatArray
    invariant: FloatArray

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Code of each cell's perturbation, 0 for control."""
        return self.cells.label


def sample(world: World, n: int, seed: int) -> Sample:
    """Cells of control (four in nine) and of the single perturbations."""
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    weights = np.array([4.0, *[1.0] * len(GENES)])
    code = rng.choice(len(TRAINED), n, p=weights / weights.sum())
    dosage = torch.from_numpy(Design(GENES).rows(TRAINED))
    responsive, invariant = world.latents(dosage[torch.from_numpy(code)], generator)
    mean = world.expression(responsive, invariant)
    y = (mean + 0.2 * torch.randn(mean.shape, generator=generator)).clamp_min(0.0)
    # the model sees ln(1 + 1e4·x/ℓ) alone, so x need not be whole
    counts = torch.expm1(y) * (LIBRARY_SIZE / 1e4)
    size = np.full(n, LIBRARY_SIZE, np.float32)
    cells = Cells(sp.csr_matrix(counts.numpy()), code, np.zeros(n, np.float32), size, dosage)
    return Sample(cells, responsive.double().numpy(), invariant.double().numpy())


def learned(name: str, cells: Cells, settings: dict[str, Any], seed: int = 0) -> PerturbedVAE:
    """A row of the registry, fitted by its objective with its warm-up, at a falling rate."""
    config: VAEConfig = model_spec(name).config({**SETTINGS, **settings})
    torch.manual_seed(seed)
    model = PerturbedVAE(cells.shape(), config)
    module, data = PerturbationTraining(model, config, len(cells)), CellDataset(cells)
    controls = data.controls(4096, seed)
    assert controls is not None
    model.meet_controls(controls)
    optimizer, rng = module.configure_optimizers(), np.random.default_rng(seed)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, N_EPOCHS)
    for epoch in range(N_EPOCHS):
        model.start_epoch(epoch)
        for _ in range(STEPS_PER_EPOCH):
            loss = module.objective(data[rng.choice(len(cells), config.batch_size)]).loss
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
    model.eval().settle()
    return model


@torch.no_grad()
def encoded(model: PerturbedVAE, cells: Cells) -> tuple[FloatArray, FloatArray]:
    """Posterior means of z_ν and z_ι."""
    batch: CellBatch = CellDataset(cells)[np.arange(len(cells))]
    latents, _ = model.global_posterior(1)
    lifted = model.lift(batch.counts, batch.conditions.library_size)
    state = model.cell_posterior(lifted, batch.conditions, latents).loc
    responsive = model.responsive(state, batch.conditions)[0]
    return responsive.double().numpy(), model.blocks(state)[1][0].double().numpy()


@torch.no_grad()
def predicted(model: PerturbedVAE, label: str, n: int = 2048) -> FloatArray:
    """Effect against control, log2 units, ``(G,)``, from the prior of z_ν."""
    noise = torch.randn((1, n, model.n_latent), generator=torch.Generator().manual_seed(5))
    latents, _ = model.global_posterior(1)
    means = []
    for name in (label, "control"):
        dosage = torch.from_numpy(Design(GENES).rows([name]))
        conditions = Conditions(dosage, torch.zeros(1, 1), torch.full((1, 1), LIBRARY_SIZE))
        state = model.sample_basal(noise, conditions, latents)
        found = model.likelihood(state, conditions, latents)
        means.append(found.expected_log2_cp10k().mean((0, 1)))
    return np.asarray((means[0] - means[1]).double().numpy())


def matched_correlation(true: FloatArray, found: FloatArray) -> tuple[float, npt.NDArray[np.intp]]:
    """Mean |correlation| of each true latent with its partner, one to one, and the partners.

    The partners are those of the best assignment, so that order and scale do not matter.
    """
    d = true.shape[1]
    correlation = np.abs(np.corrcoef(true.T, found.T)[:d, d:])
    rows, partners = linear_sum_assignment(-np.nan_to_num(correlation))
    return float(correlation[rows, partners].mean()), partners


def recovery(world: World, model: PerturbedVAE, unseen: Sample) -> dict[str, float]:
    """Everything that the table says of one fit."""
    responsive, invariant = encoded(model, unseen.cells)
    correlation, partners = matched_correlation(unseen.responsive, responsive)
    pairs = np.stack([world.effect(label) for label in PAIRS])
    told = np.stack([predicted(model, label) for label in PAIRS])
    singles = np.stack([world.effect(label) for label in GENES])
    additive = np.stack([singles[[GENES.index(g) for g in p.split("+")]].sum(0) for p in PAIRS])
    found = {
        "invariant_r2": probe_r2(invariant, unseen.invariant),
        "responsive_mcc": correlation,
        "probe_z_invariant": probe_accuracy(invariant, unseen.labels),
        "probe_z_responsive": probe_accuracy(responsive, unseen.labels),
        "probe_chance": 1 / len(TRAINED),
        "kl_invariant_per_latent": _kl_invariant(model, unseen.cells),
        "unseen_pairs_r2": _r2(told, pairs),
        "unseen_pairs_r2_of_true_sums": _r2(additive, pairs),
    }
    if model.config.causal_structure and len(partners) == N_RESPONSIVE:
        found["edge_auroc"] = _edge_auroc(world, model, partners)
    return found


def _edge_auroc(world: World, model: PerturbedVAE, partners: npt.NDArray[np.intp]) -> float:
    """Whether strong learned edges, either way, lie where two latents are joined; 0.5: chance."""
    from sklearn.metrics import roc_auc_score

    with torch.no_grad():
        learned_edges = model.mechanism(torch.zeros(1, len(GENES))).edges[0].abs().numpy()
    strength = learned_edges[np.ix_(partners, partners)]
    below = np.tril_indices(N_RESPONSIVE, -1)
    joined = (world.edges != 0).numpy()[below]
    return float(roc_auc_score(joined, (strength + strength.T)[below]))


@torch.no_grad()
def _kl_invariant(model: PerturbedVAE, cells: Cells) -> float:
    batch: CellBatch = CellDataset(cells)[np.arange(len(cells))]
    latents, _ = model.global_posterior(1)
    lifted = model.lift(batch.counts, batch.conditions.library_size)
    posterior = model.cell_posterior(lifted, batch.conditions, latents)
    kl = model.cell_kl(posterior, batch.conditions, latents)["invariant"]
    return float(kl.mean()) / model.n_invariant


def _r2(found: FloatArray, true: FloatArray) -> float:
    return float(1 - ((found - true) ** 2).sum() / ((true - true.mean()) ** 2).sum())


#: Name in the table -> row of the registry and settings.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "alpha=0": ("perturbed_vae_no_alignment", {}),
    "alpha=0.05": ("perturbed_vae", {}),
    "alpha=0.005": ("perturbed_vae", {"alignment_weight": 0.005}),
    "alpha=0.5": ("perturbed_vae", {"alignment_weight": 0.5}),
    "no structure": ("perturbed_vae_no_structure", {}),
    "d_nu=10, d_iota=5": ("perturbed_vae", {"n_responsive": 10, "n_invariant": 5}),
}


def main() -> None:
    """Fit every variant on each world and write the table."""
    rows = []
    for seed in SEEDS:
        world = World.drawn(seed)
        train, unseen = sample(world, 3000, seed), sample(world, 2000, 1000 + seed)
        for variant, (name, settings) in VARIANTS.items():
            found = recovery(world, learned(name, train.cells, settings, seed), unseen)
            rows += [
                {"variant": variant, "seed": seed, "metric": metric, "value": round(value, 4)}
                for metric, value in found.items()
            ]
            print(seed, variant, {k: round(v, 3) for k, v in found.items()}, flush=True)
    write_frame(TABLES / "causal_simulation" / "table.csv", pd.DataFrame(rows))


if __name__ == "__main__":
    main()

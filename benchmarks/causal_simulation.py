"""PerturbedVAE on cells of its own generative model: does alignment free the background?

    python -m benchmarks.causal_simulation
    python -m benchmarks.causal_simulation --tries "matched KL;linear" --seeds 2,3

Draws screens in which a few responsive latents follow a linear structural model, each perturbation
shifts one of them, and a larger invariant background moves most of the expression. Fits the model
on control and single perturbations without alignment, with each cell aligned to a random control
cell as in the paper, and with the means of perturbations aligned instead (``ALIGNMENTS``), each
under several circumstances (``TRIES``), and writes what each recovers on cells and pairs that it
never saw to ``assets/benchmarks/causal_simulation/table.csv``. Probes and regressions are fitted on
one half of the unseen cells and scored on the other. A fit whose rows are there is not repeated.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.optimize import linear_sum_assignment

from benchmarks.causal_world import (
    GENES,
    LIBRARY_SIZE,
    N_GENES,
    N_INVARIANT,
    N_RESPONSIVE,
    NOISE,
    PAIRS,
    TRAINED,
    FloatArray,
    Sample,
    World,
    sample,
)
from benchmarks.study import TABLES, listed
from cradle.batches import CellBatch, Conditions
from cradle.data.dosage import Design
from cradle.data.loading import CellDataset, Cells
from cradle.evaluation.probes import probe_accuracy, probe_r2
from cradle.files import write_frame
from cradle.models.config import VAEConfig
from cradle.models.perturbed_vae import PerturbedVAE
from cradle.models.registry import model_spec
from cradle.training import PerturbationTraining

SETTINGS = {
    "n_responsive": N_RESPONSIVE, "n_invariant": N_INVARIANT, "n_hidden": 64, "batch_size": 128,
    "learning_rate": 2e-3, "weight_average": 0.0, "kl_free_epochs": 10, "kl_warmup_epochs": 20,
}  # fmt: skip
N_EPOCHS, STEPS_PER_EPOCH = 50, 20
SEEDS = (0, 1)
FILE = TABLES / "causal_simulation" / "table.csv"


def learned(
    name: str, cells: Cells, settings: dict[str, Any], seed: int = 0, n_epochs: int = N_EPOCHS
) -> PerturbedVAE:
    """A row of the registry, fitted by its objective with its warm-up, at a falling rate."""
    spec = model_spec(name)
    config: VAEConfig = spec.config({**SETTINGS, **settings})
    torch.manual_seed(seed)
    assert spec.network is not None
    model = spec.network(cells.shape(), config)
    assert isinstance(model, PerturbedVAE)
    module, data = PerturbationTraining(model, config, len(cells)), CellDataset(cells)
    controls = data.controls(4096, seed)
    assert controls is not None
    model.meet_controls(controls)
    optimizer, rng = module.configure_optimizers(), np.random.default_rng(seed)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_epochs)
    for epoch in range(n_epochs):
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
ALIGNMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("perturbed_vae_no_alignment", {}),
    "cells, 0.005": ("perturbed_vae", {"alignment_weight": 0.005}),
    "cells, 0.05": ("perturbed_vae", {}),
    "means, 0.05": ("perturbed_vae_mean_alignment", {}),
    "means, 0.5": ("perturbed_vae_mean_alignment", {"alignment_weight": 0.5}),
}


@dataclass(frozen=True)
class Try:
    """Circumstances under which alignment is tried: the world, the length, further settings."""

    world: Callable[[World], World] = field(default=lambda world: world)
    n_epochs: int = 100
    settings: dict[str, Any] = field(default_factory=dict)


def _beta(beta: float, **further: Any) -> dict[str, Any]:
    return {"responsive_kl_weight": beta, "invariant_kl_weight": beta, **further}


#: β at which β·G is the variance of the noise: the objective is then the evidence lower bound of
#: a likelihood with the true spread. β = 0.01 weighs the KLs fifteen times as much.
_MATCHED = _beta(NOISE**2 / N_GENES)
TRIES: dict[str, Try] = {
    "defaults": Try(n_epochs=50),
    "longer": Try(n_epochs=200),
    "matched KL": Try(settings=_MATCHED),
    "no warm-up": Try(settings={**_MATCHED, "kl_free_epochs": 0, "kl_warmup_epochs": 1}),
    "dominant": Try(World.dominant, settings=_MATCHED),
    "linear": Try(World.linear, settings=_MATCHED),
    "apart": Try(World.apart, settings=_MATCHED),
    "no structure": Try(settings={**_MATCHED, "causal_structure": False}),
    "d_nu=10, d_iota=20": Try(settings={**_MATCHED, "n_responsive": 10, "n_invariant": 20}),
    "d_nu=10, d_iota=5": Try(settings={**_MATCHED, "n_responsive": 10, "n_invariant": 5}),
}


def carried_out(circumstances: Try, alignment: str, seed: int) -> dict[str, float]:
    """What one fit recovers."""
    world = circumstances.world(World.drawn(seed))
    train, unseen = sample(world, 3000, seed), sample(world, 2000, 1000 + seed)
    name, settings = ALIGNMENTS[alignment]
    both = {**circumstances.settings, **settings}
    model = learned(name, train.cells, both, seed, circumstances.n_epochs)
    return recovery(world, model, unseen)


def main() -> None:
    """Fit what the table lacks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.causal_simulation")
    parser.add_argument("--tries", type=lambda text: text.split(";"), default=list(TRIES))
    parser.add_argument("--alignments", type=lambda text: text.split(";"), default=list(ALIGNMENTS))
    parser.add_argument("--seeds", type=listed(int), default=SEEDS)
    given = parser.parse_args()
    columns = ["try", "alignment", "seed"]
    table = pd.read_csv(FILE) if FILE.is_file() else pd.DataFrame(columns=columns)
    for seed in given.seeds:
        for name in given.tries:
            for alignment in given.alignments:
                if (table[columns] == [name, alignment, seed]).all(axis=1).any():
                    continue
                found = carried_out(TRIES[name], alignment, seed)
                rows = [(name, alignment, seed, k, round(v, 4)) for k, v in found.items()]
                fresh = pd.DataFrame(rows, columns=[*columns, "metric", "value"])
                table = pd.concat([table, fresh], ignore_index=True)
                write_frame(FILE, table)
                print(name, alignment, seed, {k: round(v, 3) for k, v in found.items()}, flush=True)


if __name__ == "__main__":
    main()

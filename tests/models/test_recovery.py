"""Each model recovers the truth from data drawn from its own generative assumptions."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

from cradle.data.dosage import Design
from cradle.data.loading import CellDataset, Cells
from cradle.errors import InputError
from cradle.inside import artifact_genes
from cradle.models.registry import model_spec
from cradle.nn.likelihoods import GammaPoisson
from cradle.prediction import Predictor
from cradle.training import PerturbationTraining

G, D, N_CELLS, DEPTH = 30, 4, 2400, 3000.0
N_STEPS = 1500
GENES = tuple(f"g{i}" for i in range(G))
TRAINED = ("control", "A", "B", "C", "NULL", "A+B")
UNSEEN = "A+C"
SETTINGS = {
    "n_latent": 8, "n_hidden": 32, "n_embedding_layers": 2, "mask_prior": 0.1,
    "learning_rate": 1e-2, "weight_average": 0.0,
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """``z = z_b + shift[label] (+ a·u_c)``, log rates linear in z; A's cells may interact with z.

    Parameters
    ----------
    shift
        Where each label moves the latent state, ``(D,)``.
    artifact
        Where failed cells move it, ``(C, D)``, one cell in C of each kind; zero for the models
        that know of none.
    modulation
        Change of A's cells that grows with their own basal state, ``(G,)`` log rate per unit
        of the first latent.
    """

    shift: dict[str, torch.Tensor]
    artifact: torch.Tensor
    modulation: torch.Tensor
    weight: torch.Tensor
    base: torch.Tensor

    def counts(self, basal, labels, failed):
        shift = torch.stack([self.shift[label] for label in labels])
        kind = self.artifact[torch.arange(len(labels)) % len(self.artifact)]
        logits = self.base + (basal + shift + failed[:, None] * kind) @ self.weight
        has_a = torch.tensor([float("A" in label.split("+")) for label in labels])
        logits = logits + (has_a * basal[:, 0])[:, None] * self.modulation
        size = torch.full((len(labels), 1), DEPTH)
        return GammaPoisson(logits.log_softmax(-1), size, torch.full((G,), 3.0))

    def level(self, label, failed=0.0, n=4000):
        """Expected log2(1 + 1e4·x/ℓ) of a label, ``(G,)``."""
        basal = torch.randn(n, D, generator=torch.Generator().manual_seed(9))
        found = self.counts(basal, [label] * n, torch.full((n,), failed))
        return found.expected_log2_cp10k().mean(0).numpy()

    def effect(self, label):
        return self.level(label) - self.level("control")


def world(kind: str) -> World:
    generator = torch.Generator().manual_seed(3)

    def normal(*size):
        return torch.randn(size, generator=generator)

    dense = kind in ("cpa_vae", "conditional_vae")
    effect = {gene: 2.5 * normal(D) for gene in "ABC"}
    for i, gene in enumerate("ABC"):
        mask = torch.ones(D) if dense else torch.eye(D)[i] + torch.eye(D)[3]
        effect[gene] = effect[gene] * mask
    shift = {"control": torch.zeros(D), "NULL": torch.zeros(D), **effect}
    shift |= {"A+B": shift["A"] + shift["B"], "A+C": shift["A"] + shift["C"]}
    if kind == "svae_plus":
        shift["A+B"] = 2.0 * torch.eye(D)[3]  # a treatment of its own, no sum of others
    return World(
        shift,
        3.0 * normal(2, D) if kind.startswith("cradle") else torch.zeros(1, D),
        0.3 * normal(G) if kind == "conditional_vae" else torch.zeros(G),
        0.3 * normal(D, G),
        0.7 * normal(G),
    )


def learned(name: str, truth: World) -> Predictor:
    """The model of the registry, fitted to cells of the world by its objective."""
    spec, rng = model_spec(name), np.random.default_rng(0)
    code = rng.integers(0, len(TRAINED), N_CELLS)
    failed = (rng.random(N_CELLS) < 0.25).astype(np.float32) * bool(truth.artifact.any())
    generator = torch.Generator().manual_seed(1)
    basal = torch.randn(N_CELLS, D, generator=generator)
    labels = [TRAINED[c] for c in code]
    counts = truth.counts(basal, labels, torch.from_numpy(failed)).sample(generator)
    config = spec.config(SETTINGS)
    design = Design.of(
        TRAINED, additive=spec.combinations, combination_dosage=config.combination_dosage
    )
    sizes = np.full(N_CELLS, DEPTH, dtype=np.float32)
    dosage = torch.from_numpy(design.rows(TRAINED))
    cells = Cells(sp.csr_matrix(counts.numpy()), code, failed, sizes, dosage)
    torch.manual_seed(0)
    model = spec.network(cells.shape(), config)
    optimize(PerturbationTraining(model, config, N_CELLS), cells)
    table = pd.DataFrame({"artifact": failed, "library_size": sizes})
    return Predictor(model.eval(), GENES, design, table, None, None, spec.artifact)


def optimize(module: PerturbationTraining, cells: Cells) -> None:
    """The optimizer of a run, at a rate that falls to zero."""
    optimizer = module.configure_optimizers()
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, N_STEPS)
    batches, rng = CellDataset(cells), np.random.default_rng(0)
    for _ in range(N_STEPS):
        loss = module.objective(batches[rng.choice(N_CELLS, 200)]).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def r2(predicted, true):
    return 1 - ((predicted - true) ** 2).sum() / ((true - true.mean()) ** 2).sum()


NAMES = (
    "cradle_vae", "sams_vae", "sams_vae_mean_field", "cpa_vae", "conditional_vae", "svae_plus",
)  # fmt: skip


@pytest.fixture(scope="module", params=NAMES)
def case(request):
    truth = world(request.param)
    return request.param, truth, learned(request.param, truth)


def test_effects_of_trained_perturbations_are_recovered(case):
    _, truth, predictor = case
    labels = ["A", "B", "C", "A+B"]
    predicted = predictor.treatment_effects(labels).mean
    assert r2(predicted, np.stack([truth.effect(label) for label in labels])) > 0.9


def test_a_gene_without_effect_has_none(case):
    _, truth, predictor = case
    null = predictor.treatment_effects(["NULL"]).mean
    others = np.stack([truth.effect(label) for label in "ABC"])
    assert np.abs(null).mean() < 0.2 * np.abs(others).mean()


def test_an_unseen_combination_is_the_sum_in_the_latent_space(case):
    name, truth, predictor = case
    if name == "svae_plus":
        with pytest.raises(InputError, match="not trained on"):
            predictor.treatment_effects([UNSEEN])
        return
    predicted = predictor.treatment_effects([UNSEEN]).mean[0]
    # the conditional VAE assumes nothing of combinations: it answers, and may well be wrong
    assert r2(predicted, truth.effect(UNSEEN)) > (0.85 if name != "conditional_vae" else 0)


def test_the_spread_of_cells_is_recovered(case):
    """Generated cells vary as the true ones do, gene by gene: no collapse onto the mean."""
    _, truth, predictor = case
    generator, n = torch.Generator().manual_seed(4), 1500
    basal = torch.randn(n, D, generator=generator)
    true = truth.counts(basal, ["A"] * n, torch.zeros(n)).sample(generator).numpy()
    found, _ = predictor._sample("A", np.full(n, DEPTH), [0.0], seed=0)
    variance, expected = np.log1p(found.toarray()).var(0), np.log1p(true).var(0)
    assert np.corrcoef(variance, expected)[0, 1] > 0.9
    assert (variance / expected).mean() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("case", ["sams_vae", "sams_vae_mean_field", "svae_plus"], indirect=True)
def test_masks_open_for_the_effects_that_exist(case):
    _, _, predictor = case
    parameters = predictor.model.named_parameters()
    logits = next(p for name, p in parameters if name.endswith("mask_logits"))
    open_share = torch.sigmoid(logits).mean(1).tolist()
    share = dict(zip(predictor.design.columns, open_share, strict=True))
    assert share["NULL"] < 0.75 * min(share[gene] for gene in "ABC")


@pytest.mark.parametrize("case", ["cradle_vae"], indirect=True)
def test_the_artifact_is_recovered(case):
    _, truth, predictor = case
    latents, _ = predictor.model.global_posterior(1, torch.Generator().manual_seed(0))
    latents = {**latents, **predictor.model.draw_cells(2000, torch.Generator().manual_seed(5))}
    basal = torch.randn(1, 2000, SETTINGS["n_latent"], generator=torch.Generator().manual_seed(2))
    off, on = (
        predictor.likelihood("control", basal, np.full(2000, DEPTH), state, latents)
        for state in (0.0, 1.0)
    )
    with torch.no_grad():
        change = on.expected_log2_cp10k() - off.expected_log2_cp10k()
    true = truth.level("control", 1.0) - truth.level("control")
    assert r2(change.mean((0, 1)).numpy(), true) > 0.9
    learned_kinds = artifact_genes(predictor).pivot_table("change", "kind", "gene")
    # each kind of artifact has one of its own among those learned
    for u in truth.artifact:
        one = replace(truth, artifact=u[None])
        true = one.level("control", 1.0) - one.level("control")
        found = learned_kinds.loc[[1, 2], list(GENES)].to_numpy()
        assert max(r2(change, true) for change in found) > 0.7

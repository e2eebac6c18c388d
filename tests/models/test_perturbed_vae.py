"""PerturbedVAE: its equations, and what it recovers on cells of its own generative model."""

import math

import pytest
import torch

from benchmarks.causal_simulation import learned, recovery
from benchmarks.causal_world import World, sample
from cradle.batches import CellBatch
from cradle.models.registry import MODELS
from cradle.nn.likelihoods import GaussianExpression, ln_cp10k
from cradle.objectives import evidence_lower_bound

SMALL = {"n_responsive": 3, "n_invariant": 4, "n_hidden": 8}


def built(shape, row="perturbed_vae", **settings):
    """A network whose mechanism is anything but zero."""
    torch.manual_seed(0)
    network = MODELS[row].network(shape, MODELS[row].config({**SMALL, **settings}))
    with torch.no_grad():
        for parameter in network.mechanism.parameters():
            parameter.normal_(0, 0.7)
    return network


def _state(network, batch):
    noise = torch.randn(2, len(batch.counts), network.n_latent)
    latents, _ = network.global_posterior(2)
    return network.sample_basal(noise, batch.conditions, latents), latents


def test_the_responsive_block_solves_the_structural_equation(shape, batch):
    """``z_ν = Λ_νι z_ι + Λ_νν z_ν + μ_ν + z̃``, whatever the order of evaluation."""
    network = built(shape)
    state, _ = _state(network, batch)
    noise, invariant = network.blocks(state)
    z, terms = (
        network.responsive(state, batch.conditions),
        network.mechanism(batch.conditions.dosage),
    )
    right = (
        torch.einsum("nij,knj->kni", terms.inputs, invariant)
        + torch.einsum("nij,knj->kni", terms.edges, z)
        + terms.location
        + noise
    )
    torch.testing.assert_close(z, right)
    assert (terms.edges.triu() == 0).all()
    assert (terms.edges.tril(-1) != 0).any()


def test_the_conditional_prior_has_the_covariance_of_the_paper(shape, batch):
    """``p(z_ν | u, z_ι) = N(A⁻¹(Λ_νι z_ι + μ_ν), A⁻¹ diag(β_ν) A⁻ᵀ)``, by sampling."""
    network = built(shape)
    one = batch.conditions.at(torch.tensor([3]))
    terms = network.mechanism(one.dosage)
    n = 60_000
    noise = torch.randn(1, n, 3, generator=torch.Generator().manual_seed(0)) * terms.scale
    state = torch.cat([noise, torch.ones(1, n, 4)], dim=-1)
    z = network.responsive(state, one)[0]
    inverse = torch.linalg.inv(torch.eye(3) - terms.edges[0])
    mean = inverse @ (terms.inputs[0].sum(-1) + terms.location[0])
    covariance = inverse @ torch.diag(terms.scale[0] ** 2) @ inverse.T
    size = covariance.diagonal().sqrt()
    assert ((z.mean(0) - mean).abs() / size).max() < 0.02
    assert ((z.T.cov() - covariance).abs() / torch.outer(size, size)).max() < 0.03


def test_mechanisms_of_a_pair_are_sums(shape):
    network = built(shape)
    a, b, both, none = (
        network.mechanism(torch.tensor([d])) for d in
        ([1.0, 0, 0], [0.0, 1, 0], [1.0, 1, 0], [0.0, 0, 0])
    )  # fmt: skip
    for name in ("edges", "inputs", "location"):
        total = getattr(a, name) + getattr(b, name) - getattr(none, name)
        torch.testing.assert_close(getattr(both, name), total)


def test_the_decoder_never_sees_the_perturbation(shape, batch):
    """With a mechanism that ignores u, cells of every perturbation are predicted alike."""
    network = built(shape)
    with torch.no_grad():
        for parameter in network.mechanism.parameters():
            parameter[1:] = 0
    state, latents = _state(network, batch)
    here = network.likelihood(state, batch.conditions, latents).location
    elsewhere = batch.conditions._replace(dosage=1 - batch.conditions.dosage)
    torch.testing.assert_close(network.likelihood(state, elsewhere, latents).location, here)


def test_without_structure_latents_do_not_depend_on_each_other(shape, batch):
    network = built(shape, "perturbed_vae_no_structure")
    state, _ = _state(network, batch)
    noise, invariant = network.blocks(state)
    moved = torch.cat([noise, invariant + 1], dim=-1)
    torch.testing.assert_close(
        network.responsive(moved, batch.conditions), network.responsive(state, batch.conditions)
    )


def test_kls_wait_then_rise_while_training_and_are_whole_in_validation(shape):
    network = built(shape, kl_free_epochs=10, kl_warmup_epochs=20).train()
    rising = []
    for epoch in (0, 9, 10, 19, 29, 80):
        network.start_epoch(epoch)
        rising.append(network.kl_weight("invariant") / (0.01 * shape.n_genes))
    assert rising == pytest.approx([0, 0, 0.05, 0.5, 1, 1])
    network.start_epoch(0)
    assert network.eval().kl_weight("invariant") == pytest.approx(0.01 * shape.n_genes)


def test_alignment_is_the_distance_to_the_only_control(shape, batch):
    """With one control cell at hand nothing is random."""
    network = built(shape, alignment_weight=0.2).eval()
    one = batch.conditions.at(torch.tensor([0]))
    network.meet_controls(CellBatch(batch.counts[:1], one))
    lifted = network.lift(batch.counts, batch.conditions.library_size)
    latents, _ = network.global_posterior(1)
    found = network.penalties(batch, lifted, latents)["alignment"]
    at = network.invariant_posterior(lifted).loc
    expected = 0.2 * shape.n_genes * ((at - at[0]) ** 2).mean(-1).mean()
    torch.testing.assert_close(found, expected[None])
    network.config = MODELS["perturbed_vae_no_alignment"].config(SMALL)
    assert "alignment" not in network.penalties(batch, lifted, latents)


def test_single_cells_aligned_weigh_the_spread_and_means_aligned_do_not(shape):
    """``E‖cell − control‖² = ‖Δ‖² + 2 Var``; aligned means leave ``‖Δ‖²``, whatever the spread."""
    cells, means = built(shape), built(shape, "perturbed_vae_mean_alignment")
    generator = torch.Generator().manual_seed(0)
    dosage = torch.eye(3)[torch.arange(60) % 3] * (torch.arange(60) % 4 > 0)[:, None]
    perturbed = (dosage != 0).any(dim=1).float()
    shift, found = torch.tensor([0.6, 0.0, 0.0, -0.8]), {cells: [], means: []}
    for _ in range(2000):
        spread = torch.randn(2, 60, 4, generator=generator)
        away = spread[0] + perturbed[:, None] * shift - spread[1]
        for model, values in found.items():
            values.append(model.misalignment(away, dosage))
    expected = float(perturbed.mean()) * float(shift.square().mean())
    assert torch.stack(found[means]).mean() == pytest.approx(expected, abs=0.01)
    assert torch.stack(found[cells]).mean() == pytest.approx(expected + 2, abs=0.02)
    alone = means.misalignment(torch.ones(1, 4), torch.tensor([[1.0, 0, 0]]))
    assert alone == 0, "one cell says nothing of its mean"


def test_the_objective_weighs_the_kls(shape, batch):
    network = built(shape).eval()
    objective = evidence_lower_bound(network, batch, n_train=5)
    weighted = sum(0.01 * shape.n_genes * kl for kl in objective.kl.values())
    torch.testing.assert_close(objective.elbo, objective.reconstruction - weighted)


def test_predictions_take_the_background_of_control_cells(shape, batch):
    """Once settled, treated and control cells share the states of the kept control cells."""
    network = built(shape).eval()
    network.meet_controls(batch)
    network.settle()
    noise = torch.zeros(1, 7, network.n_latent)
    states = [
        network.sample_basal(noise, batch.conditions.at(torch.tensor([i])), {}) for i in (0, 3)
    ]
    lifted = network.lift(batch.counts, batch.conditions.library_size)
    expected = network.invariant_posterior(lifted).loc[torch.arange(7) % 5]
    for state in states:
        torch.testing.assert_close(network.blocks(state)[1][0], expected)


def test_density_of_expression_is_that_of_the_normal_distribution():
    counts, size = torch.tensor([[0.0, 3.0, 10.0]]), torch.tensor([[5000.0]])
    y = ln_cp10k(counts, size)
    torch.testing.assert_close(y, torch.log(1 + 2 * counts))
    location = torch.tensor([[0.5, 1.0, 4.0]])
    found = GaussianExpression(location, size)
    normal = torch.distributions.Normal(location, 1.0)
    torch.testing.assert_close(found.log_prob(counts), normal.log_prob(y).sum(-1))
    torch.testing.assert_close(found.expected_log2_cp10k(), location / math.log(2))


@pytest.fixture(scope="module")
def recovered():
    world = World.drawn(0)
    train, unseen = sample(world, 3000, 0), sample(world, 2000, 1000)
    model = learned("perturbed_vae_no_alignment", train.cells, {})
    return recovery(world, model, unseen)


def test_background_and_response_are_recovered_in_their_own_blocks(recovered):
    assert recovered["invariant_r2"] > 0.6
    assert recovered["probe_z_responsive"] > 0.9


def test_pairs_never_seen_are_predicted_from_the_prior(recovered):
    assert recovered["unseen_pairs_r2"] > 0.5

"""CRADLE-VAE's own parts: the artifact and the counterfactual penalty."""

import dataclasses

import pytest
import torch
from torch.distributions import Categorical, Normal, kl_divergence
from torch.nn.functional import leaky_relu

from cradle.batches import Conditions
from cradle.models.config import VAEConfig
from cradle.models.cradle_vae import CradleVAE
from cradle.nn.blocks import full
from cradle.objectives import evidence_lower_bound

BASE = VAEConfig(n_latent=4, n_hidden=8, counterfactual_weight=0.7, encoder_dropout=0.0)


@pytest.fixture
def network(shape):
    torch.manual_seed(0)
    return CradleVAE(shape, BASE)


def posterior_of(network, counts, dosage, state, latents):
    """q(z_basal | x, z_p, z_a) of one cell, by the definition."""
    conditions = Conditions(dosage[None], torch.tensor([[state]]), torch.ones(1, 1))
    return network.cell_posterior(network.lift(counts[None]), conditions, latents)


def kl_by_hand(network, batch, latents, index):
    """KL( q(z|x_i, z_p, u) ‖ q(z|x̄, z_p, u) ) of equation 3 for one cell."""
    dosage = batch.conditions.dosage[index]
    profile = batch.counterparts.counts[batch.counterparts.row[index]]
    factual = posterior_of(network, batch.counts[index], dosage, 1.0, latents)
    reference = posterior_of(network, profile, dosage, 1.0, latents)
    return factual, reference


def test_an_effect_is_told_its_mask_and_which_perturbation_it_is(network):
    mask = torch.tensor([[[1.0, 0, 1, 1], [0, 0, 1, 0], [1, 1, 1, 1]]])
    embedding = network.effects.embedding
    told = embedding(embedding.lift(mask), torch.eye(3)[None])
    posterior = network.effects.embedding_posterior(mask)
    torch.testing.assert_close(posterior.loc, told.loc)
    torch.testing.assert_close(posterior.scale, told.scale)


def test_a_tenth_of_the_genes_is_hidden_in_training_only(shape, batch):
    network = CradleVAE(shape, dataclasses.replace(BASE, encoder_dropout=0.1))
    counts = torch.ones(20_000, 6)
    seen = []
    network.encoder.lift = lambda x: seen.append(x) or x
    network.lift(counts)
    network.eval().lift(counts)
    assert abs((seen[0] == 0).float().mean() - 0.1) < 0.01
    torch.testing.assert_close(seen[0].mean(), seen[1].mean(), rtol=0.01, atol=0)
    torch.testing.assert_close(seen[1], torch.log1p(counts))


def test_penalty_is_alpha_times_the_weighted_mean_kl(network, batch):
    latents, _ = network.global_posterior(1)
    penalty = network.penalties(batch, network.lift(batch.counts), latents)["counterfactual"]
    kls = [kl_divergence(*kl_by_hand(network, batch, latents, i)).sum() for i in (1, 3)]
    # α · (1/|B|) Σ w·KL with w = 2.5 and |B| = 5
    torch.testing.assert_close(penalty[0], 0.7 * 2.5 * (kls[0] + kls[1]) / 5)


def test_no_cell_with_a_counterpart_gives_a_zero_penalty(network, batch):
    there = batch.counterparts._replace(row=torch.full((5,), -1))
    alone = batch._replace(counterparts=there)
    latents, _ = network.global_posterior(1)
    assert network.penalties(alone, network.lift(batch.counts), latents)["counterfactual"] == 0


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("summed", [False, True])
def test_switches_of_the_published_code(shape, batch, swapped, summed):
    config = dataclasses.replace(
        BASE,
        counterfactual_swapped=swapped,
        counterfactual_unscaled=True,
        counterfactual_sum_over_batch=summed,
    )
    torch.manual_seed(0)
    network = CradleVAE(shape, config)
    latents, _ = network.global_posterior(1)
    penalty = network.penalties(batch, network.lift(batch.counts), latents)["counterfactual"]
    total = 0.0
    for i in (1, 3):
        q, p = kl_by_hand(network, batch, latents, i)
        if swapped:
            q, p = p, q
        # the published code leaves (μ1−μ2)² undivided by σ2²
        total += (
            torch.log(p.scale / q.scale)
            + q.scale**2 / (2 * p.scale**2)
            - 0.5
            + 0.5 * (q.loc - p.loc) ** 2
        ).sum()
    expected = 0.7 * total if summed else 0.7 * 2.5 * total / 5
    torch.testing.assert_close(penalty[0], expected)


def test_artifact_acts_on_failed_cells_only(network, batch):
    latents, _ = network.global_posterior(1)
    moved = {**latents, "artifact": latents["artifact"] + 1.0}
    basal = torch.zeros(1, 5, 4)
    before = network.likelihood(basal, batch.conditions, latents).log_rate
    after = network.likelihood(basal, batch.conditions, moved).log_rate
    changed = (before != after).any(-1)[0]
    assert changed.tolist() == [False, False, True, False, True]


def test_effects_add_up_in_the_latent_space(network):
    latents, _ = network.global_posterior(1)
    dosage = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 0]]).float()
    conditions = Conditions(dosage, torch.zeros(3, 1), torch.ones(3, 1))
    z_p = full(network.conditioning(conditions, latents)[0])[0]
    torch.testing.assert_close(z_p[2], z_p[0] + z_p[1])


def test_artifact_kl_is_the_analytic_one(network):
    _, kl = network.global_posterior(2)
    u = network.artifact
    expected = kl_divergence(Normal(u.location, u.log_scale.exp()), Normal(0.0, 1.0)).sum()
    torch.testing.assert_close(kl["artifact"], expected.expand(2))


def test_the_kind_of_a_passing_cell_is_unknown_and_that_of_a_failed_one_costs_its_kl(
    network, batch
):
    with torch.no_grad():
        network.artifact.kind_logits.copy_(torch.tensor([0.0, 1.0, -1.0, 0.5]))
    lifted = network.lift(batch.counts)
    failed = batch.conditions.artifact.squeeze(1).bool()
    latents, kl = network.infer_cells(lifted, batch.conditions, 20_000)
    assert (kl["kind"][:, ~failed] == 0).all()
    prior = Categorical(logits=network.artifact.kind_logits)
    drawn = latents["kind"].mean(0)
    torch.testing.assert_close(
        drawn[~failed], prior.probs.expand(int((~failed).sum()), -1), atol=0.02, rtol=0
    )
    told = Categorical(logits=network.artifact.kind(leaky_relu(lifted)))
    torch.testing.assert_close(drawn[failed], told.probs[failed], atol=0.02, rtol=0)
    torch.testing.assert_close(kl["kind"][0, failed], kl_divergence(told, prior)[failed])


def test_a_failed_cell_is_moved_by_the_artifact_of_its_kind(network, batch):
    latents, _ = network.global_posterior(1)
    of_cells = network.draw_cells(5, torch.Generator().manual_seed(1))
    _, z_a = network.conditioning(batch.conditions, {**latents, **of_cells})
    kind = of_cells["kind"][0].argmax(-1)
    expected = batch.conditions.artifact * latents["artifact"][0][kind]
    torch.testing.assert_close(full(z_a)[0], expected)


def test_the_penalty_does_not_move_the_shares_of_the_kinds(network, batch):
    latents, _ = network.global_posterior(1)
    network.penalties(batch, network.lift(batch.counts), latents)["counterfactual"].backward()
    assert network.artifact.kind_logits.grad is None
    assert network.artifact.location.grad.abs().sum() > 0


def test_without_causal_the_artifact_is_one_vector(shape, batch):
    network = CradleVAE(shape, dataclasses.replace(BASE, causal_artifact=False))
    latents, kl = network.global_posterior(3)
    assert (latents["artifact"] == network.artifact.location).all()
    assert (kl["artifact"] == 0).all()


def test_without_the_counterfactual_term_there_is_no_penalty(shape, batch):
    network = CradleVAE(shape, dataclasses.replace(BASE, counterfactual_weight=0.0))
    assert evidence_lower_bound(network, batch, n_train=5).penalties == {}


def test_training_starts_at_the_profiles_of_passing_and_of_failed_cells(shape):
    torch.manual_seed(0)
    passing = torch.tensor([4e6, 2e6, 1e6, 5e5, 1e5, 2e5, 2.2e6])
    failed = torch.tensor([[4e5, 2e5, 1e5, 5e4, 8e5, 0, 2e5], [0, 0, 1e6, 0, 0, 0, 0]])
    measured = dataclasses.replace(shape, counts_by_quality=torch.stack([passing, *failed]))
    network = CradleVAE(measured, dataclasses.replace(BASE, artifact_kinds=3))
    torch.nn.init.zeros_(network.decoder.output.weight)  # its untrained part

    def share(state: float, kind: int):
        conditions = Conditions(torch.zeros(1, 3), torch.tensor([[state]]), torch.ones(1, 1))
        u = network.artifact_posterior().loc[None]
        effect = torch.zeros(1, 3, 4)
        latents = {"artifact": u, "effect": effect, "kind": torch.eye(3)[kind].expand(1, 1, -1)}
        return network.likelihood(torch.zeros(1, 1, 4), conditions, latents).log_rate[0, 0].exp()

    close = {"rtol": 2e-3, "atol": 2e-4}
    torch.testing.assert_close(share(0.0, 0), (passing / passing.sum())[:6], **close)
    torch.testing.assert_close(share(1.0, 0), (failed[0] / failed[0].sum())[:6], **close)
    torch.testing.assert_close(share(1.0, 1), (failed[1] / failed[1].sum())[:6], **close)
    torch.testing.assert_close(share(1.0, 2), share(0.0, 2))  # a kind that nothing is known of


def test_the_published_artifact_starts_from_nothing_known(shape):
    measured = dataclasses.replace(shape, counts_by_quality=torch.ones(2, 7))
    for settings in ({"artifact_kinds": 1}, {"artifact_posterior_network": True}):
        config = dataclasses.replace(BASE, **settings)
        assert not any(w.any() for w in CradleVAE(measured, config).linear_path.weights)


def test_where_no_cell_passes_training_starts_at_the_mean_profile(shape):
    counts = torch.tensor([[0.0] * 7, [7.0, 6, 5, 4, 3, 2, 1]])
    bias = CradleVAE(dataclasses.replace(shape, counts_by_quality=counts), BASE).decoder.output.bias
    torch.testing.assert_close(bias[:6], shape.mean_profile.log())

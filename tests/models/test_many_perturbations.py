"""With more perturbed genes than cells in a batch, a step works out those of the batch."""

import dataclasses

import pytest
import torch

from cradle.batches import Conditions
from cradle.models.config import VAEConfig
from cradle.models.cpa_vae import CPAVAE
from cradle.models.cradle_vae import CradleVAE
from cradle.models.sams_vae import SAMSVAE
from cradle.objectives import evidence_lower_bound

CONFIG = VAEConfig(n_latent=4, n_hidden=8, batch_size=2, encoder_dropout=0.0)


@pytest.fixture(params=[SAMSVAE, CPAVAE, CradleVAE])
def network(request, shape, batch):
    """Three perturbed genes, two cells a batch."""
    torch.manual_seed(0)
    told = dataclasses.replace(shape, perturbed_share=batch.conditions.dosage.mean(0))
    return request.param(told, CONFIG)


def test_over_the_batches_of_an_epoch_the_kl_is_that_of_all_perturbations(network, batch):
    """Its expectation over batches, here each cell by itself, leaves no bias."""
    _, whole = network.global_posterior(1)
    name = "mask" if "mask" in whole else "embedding"  # the one that no sample enters
    parts = [
        network.posterior_for(batch.conditions.at(torch.tensor([i])), 1)[1][name]
        for i in range(len(batch.counts))
    ]
    torch.testing.assert_close(torch.stack(parts).mean(0), whole[name])


def test_only_perturbations_of_the_batch_are_drawn_and_get_a_gradient(network, batch):
    rows = torch.tensor([0, 1, 4])  # control and twice the first gene
    few = batch._replace(
        counts=batch.counts[rows], conditions=batch.conditions.at(rows), counterparts=None
    )
    latents, _ = network.posterior_for(few.conditions, 2)
    assert latents["effect"].shape == (2, 1, 4)
    assert latents["genes"].tolist() == [0]
    evidence_lower_bound(network, few, n_train=5).loss.backward()
    moved = [p.grad.abs().sum(1) for n, p in network.effects.named_parameters() if p.shape[0] == 3]
    assert moved
    for gradient in moved:
        assert (gradient > 0).tolist() == [True, False, False]


def test_the_batch_is_shifted_as_by_all_effects(network, batch):
    few, _ = network.posterior_for(batch.conditions.at(torch.tensor([1, 4])), 1)
    every = torch.zeros(1, 3, 4).index_copy(1, few["genes"], few["effect"])
    whole = {**few, "effect": every}
    del whole["genes"]
    asked = batch.conditions.at(torch.tensor([0, 1, 4]))
    narrow, wide = (network.conditioning(asked, latents)[0] for latents in (few, whole))
    torch.testing.assert_close(narrow, wide)


def test_a_batch_of_control_cells_alone_has_no_effects(network, batch):
    control = Conditions(torch.zeros(4, 3), torch.zeros(4, 1), torch.full((4, 1), 60.0))
    alone = batch._replace(counts=batch.counts[:4], conditions=control, counterparts=None)
    loss = evidence_lower_bound(network, alone, n_train=5).loss
    loss.backward()
    assert torch.isfinite(loss)


def test_all_are_drawn_in_validation_and_where_a_batch_may_hold_all(network, shape, batch):
    told = dataclasses.replace(shape, perturbed_share=batch.conditions.dosage.mean(0))
    large = type(network)(told, dataclasses.replace(CONFIG, batch_size=3))
    for model in (network.eval(), large):
        latents, _ = model.posterior_for(batch.conditions.at(torch.tensor([0, 1])), 1)
        assert latents["effect"].shape == (1, 3, 4)
        assert "genes" not in latents

"""What every network of the registry keeps, whatever its latent variables are."""

import pytest
import torch

from cradle.batches import CellBatch, Conditions
from cradle.models.base import Plate
from cradle.models.registry import MODELS, model_spec
from cradle.objectives import evidence_lower_bound


def test_objective_is_finite_and_a_gradient_reaches_every_parameter(any_network, batch):
    objective = evidence_lower_bound(any_network, batch, n_train=50, n_particles=2)
    assert torch.isfinite(objective.loss)
    objective.loss.backward()
    without = [name for name, p in any_network.named_parameters() if p.grad is None]
    assert without == []
    assert all(p.grad.isfinite().all() for p in any_network.parameters())


def test_every_kl_has_a_plate_and_none_is_negative(any_network, batch):
    objective = evidence_lower_bound(any_network, batch, n_train=50)
    assert objective.kl.keys() == any_network.plates.keys()
    assert all(value >= -1e-6 for value in objective.kl.values())


def test_shapes(any_network, batch):
    latents, kl = any_network.global_posterior(3)
    posterior = any_network.cell_posterior(
        any_network.lift(batch.counts), batch.conditions, latents
    )
    likelihood = any_network.likelihood(posterior.rsample(), batch.conditions, latents)
    assert posterior.loc.shape == (3, 5, 4)
    assert likelihood.mean.shape == (3, 5, 6)
    assert likelihood.log_prob(batch.counts).shape == (3, 5)
    assert all(value.shape == (3,) for value in kl.values())


def test_shares_leave_room_for_the_rest_of_the_transcriptome(any_network, batch):
    latents, _ = any_network.global_posterior(1)
    share = any_network.likelihood(torch.zeros(1, 5, 4), batch.conditions, latents).log_rate.exp()
    assert (share.sum(-1) < 1).all()
    # an untrained decoder starts near the mean profile of the training cells
    torch.testing.assert_close(share.sum(-1), torch.full((1, 5), 0.78), atol=0.1, rtol=0)


def test_loss_falls(any_network, batch):
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(any_network.parameters(), lr=1e-2)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = evidence_lower_bound(any_network, batch, n_train=5).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-20:]) < sum(losses[:20])


def test_permuting_cells_permutes_everything(any_network, batch):
    order = torch.tensor([3, 0, 4, 2, 1])
    latents, _ = any_network.global_posterior(1, torch.Generator().manual_seed(1))
    straight = any_network.cell_posterior(
        any_network.lift(batch.counts), batch.conditions, latents
    ).loc
    permuted = any_network.cell_posterior(
        any_network.lift(batch.counts[order]),
        Conditions(*(value[order] for value in batch.conditions)),
        latents,
    ).loc
    torch.testing.assert_close(permuted, straight[:, order])


def test_global_kl_counts_once_over_a_whole_epoch(any_network, batch):
    """Cells carry 1/n_train each, so an epoch carries the KL of the plates exactly once."""
    shared = [n for n, plate in any_network.plates.items() if plate is not Plate.CELL]
    torch.manual_seed(0)
    _, kl = any_network.global_posterior(1)
    torch.manual_seed(0)
    objective = evidence_lower_bound(any_network, batch, n_train=len(batch.counts))
    for name in shared:
        torch.testing.assert_close(objective.kl[name] * len(batch.counts), kl[name].mean())


def test_weights_survive_a_round_trip(any_network, batch, shape, tmp_path):
    from cradle.runs import load_weights, write_tensors

    row = next(r for r in MODELS.values() if r.generates and r.network is type(any_network))
    write_tensors(tmp_path / "w.safetensors", any_network.state_dict())
    copy = row.network(shape, any_network.config)
    load_weights(copy, tmp_path / "w.safetensors")
    elbo = []
    for network in (any_network, copy):
        torch.manual_seed(5)
        elbo.append(evidence_lower_bound(network, batch, n_train=5).elbo)
    torch.testing.assert_close(*elbo)


def test_batch_without_counterparts_has_no_penalty(any_network, batch):
    bare = CellBatch(batch.counts, batch.conditions)
    assert evidence_lower_bound(any_network, bare, n_train=5).penalties == {}


@pytest.mark.parametrize("name", ["cradle", "cradle-vae", ""])
def test_unknown_model_is_named(name):
    with pytest.raises(ValueError, match="no model of that name"):
        model_spec(name)


def test_baselines_take_no_settings():
    with pytest.raises(ValueError, match="has no settings"):
        MODELS["additive"].config({"n_latent": 3})

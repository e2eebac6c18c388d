"""What every network of the registry keeps, whatever its latent variables are."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from cradle.batches import CellBatch
from cradle.data.dosage import genes_of
from cradle.errors import InputError
from cradle.models.base import CountVAE, Plate
from cradle.models.registry import MODELS, model_spec
from cradle.objectives import evidence_lower_bound
from cradle.runs import Run, load_weights, write_tensors


def test_objective_is_finite_and_a_gradient_reaches_every_parameter(any_network, batch):
    torch.manual_seed(0)
    with torch.no_grad():  # away from the start, which is the optimum of some
        for parameter in any_network.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    objective = evidence_lower_bound(any_network, batch, n_train=50, n_particles=2)
    assert torch.isfinite(objective.loss)
    objective.loss.backward()
    one_kind = any_network.config.artifact_kinds == 1  # whose share is one, whatever its logit
    unmoved = [
        name
        for name, p in any_network.named_parameters()
        if (p.grad is None or not p.grad.any()) and not (one_kind and ".kind" in name)
    ]
    assert unmoved == []
    assert all(p.grad.isfinite().all() for p in any_network.parameters())


def test_the_objective_stays_on_the_device_of_its_cells(any_network, batch):
    any_network.meet_controls(batch)
    # what asks for no device lands on this one, whose tensors mix with no others
    with torch.device("meta"):
        objective = evidence_lower_bound(any_network, batch, n_train=50, n_particles=2)
        objective.loss.backward()
    assert objective.loss.device == batch.counts.device
    assert torch.isfinite(objective.loss)
    assert all(p.grad.isfinite().all() for p in any_network.parameters())


def test_every_kl_has_a_plate_and_none_is_negative(any_network, batch):
    objective = evidence_lower_bound(any_network, batch, n_train=50)
    assert objective.kl.keys() == any_network.plates.keys()
    assert all(value >= -1e-6 for value in objective.kl.values())


def test_shapes(any_network, batch):
    latents, kl = any_network.global_posterior(3)
    posterior = any_network.cell_posterior(
        any_network.lift(batch.counts, batch.conditions.library_size), batch.conditions, latents
    )
    likelihood = any_network.likelihood(posterior.rsample(), batch.conditions, latents)
    assert posterior.loc.shape == (3, 5, 4)
    assert likelihood.expected_log2_cp10k().shape == (3, 5, 6)
    assert likelihood.log_prob(batch.counts).shape == (3, 5)
    assert all(value.shape == (3,) for value in kl.values())


def test_shares_leave_room_for_the_rest_of_the_transcriptome(any_network, batch):
    if not isinstance(any_network, CountVAE):
        pytest.skip("a likelihood of expression, not of counts")
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
    any_network.eval()
    order = torch.tensor([3, 0, 4, 2, 1])
    latents, _ = any_network.global_posterior(1, torch.Generator().manual_seed(1))
    straight = any_network.cell_posterior(
        any_network.lift(batch.counts, batch.conditions.library_size), batch.conditions, latents
    ).loc
    permuted = any_network.cell_posterior(
        any_network.lift(batch.counts[order], batch.conditions.library_size[order]),
        batch.conditions.at(order),
        latents,
    ).loc
    torch.testing.assert_close(permuted, straight[:, order])


def test_working_out_a_dosage_once_a_group_changes_nothing(any_network, batch):
    """What cells of one perturbation share is mapped once; objective and gradients are equal."""
    found = []
    for group in (None, torch.tensor([0, 1, 2, 3, 1])):
        any_network.zero_grad()
        torch.manual_seed(0)
        given = batch._replace(conditions=batch.conditions._replace(group=group))
        objective = evidence_lower_bound(any_network, given, n_train=50, n_particles=2)
        objective.loss.backward()
        found.append([objective.loss, *(p.grad.clone() for p in any_network.parameters())])
    torch.testing.assert_close(found[1], found[0], atol=1e-5, rtol=1e-4)


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
    row = next(r for r in MODELS.values() if r.is_network and r.network is type(any_network))
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


def test_basal_states_follow_the_prior_of_the_cell(any_network, batch):
    """Mean and spread of draws are those of ``cell_prior``, which KL and generation share."""
    latents, _ = any_network.global_posterior(1, torch.Generator().manual_seed(1))
    prior = any_network.cell_prior(batch.conditions, latents)
    noise = torch.randn(20_000, 5, 4, generator=torch.Generator().manual_seed(2))
    drawn = any_network.sample_basal(noise, batch.conditions, latents)
    location, scale = (value.expand(1, 5, 4)[0] for value in (prior.loc, prior.scale))
    torch.testing.assert_close(drawn.mean(0), location, atol=0.04, rtol=0)
    torch.testing.assert_close(drawn.std(0), scale, atol=0.04, rtol=0)


def test_training_improves_the_bound(any_run):
    elbo = any_run.history["val_elbo"]
    assert elbo.iloc[-1] > elbo.iloc[0]


def _measured_pair(run):
    table = run.perturbations
    trained = table[(table["n_train"] > 0) & table["perturbation"].str.contains("+", regex=False)]
    return trained["perturbation"].iloc[0]


def test_a_run_read_again_says_the_same(any_run):
    """Through the directory, not through memory: weights, statistics, design."""
    label = _measured_pair(any_run)
    first, again = (Run.load(any_run.path).predictor() for _ in range(2))
    if any_run.spec.generates:
        one, other = (p.generate(label, 40, seed=3).X.toarray() for p in (first, again))
        np.testing.assert_array_equal(one, other)
    stored = any_run.predicted_effects.rows([label]).mean
    np.testing.assert_allclose(again.treatment_effects([label]).mean, stored, atol=1e-5)


def test_the_order_of_genes_in_a_combination_does_not_matter(any_run):
    predictor, label = any_run.predictor(), _measured_pair(any_run)
    turned = "+".join(reversed(genes_of(label)))
    assert turned != label
    if not any_run.spec.generates:
        one, other = (predictor.treatment_effects([query]) for query in (label, turned))
        assert one.perturbations == other.perturbations == (label,)
        np.testing.assert_array_equal(one.mean, other.mean)
        return
    one, other = (predictor.generate(query, 30, seed=1) for query in (label, turned))
    assert set(other.obs["perturbation"]) == {label}
    np.testing.assert_array_equal(one.X.toarray(), other.X.toarray())


def test_an_unseen_combination_is_answered_or_refused_before_anything_is_drawn(any_run):
    predictor, (pair,) = any_run.predictor(), any_run.held_out[:1]
    assert all(gene in any_run.perturbed_genes for gene in genes_of(pair))
    if any_run.spec.combinations:
        assert np.isfinite(predictor.treatment_effects([pair]).mean).all()
        if any_run.spec.generates:
            assert predictor.generate(pair, 5).n_obs == 5
        assert pair in any_run.predicted_effects.applicable
        assert any_run.metrics["test"]["n_perturbations"] == len(any_run.held_out)
        return
    for ask in (lambda: predictor.generate(pair, 5), lambda: predictor.treatment_effects([pair])):
        with pytest.raises(InputError, match="not trained on"):
            ask()
    # not applicable is said, and is not a score
    assert any_run.metrics["test"] is None
    assert any_run.metrics["record"]["not_applicable"]["test"] == list(any_run.held_out)
    assert np.isnan(any_run.predicted_effects.rows([pair]).mean).all()
    assert any_run.metrics["floor"]["additive"]["test"]["ate_rho"] is not None
    assert any_run.metrics["train"]["ate_rho"] is not None


def test_no_counts_are_drawn_from_a_likelihood_of_expression(any_run):
    predictor, metrics = any_run.predictor(), any_run.metrics
    assert isinstance(predictor.model, CountVAE) == (any_run.spec.space == "counts")
    if any_run.spec.space == "counts":
        assert predictor.generate("control", 3).n_obs == 3
        return
    with pytest.raises(InputError, match="generates no cells"):
        predictor.generate("control", 3)
    assert metrics["train"]["qcpr"] is None
    assert metrics["train"]["wasserstein"] is None
    assert "expression" in metrics["record"]["qcpr"]
    assert metrics["train"]["ate_rho"] is not None


def test_a_gene_never_seen_is_refused(any_run):
    with pytest.raises(InputError, match="not known"):
        any_run.predictor().generate("NOSUCHGENE", 5)


def test_an_artifact_is_switched_where_there_is_one(any_run):
    predictor = any_run.predictor()
    if any_run.spec.artifact:
        assert predictor.generate("control", 4, artifact="twins").n_obs == 8
    else:
        with pytest.raises(InputError, match="no artifact"):
            predictor.generate("control", 4, artifact="on")


def test_intervals_are_those_of_shared_variables(any_run):
    """A model without a variable shared between cells has no posterior over effects."""
    effects = any_run.predicted_effects
    shared = set(any_run.predictor().model.plates.values()) != {Plate.CELL}
    assert (effects.lower is not None) == shared
    if shared:
        answered = effects.rows(effects.applicable)
        assert (answered.upper > answered.lower).mean() > 0.99


def test_the_registry_loads_no_network():
    """Pages name every model; torch costs a second that they need not pay."""
    code = "import sys; import cradle.models.registry as r; r.MODELS['cradle_vae'].generates; "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", ["cradle", "cradle-vae", ""])
def test_unknown_model_is_named(name):
    with pytest.raises(ValueError, match="no model of that name"):
        model_spec(name)


def test_baselines_take_no_settings():
    with pytest.raises(ValueError, match="has no settings"):
        MODELS["additive"].config({"n_latent": 3})

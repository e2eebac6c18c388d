"""Inside a PerturbedVAE: tables tell the parameters, and probes tell only what is there."""

import numpy as np
import pandas as pd
import pytest
import torch

from cradle.data.preparation import prepare
from cradle.errors import InputError
from cradle.fitting import fit
from cradle.inside_blocks import (
    MAX_CELLS,
    block_states,
    components,
    edge_table,
    probe,
    probed_cells,
    program_table,
    shift_table,
    strongest,
)

QUICK = {"n_responsive": 3, "n_invariant": 5, "n_hidden": 16, "batch_size": 128}


@pytest.fixture(scope="module")
def run(_small_screen, tmp_path_factory):
    out = tmp_path_factory.mktemp("blocks") / "run"
    return fit(_small_screen.copy(), "perturbed_vae", QUICK, out=out, epochs=2)


@pytest.fixture
def predictor(run):
    """A mechanism that is anything but zero; read anew for each test."""
    found = run.predictor()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in found.model.mechanism.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return found


@pytest.fixture(scope="module")
def cells(_small_screen, run):
    adata = prepare(_small_screen).adata[:, list(run.genes)]
    known = [run.design.expresses(label) for label in adata.obs["perturbation"].astype(str)]
    return adata[np.array(known)].copy()


@pytest.mark.parametrize("which", ["control", 0])
def test_edges_are_the_parameters(predictor, which):
    genes = predictor.design.columns
    label = which if which == "control" else genes[which]
    table = edge_table(predictor, label)
    edges = predictor.model.mechanism.edges.detach().numpy()
    wanted = edges[0] + (0 if label == "control" else edges[1 + genes.index(label)])
    assert len(table) == 3
    for row in table.itertuples():
        assert row.source < row.target
        assert row.weight == pytest.approx(wanted[row.target - 1, row.source - 1], rel=1e-5)
    assert table["weight"].abs().is_monotonic_decreasing


def test_shifts_are_those_of_the_mean_in_units_of_the_control_cells(predictor):
    """With one edge and no input the mean of z_ν is A⁻¹μ, its covariance A⁻¹ diag(β) A⁻ᵀ."""
    mechanism = predictor.model.mechanism
    with torch.no_grad():
        mechanism.inputs.zero_()
        mechanism.edges.zero_()
        mechanism.edges[0, 2, 0] = 0.8
        mechanism.log_variance[1:] = 0
    table = shift_table(predictor)
    assert list(table.index) == list(predictor.design.columns)
    assert list(table.columns) == [1, 2, 3]
    location = mechanism.location.detach().numpy()[1:]
    beta = np.exp(mechanism.log_variance.detach().numpy()[0])
    moved = location.copy()
    moved[:, 2] += 0.8 * location[:, 0]
    spread = np.sqrt(beta + np.array([0, 0, 0.8**2 * beta[0]]))
    np.testing.assert_allclose(table, moved / spread, rtol=0.12)


def test_the_strongest_gene_is_that_of_the_largest_shift_either_way():
    table = pd.DataFrame([[0.1, -3.0], [-2.0, 1.0]], index=["A", "B"], columns=[1, 2])
    found = strongest(table)
    assert found.to_dict("list") == {"latent": [1, 2], "gene": ["B", "A"], "shift": [-2.0, -3.0]}


def test_programs_of_a_linear_decoder_are_its_weights(predictor):
    model = predictor.model
    with torch.no_grad():
        model.decoder.output.weight.zero_()
        model.mechanism.edges.zero_()
        model.mechanism.inputs.zero_()
    table = program_table(predictor)
    assert len(table) == 3 * len(predictor.genes)
    beta = model.mechanism.log_variance[0].exp().detach().numpy()
    weights = model.linear_path.weight.detach().numpy()
    for latent, own in table.groupby("latent"):
        assert own["change"].abs().is_monotonic_decreasing
        found = own.set_index("gene").loc[list(predictor.genes), "change"].to_numpy()
        wanted = weights[:, latent - 1] * np.sqrt(beta[latent - 1]) / np.log(2)
        ratio = found @ wanted / (wanted @ wanted)
        assert ratio == pytest.approx(1, abs=0.1), "the spread of 512 draws"
        np.testing.assert_allclose(found, ratio * wanted, atol=1e-4)


def test_only_the_labelled_block_is_told_of_the_label(predictor, cells):
    there = block_states(predictor, cells)
    other = cells.copy()
    gene = predictor.design.columns[0]
    other.obs["perturbation"] = pd.Categorical([gene] * cells.n_obs)
    moved = block_states(predictor, other)
    np.testing.assert_allclose(moved.invariant, there.invariant, atol=1e-6)
    np.testing.assert_allclose(moved.unlabelled, there.unlabelled, atol=1e-6)
    changed = (cells.obs["perturbation"].astype(str) != gene).to_numpy()
    assert (np.abs(moved.responsive - there.responsive)[changed].max(axis=1) > 1e-3).all()
    control = (cells.obs["perturbation"].astype(str) == "control").to_numpy()
    np.testing.assert_allclose(
        there.responsive[control], there.unlabelled[control], rtol=1e-4, atol=1e-5
    )
    assert there.kl.shape == (5,)
    assert (there.kl >= 0).all()


def test_cells_over_other_genes_are_refused(predictor, cells):
    with pytest.raises(InputError, match="modelled genes in their order"):
        block_states(predictor, cells[:, ::-1])


def test_probed_cells_are_enough_and_not_too_many():
    labels = pd.Series(["control"] * 250 + ["A"] * 40 + ["B"] * 9 + ["C"] * 30)
    rows = probed_cells(labels, {"control", "A", "B"})
    assert labels[rows].value_counts().to_dict() == {"control": MAX_CELLS, "A": 40}
    assert len(set(rows)) == len(rows)
    assert len(probed_cells(labels, set())) == 0
    many = pd.Series([f"g{i}" for i in range(50) for _ in range(10 + i)] + ["control"] * 10)
    kept = set(many[probed_cells(many, set(many))])
    assert "control" in kept
    assert "g49" in kept
    assert "g0" not in kept


def test_a_probe_finds_what_is_there_and_nothing_else():
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c", "d"], 100)
    code = np.repeat(np.eye(4), 100, axis=0)
    depth = rng.lognormal(8, 0.5, 400)
    telling = np.column_stack([code + 0.05 * rng.normal(size=(400, 4)), np.log(depth)])
    found = probe(telling, labels, depth)
    assert found["accuracy"] == pytest.approx(1)
    assert found["depth_r2"] > 0.99
    assert found["shuffled"] == pytest.approx(0.25, abs=0.08)
    silent = probe(rng.normal(size=(400, 4)), labels, depth)
    assert silent["accuracy"] == pytest.approx(0.25, abs=0.06)
    assert silent["low"] <= silent["accuracy"] <= silent["high"]
    assert silent["depth_r2"] < 0.1


def test_components_never_ask_for_more_than_there_are():
    rng = np.random.default_rng(0)
    assert components(rng.normal(size=(20, 8)), 105).shape == (20, 7)
    assert components(rng.normal(size=(6, 30)), 3).shape == (6, 3)

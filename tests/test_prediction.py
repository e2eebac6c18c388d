"""What a predictor says, checked against the model's own definition."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cradle.data.preparation import prepare
from cradle.errors import InputError
from cradle.evaluation.effects import POSTERIOR_ALONE
from cradle.fitting import fit
from cradle.nn.likelihoods import GammaPoisson, sample_coupled

QUICK = {"n_latent": 8, "n_hidden": 16, "batch_size": 128, "learning_rate": 5e-3}


@pytest.fixture(scope="module")
def run(_small_screen, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return fit(_small_screen.copy(), "cradle_vae", QUICK, out=out, epochs=8)


@pytest.fixture(scope="module")
def predictor(run):
    return run.predictor()


def test_generated_cells_are_counts_with_their_conditions(run, predictor):
    pair = run.held_out[0]
    cells = predictor.generate(pair, 70, seed=3)
    assert cells.shape == (70, len(run.genes))
    assert (cells.X.data == np.round(cells.X.data)).all()
    assert cells.X.min() >= 0
    assert set(cells.obs["perturbation"]) == {pair}
    assert set(cells.obs["artifact"]) == {"off"}
    passing = run.library_sizes.query("artifact == 0")["library_size"]
    assert cells.obs["library_size"].isin(passing).all()
    assert cells.obs["qc_fail"].dtype == bool


def test_counts_scatter_about_their_means(predictor):
    cells = predictor.generate("control", 2000, seed=0)
    mean = cells.layers["mean"]
    theta = np.exp(predictor.model.log_theta.detach().numpy())
    z = (cells.X.toarray() - mean) / np.sqrt(mean + mean**2 / theta)
    assert np.abs(z.mean(0)).max() < 6 / np.sqrt(2000)
    assert z.var() == pytest.approx(1, abs=0.1)


def test_order_of_genes_and_seed(run, predictor):
    a, b = run.held_out[0].split("+")
    first, same = predictor.generate(f"{a}+{b}", 20), predictor.generate(f"{b}+{a}", 20)
    assert (first.X != same.X).nnz == 0
    assert (first.X != predictor.generate(f"{a}+{b}", 20, seed=1).X).nnz > 0


def test_twins_share_everything_but_the_artifact(predictor):
    twins = predictor.generate("control", 40, artifact="twins", seed=0)
    off, on = twins[:40], twins[40:]
    np.testing.assert_array_equal(off.obs["library_size"], on.obs["library_size"])
    np.testing.assert_array_equal(off.obs["twin"], on.obs["twin"])
    assert set(off.obs["artifact"]) == {"off"}
    assert set(on.obs["artifact"]) == {"on"}
    # the off half is what the same seed gives without twins
    alone = predictor.generate("control", 40, artifact="off", seed=0)
    np.testing.assert_allclose(off.layers["mean"], alone.layers["mean"], rtol=1e-6)
    # more expected counts never mean fewer counts: the noise is shared
    more = off.layers["mean"] < on.layers["mean"]
    assert (off.X.toarray()[more] <= on.X.toarray()[more]).all()


def test_coupled_samples_have_the_right_marginals():
    log_theta = torch.tensor([0.5])
    likelihoods = [
        GammaPoisson(torch.full((1, 100_000, 1), value), torch.full((100_000, 1), 100.0), log_theta)
        for value in (-4.0, -3.0)
    ]
    drawn = sample_coupled(likelihoods, torch.Generator().manual_seed(0))
    for counts, likelihood in zip(drawn, likelihoods, strict=True):
        mean = float(likelihood.mean[0, 0, 0])
        variance = mean + mean**2 / float(log_theta.exp())
        assert float(counts.mean()) == pytest.approx(mean, abs=5 * (variance / 1e5) ** 0.5)
        assert float(counts.var()) == pytest.approx(variance, rel=0.05)


def test_treatment_effects_agree_with_sampled_cells(run, predictor):
    """Integrated expectations against brute force over generated counts."""
    label = run.perturbed_genes[0]
    effects = predictor.treatment_effects([label], n_draws=32, n_cells=512)
    treated, control = (predictor.generate(q, 40_000, seed=1) for q in (label, "control"))

    def level(cells):
        x = cells.X.multiply(1e4 / cells.obs["library_size"].to_numpy()[:, None]).tocsr()
        x.data = np.log2(1 + x.data)
        dense = x.toarray()
        return dense.mean(0), dense.var(0) / len(dense)

    (m1, v1), (m0, v0) = level(treated), level(control)
    error = effects.mean[0] - (m1 - m0)
    # the posterior draws are other ones, so the error is a few times that of sampling counts
    assert np.sqrt((error**2).mean()) < 3 * np.sqrt((v1 + v0).mean())


def test_intervals_are_student_intervals_of_the_draws(run, predictor):
    """Gaussian effects across draws: 95 % of new draws fall into the interval."""
    from scipy import stats

    label = run.perturbed_genes[0]
    predictor = replace(predictor, widening=POSTERIOR_ALONE)
    few = predictor.treatment_effects(label, n_draws=4, n_cells=16)
    half = (few.upper - few.lower) / 2
    ratio = stats.t.ppf(0.975, 3) * np.sqrt(1 + 1 / 4)
    np.testing.assert_allclose(few.mean, (few.upper + few.lower) / 2, atol=1e-6)
    wide = predictor.treatment_effects(label, n_draws=4, n_cells=16, interval=0.5)
    expected = stats.t.ppf(0.75, 3) * np.sqrt(1 + 1 / 4) / ratio
    np.testing.assert_allclose((wide.upper - wide.lower) / 2, half * expected, rtol=1e-4, atol=1e-7)


def test_cells_over_other_genes_are_refused(predictor, screen):
    cells = prepare(screen).adata
    with pytest.raises(InputError, match="genes in their order"):
        predictor.embed(cells[:, ::-1])


def test_effect_of_control_is_zero_and_intervals_hold_the_mean(run, predictor):
    effects = predictor.treatment_effects(["control", run.perturbed_genes[0]])
    assert np.abs(effects.mean[0]).max() == 0
    assert (effects.lower <= effects.upper).all()


def test_counterfactual_of_observed_cells_flips_the_artifact(run, predictor, screen):
    cells = prepare(screen).adata
    failed = cells[cells.obs["qc_fail"]][:30].copy()
    flipped = predictor.counterfactual(failed)
    assert set(flipped.obs["artifact"]) == {"off"}
    assert list(flipped.obs_names) == list(failed.obs_names)
    assert np.abs(flipped.layers["mean"] - flipped.layers["reconstruction"]).max() > 0
    assert predictor.embed(failed).shape == (30, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"query": "NOSUCHGENE"}, "NOSUCHGENE"),
        ({"n_cells": 0}, "number of cells"),
        ({"artifact": "maybe"}, "artifact switch"),
        ({"library_size": -1.0}, "library size"),
    ],
)
def test_bad_requests_are_refused(predictor, arguments, message):
    with pytest.raises(InputError, match=message):
        predictor.generate(**{"query": "control", "n_cells": 5, **arguments})


def test_a_model_without_an_artifact_says_so(screen, tmp_path):
    run = fit(screen, "sams_vae", QUICK, out=tmp_path / "run", epochs=1)
    assert run.predictor().generate("control", 3).n_obs == 3
    with pytest.raises(InputError, match="no artifact"):
        run.predictor().generate("control", 3, artifact="on")

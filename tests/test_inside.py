"""Inside a model: what is told is what the model's own parameters and predictions say."""

import numpy as np
import pytest
import torch

from cradle.data.preparation import prepare
from cradle.data.qc import judge_generated
from cradle.errors import InputError
from cradle.fitting import fit
from cradle.inside import (
    artifact_genes,
    artifact_vector,
    kinds_of,
    mask_table,
    without_artifact,
)

QUICK = {"n_latent": 8, "n_hidden": 32, "batch_size": 128, "learning_rate": 5e-3}


@pytest.fixture(scope="module")
def runs(_small_screen, tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def run(model, epochs=1, **options):
        key = (model, *options)
        if key not in made:
            out = folder / "_".join(key)
            made[key] = fit(_small_screen.copy(), model, QUICK, out=out, epochs=epochs, **options)
        return made[key]

    return run


@pytest.fixture(scope="module")
def predictor(runs):
    return runs("cradle_vae", 25).predictor()


@pytest.fixture(scope="module")
def failed(_small_screen, predictor):
    cells = prepare(_small_screen).adata[:, list(predictor.genes)]
    known = cells.obs["perturbation"].astype(str).isin(["control", *predictor.design.columns])
    return cells[(cells.obs["qc_fail"].astype(bool) & known).to_numpy()].copy()


@pytest.mark.parametrize("model", ["cradle_vae", "sams_vae", "svae_plus"])
def test_mask_probabilities_are_the_frequencies_of_drawn_masks(runs, model):
    predictor = runs(model, 25 if model == "cradle_vae" else 1).predictor()
    with torch.no_grad():  # some on, some off, some open
        logits = dict(predictor.model.named_parameters())
        name = next(n for n in logits if n.endswith("mask_logits"))
        spread = torch.linspace(-3, 3, logits[name].numel()).reshape(logits[name].shape)
        logits[name].copy_(spread)
    table = mask_table(predictor)
    assert list(table["perturbation"].unique()) == list(predictor.design.columns)
    n_draws = 4000
    latents, _ = predictor.model.global_posterior(n_draws, torch.Generator().manual_seed(1))
    seen = latents["mask"].mean(0).flatten().detach().numpy()
    se = np.sqrt(table["probability"] * (1 - table["probability"]) / n_draws)
    assert (np.abs(seen - table["probability"]) < 5 * se).all()
    off = table["probability"] < 0.06
    assert off.any()
    assert table.loc[off, "shift"].abs().mean() <= table.loc[~off, "shift"].abs().mean()


def test_a_model_without_masks_has_an_empty_table(runs):
    assert mask_table(runs("cpa_vae").predictor()).empty


def test_the_artifact_vector_is_where_its_draws_are(predictor):
    table = artifact_vector(predictor)
    latents, _ = predictor.model.global_posterior(4000, torch.Generator().manual_seed(0))
    shares = predictor.model.artifact_shares().detach().numpy()
    order = np.argsort(-shares, kind="stable")
    draws = latents["artifact"][:, order].detach().numpy().reshape(4000, -1)
    np.testing.assert_allclose(table["mean"], draws.mean(0), atol=5 * table["sd"].max() / 60)
    inside = (draws > table["lower"].to_numpy()) & (draws < table["upper"].to_numpy())
    assert inside.mean() == pytest.approx(0.95, abs=0.01)
    told = table.groupby("kind")["share"].first()
    np.testing.assert_allclose(told, shares[order])
    assert told.sum() == pytest.approx(1)


def test_a_learned_vector_has_no_uncertainty(runs):
    predictor = runs("cradle_vae_no_causal").predictor()
    table = artifact_vector(predictor)
    location = predictor.model.artifact.location.detach().numpy()
    drawn = table["mean"].to_numpy().reshape(location.shape)
    np.testing.assert_array_equal(np.sort(drawn, axis=0), np.sort(location, axis=0))
    assert (table["sd"] == 0).all()
    assert (table["lower"] == table["upper"]).all()


def test_artifact_genes_agree_with_twins_of_control_cells(predictor):
    table = artifact_genes(predictor, n_cells=128)
    table = table[table["kind"] == 0].set_index("gene").loc[list(predictor.genes)]
    twins = predictor.generate("control", 3000, artifact="twins", seed=5)
    scaled = np.log2(1 + 1e4 * twins.X.toarray() / twins.obs["library_size"].to_numpy()[:, None])
    drawn = scaled[3000:].mean(0) - scaled[:3000].mean(0)
    assert np.corrcoef(drawn, table["change"])[0, 1] > 0.95
    assert ((table["lower"] < table["change"]) & (table["change"] < table["upper"])).all()
    few = artifact_genes(predictor, n_draws=4, n_cells=8)
    strongest = few.loc[few["kind"] == 2, "change"].abs()
    assert strongest.is_monotonic_decreasing


def test_the_kind_of_a_cell_is_the_most_probable_one(predictor, failed):
    found = kinds_of(predictor, failed, n_draws=200)
    shares = predictor.model.artifact_shares().detach().numpy()
    order = np.argsort(-shares, kind="stable")  # kinds count from the most common one
    with torch.no_grad():
        lifted, conditions = predictor.lifted(failed, slice(0, failed.n_obs))
        logits, _ = predictor.model.artifact.infer_kind(lifted, conditions.artifact)
    probability = logits.softmax(-1).numpy()[:, order]
    clear = np.sort(probability, axis=1)[:, -1] > 0.6
    assert clear.any()
    np.testing.assert_array_equal(found[clear], probability.argmax(axis=1)[clear] + 1)


def test_the_counterfactual_of_a_cell_is_the_predictors_own(predictor, failed):
    cell = failed[:1]
    told = without_artifact(predictor, cell, n_draws=2, seed=4)
    size = cell.obs["library_size"].iloc[0]
    genes = told.genes.set_index("gene").loc[list(predictor.genes)]
    for layer, column in (("reconstruction", "before"), ("mean", "after")):
        parts = [predictor.counterfactual(cell, seed=4 + k).layers[layer][0] for k in range(2)]
        want = np.mean([np.log2(1 + 1e4 * x / size) for x in parts], axis=0)
        np.testing.assert_allclose(genes[column], want, rtol=1e-5)
    np.testing.assert_allclose(genes["change"], genes["after"] - genes["before"], atol=1e-5)
    counts = cell.X.toarray()[0]
    np.testing.assert_allclose(genes["observed"], np.log2(1 + 1e4 * counts / size), rtol=1e-5)
    assert told.genes["change"].abs().is_monotonic_decreasing


def test_criteria_are_judged_by_the_run_and_hold_the_drawn_cells(predictor, failed):
    cell = failed[:1]
    table = without_artifact(predictor, cell, n_draws=4).criteria.set_index("criterion")
    assert tuple(table.index) == predictor.thresholds.generable
    bare = cell.copy()
    bare.obs = bare.obs[["library_size"]].copy()
    judged = judge_generated(bare, predictor.thresholds)
    for criterion, row in table.iterrows():
        assert row["observed"] == judged[criterion].iloc[0]
        for state in ("before", "after"):
            assert row[f"{state}_low"] <= row[state] <= row[f"{state}_high"]
            assert 0 <= row[f"{state}_percent_failing"] <= 100


def test_without_the_artifact_fewer_mitochondrial_cells_fail(predictor, failed):
    """The simulator's broken cells carry a raised mitochondrial share."""
    broken = failed[(failed.obs["fails_mt_percent"] == 1).to_numpy()][:8]
    assert broken.n_obs >= 4
    rows = [
        without_artifact(predictor, broken[i : i + 1], n_draws=4)
        .criteria.set_index("criterion")
        .loc["mt_percent"]
        for i in range(broken.n_obs)
    ]
    assert np.mean([row["after"] - row["before"] for row in rows]) < 0
    before = np.mean([row["before_percent_failing"] for row in rows])
    assert np.mean([row["after_percent_failing"] for row in rows]) < before


def test_what_cannot_be_answered_is_refused(runs, predictor, failed):
    with pytest.raises(InputError, match="of one cell that failed"):
        without_artifact(predictor, failed[:2])
    passing = failed[:1].copy()
    passing.obs["qc_fail"] = False
    with pytest.raises(InputError, match="of one cell that failed"):
        without_artifact(predictor, passing)
    sams = runs("sams_vae").predictor()
    for ask in (artifact_vector, artifact_genes, lambda p: without_artifact(p, failed[:1])):
        with pytest.raises(InputError, match="no artifact to switch"):
            ask(sams)
    clean = runs("cradle_vae", train_cells="passing").predictor()
    with pytest.raises(InputError, match="has not learned an artifact"):
        artifact_vector(clean)

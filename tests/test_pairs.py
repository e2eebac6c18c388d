"""Interactions of a run: observed and predicted pairs, support, and what to measure next."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cradle import pairs
from cradle.effect_draws import effect_draws
from cradle.evaluation.effects import draw_margin
from cradle.evaluation.moments import observed_effects
from cradle.evaluation.standing import UNCLEAR, standing
from cradle.evaluation.strata import Batches
from cradle.fitting import fit
from cradle.pairs import SIDE, expressed, interaction_table
from cradle.runs import Run
from cradle.ui import pair_store

QUICK = {"n_latent": 6, "n_hidden": 16, "batch_size": 128}
SHIPPED = Path(__file__).resolve().parents[1] / "assets" / "runs"


@pytest.fixture(scope="module")
def run(_small_screen, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return fit(_small_screen.copy(), "cradle_vae", QUICK, out=out, epochs=3)


@pytest.fixture(scope="module")
def table(run):
    return interaction_table(run)


def test_treatment_effects_are_the_mean_and_the_interval_of_the_draws(run):
    predictor = run.predictor()
    labels = list(run.perturbations["perturbation"][1:3])
    draws = np.stack([*effect_draws(predictor, labels, n_draws=5, n_cells=8, seed=2)], axis=1)
    effects = predictor.treatment_effects(labels, n_draws=5, n_cells=8, seed=2)
    np.testing.assert_array_equal(draws.mean(axis=0), effects.mean)
    margin = predictor.widening.of(draw_margin(draws))
    np.testing.assert_array_equal(effects.mean - margin, effects.lower)
    np.testing.assert_array_equal(effects.mean + margin, effects.upper)


def test_every_pair_of_genes_is_there_once(run, table):
    wanted = {"+".join(pair) for pair in itertools.combinations(sorted(run.perturbed_genes), 2)}
    assert set(table["pair"]) == wanted
    assert len(table) == len(wanted)
    known = set(run.perturbations["perturbation"])
    assert set(table.loc[table["measured"], "pair"]) == wanted & known


def test_support_and_cells_are_those_of_the_run(run, table):
    rows = table.set_index("pair")
    assert (rows.loc[~rows["measured"], "support"] == "never measured").all()
    assert all(rows["support"][pair] == run.support(pair) for pair in rows.index)
    cells = run.perturbations.set_index("perturbation")["n_train"]
    first = rows.iloc[0]["first"]
    carrying = sum(n for label, n in cells.items() if first in label.split("+"))
    assert rows.iloc[0]["n_first"] == carrying


def test_unmeasured_pairs_are_ranked_by_what_is_certain(table):
    unmeasured = table[~table["measured"]]
    assert unmeasured["strength_low"].is_monotonic_decreasing
    assert (unmeasured["strength_low"] <= unmeasured["strength"]).all()
    assert unmeasured["observed_class"].isna().all()
    assert {f"{side}_{name}" for side in ("observed", "predicted") for name in SIDE} <= set(table)


def test_expressed_genes_have_the_stated_mean(run, screen):
    train = run.split[run.split == "train"].index
    counts = screen[train, list(run.genes)]
    shares = counts.X.toarray() / counts.obs["library_size"].to_numpy()[:, None]
    mean = shares.mean(axis=0) * counts.obs["library_size"].mean()
    assert (expressed(run) == (mean >= 0.05))[np.abs(mean - 0.05) > 1e-3].all()


def test_a_baseline_predicts_no_interactions_and_the_observed_ones_stay(screen, tmp_path):
    run = fit(screen, "additive", out=tmp_path / "additive")
    table = interaction_table(run)
    assert table["predicted_class"].isna().all()
    assert table["strength"].isna().all()
    assert table["observed_class"].notna().any()


@pytest.mark.parametrize("of", ["the pair", "a gene", "control"])
def test_no_class_is_read_off_a_handful_of_cells(run, table, of, monkeypatch):
    judged = table[table["observed_class"].notna()].iloc[0]
    label = {"the pair": judged["pair"], "a gene": judged["first"], "control": "control"}[of]
    groups = run.moments.groups
    own = groups["perturbation"].astype(str) == label
    only = own.cumsum() == 1
    few = replace(
        run.moments, batches=None,
        groups=groups[~own | only].assign(n_cells=lambda t: t["n_cells"].where(
            t["perturbation"].astype(str) != label, 1)),
        mean=run.moments.mean[~own | only], m2=run.moments.m2[~own | only],
    )  # fmt: skip
    monkeypatch.setitem(run.__dict__, "moments", few)
    rows = interaction_table(run).set_index("pair")
    row = rows.loc[judged["pair"]]
    assert row["observed_class"] == "undetermined"
    assert row["observed_reason"] == f"{label} has 1 of 10 cells that are needed"
    assert np.isnan(row["observed_scale"])
    assert standing(rows, "observed")[judged["pair"]] == UNCLEAR
    assert row["predicted_n_genes"] > 0  # the prediction has genes of its own


def test_replicates_spread_as_their_standard_error_says(run, monkeypatch):
    """Also where a pair lies in one batch with a few controls, whose noise all three share."""
    n_groups, n_genes = run.moments.mean.shape
    cells = np.zeros((n_groups, 2), np.float32)
    sizes = run.moments.groups["n_cells"].to_numpy()
    label = run.moments.groups["perturbation"].astype(str)
    cells[:, 1] = np.where(label == "control", 0.1, np.where(label.str.contains(r"\+"), 0.9, 0.5))
    cells[:, 1] *= sizes
    cells[:, 0] = sizes - cells[:, 1]
    error = np.random.default_rng(1).uniform(0.05, 0.5, (2, n_genes)).astype(np.float32)
    moments = replace(run.moments, batches=Batches(cells, error))
    judged = []
    monkeypatch.setitem(run.__dict__, "moments", moments)
    monkeypatch.setattr(pairs, "N_BOOTSTRAPS", 4000)
    monkeypatch.setattr(pairs, "_predicted", lambda *_: {})
    real = pairs._judged
    monkeypatch.setattr(
        pairs, "_judged", lambda e, used: judged.append(e) or real([x[:3] for x in e], used)
    )
    table = interaction_table(run)
    pair = table.loc[table["observed_class"].notna(), "pair"].iloc[0]
    found = observed_effects(moments)
    first = next(row for row in judged if np.allclose(row[2][0], found.rows([pair]).mean[0]))
    np.testing.assert_allclose(first[2][1:].std(axis=0), found.rows([pair]).se[0], rtol=0.06)
    # a pair and its gene, 0.8 and 0.4 further in the second batch than control
    together = np.cov(first[0][1:, 0], first[2][1:, 0])[0, 1]
    pooled = moments.pool(labels=["control"])
    own = pooled.var[0, 0] / pooled.n[0]
    assert together == pytest.approx(0.8 * 0.4 * float(error[:, 0].sum()) + own, rel=0.15)


def test_bootstrap_of_cells_and_its_normal_limit_agree(real_data):
    """The observed replicates are drawn from means and variances; resampled cells spread alike."""
    from cradle.data.sources import load
    from cradle.evaluation.moments import log2_expression

    adata = load(real_data("norman2019_subset.h5ad"))
    rows = (adata.obs["perturbation"] == "KLF1").to_numpy()
    x = log2_expression(adata.X[rows], adata.obs["library_size"].to_numpy(float)[rows]).toarray()
    weights = np.random.default_rng(0).multinomial(len(x), np.full(len(x), 1 / len(x)), 2000)
    resampled = (weights @ x / len(x)).std(axis=0)
    limit = x.std(axis=0, ddof=1) / np.sqrt(len(x))
    used = x.mean(axis=0) > 0.5
    np.testing.assert_allclose(resampled[used], limit[used], rtol=0.1)


def test_simulated_interactions_are_told_from_additive_pairs():
    """The shipped screen: interacting pairs lie further from the sum than any additive one."""
    path = SHIPPED / "demo_cradle_vae"
    table = pair_store.table(str(path))
    assert table is not None, "run python -m scripts.build_interactions"
    rows = table[table["observed_class"].notna()].set_index("pair")
    off = (rows["observed_scale"] - 1).abs()
    interacting = (Run.load(path).metrics or {})["truth"]["interacting_pairs"]
    assert off[interacting].min() > 0.2
    assert off.drop(interacting).max() < 0.2


@pytest.mark.parametrize("name", sorted(p.parent.name for p in SHIPPED.glob("*/DONE")))
def test_shipped_runs_come_with_their_pairs(name):
    table = pair_store.table(str(SHIPPED / name))
    assert table is not None, "run python -m scripts.build_interactions"
    genes = Run.load(SHIPPED / name).perturbed_genes
    assert len(table) == len(genes) * (len(genes) - 1) // 2
    assert isinstance(table, pd.DataFrame)
    assert table["predicted_class"].notna().all()

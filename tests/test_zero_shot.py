"""All pairs from single perturbations: nothing of them is seen, and the scores are whole."""

import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks import study, zero_shot
from cradle.benchmark.tables import KEYS
from cradle.data.sources import load
from cradle.evaluation.unpaired import UNPAIRED_METRICS
from cradle.runs import Run

MODELS = ("perturbed_vae", "svae_plus", "additive")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small simulated study: its table, and the folder of its runs."""
    folder = tmp_path_factory.mktemp("zero_shot")
    arguments = ["--studies", "simulated_zero_shot", "--models", ",".join(MODELS), "--epochs", "1",
                 "--set", "n_hidden=16", "--n-cells", "500", "--n-genes", "250",
                 "--n-perturbations", "4", "--n-pairs", "3", "--work", str(folder)]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "TABLES", folder / "tables")
        patch.setattr(sys, "argv", ["zero_shot", *arguments])
        zero_shot.main()
        return study.read_table("simulated_zero_shot"), folder / "simulated_zero_shot" / "seed0"


def test_every_combination_is_held_out(made):
    _, folder = made
    run = Run.load(folder / "runs" / "perturbed_vae-all-mad3-fold0-seed0")
    pairs = run.perturbations["perturbation"].str.contains("+", regex=False)
    assert pairs.sum() == 3
    assert (run.perturbations.loc[pairs, ["n_train", "n_val"]] == 0).all(axis=None)
    assert (run.perturbations.loc[~pairs, "n_train"] > 0).all()


def test_the_scores_stand_beside_all_others_and_inapplicable_is_empty(made):
    table, _ = made
    assert not table.duplicated(list(KEYS)).any()
    wide = table[(table["split"] == "test")].pivot_table(
        index="model", columns="metric", values="value", dropna=False
    )
    names = [*UNPAIRED_METRICS, "variance_ratio"]
    assert np.isfinite(wide.loc[["perturbed_vae", "additive"], [*names, "ate_rho"]]).all(axis=None)
    assert wide.loc["svae_plus", names].isna().all()
    assert wide.loc["ceiling", "variance_ratio"] == pytest.approx(1)
    assert wide.loc["ceiling", "profile_r2"] == pytest.approx(1)
    for model in ("perturbed_vae", "additive"):
        assert wide.loc[model, "profile_rmse"] >= wide.loc["ceiling", "profile_rmse"]
        assert wide.loc[model, "cell_rmse"] >= wide.loc[model, "profile_rmse"]


def test_what_a_model_of_expression_draws_agrees_with_its_effects(made):
    _, folder = made
    run = Run.load(folder / "runs" / "perturbed_vae-all-mad3-fold0-seed0")
    pair = run.held_out[0]
    control = np.zeros((3, len(run.genes)))
    drawn = {
        label: zero_shot.drawn_cells(run, label, control, seed=3, n_cells=1024)
        for label in (pair, "control")
    }
    effect = (drawn[pair] - drawn["control"]).mean(axis=0) / np.log(2)
    told = run.predictor().treatment_effects([pair]).mean[0]
    np.testing.assert_allclose(effect, told, atol=0.02 + 0.1 * np.abs(told).max())


def test_a_baseline_moves_the_control_cells(made):
    _, folder = made
    run = Run.load(folder / "runs" / "additive-all-mad3-fold0-seed0")
    control = np.random.default_rng(0).normal(size=(6, len(run.genes)))
    moved = zero_shot.drawn_cells(run, run.held_out[0], control, seed=0) - control
    effect = run.predictor().treatment_effects([run.held_out[0]]).mean
    np.testing.assert_allclose(moved, np.repeat(np.log(2) * effect, 6, axis=0))


def test_the_five_pairs_of_norman_are_scored(real_data, monkeypatch):
    monkeypatch.setenv("CRADLE_DATA_DIR", str(real_data("norman2019_subset.h5ad").parent))
    labels = set(load("norman_subset").obs["perturbation"].astype(str))
    (fold,) = study.folds_of(study.STUDIES["norman_subset_zero_shot"], labels)
    left = {label for label in labels if "+" not in label}
    scored = {p for p in fold.test_combinations if set(p.split("+")) <= left}
    assert scored == set(study.NORMAN_PAIRS)


def test_committed_rows_hold_the_scores_of_the_paper():
    table = study.read_table("norman_subset_zero_shot")
    own = table[(table["model"] == "perturbed_vae") & (table["split"] == "test")]
    assert {"cell_rmse", "profile_r2", "variance_ratio", "pearson_delta"} <= set(own["metric"])
    assert pd.api.types.is_float_dtype(table["value"])

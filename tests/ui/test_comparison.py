"""Effects against the mean of perturbed cells, and which rules a model is not ahead of."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cradle.evaluation.moments import Moments, observed_effects
from cradle.runs import Run
from cradle.ui import store
from cradle.ui.comparison import Terms, against_perturbed
from cradle.ui.effects_download import effects_table
from cradle.ui.effects_view import View, not_behind

DEMO = Path(__file__).resolve().parents[2] / "assets" / "runs" / "demo_cradle_vae"


@pytest.fixture
def moments() -> Moments:
    """One gene; control differs between the splits, A has variance 9 in five test cells."""
    rows = [("control", "train", 40, 1.0, 4.0), ("control", "test", 40, 3.0, 4.0),
            ("A", "train", 10, 2.0, 1.0), ("B", "train", 10, 6.0, 1.0),
            ("A", "test", 5, 7.0, 9.0)]  # fmt: skip
    groups = pd.DataFrame(
        [{"perturbation": who, "split": split, "half": 0, "qc_fail": False, "n_cells": n}
         for who, split, n, _, _ in rows]
    )  # fmt: skip
    mean = np.array([[mean] for *_, mean, _ in rows], np.float32)
    m2 = np.array([[(n - 1) * variance] for _, _, n, _, variance in rows], np.float32)
    return Moments(groups, ("g",), mean, m2)


def test_against_the_mean_of_perturbed_cells_control_cancels_with_its_noise(
    moments: Moments,
) -> None:
    observed = observed_effects(moments, "test")
    assert observed.mean.item() == pytest.approx(7 - 3)
    assert observed.se is not None
    assert observed.se.item() == pytest.approx(np.sqrt(9 / 5 + 4 / 40))
    found = against_perturbed(moments, "test", "all", observed)
    assert found.mean.item() == pytest.approx(7 - (2 + 6) / 2)
    assert found.se is not None
    assert found.se.item() == pytest.approx(3 / np.sqrt(5))


def test_a_rule_is_named_by_the_score_in_which_the_model_is_not_ahead() -> None:
    rows = pd.DataFrame(
        {"ate_rho": [0.9, 0.95, 0.8, 0.7, 0.99], "ate_r2": [0.7, 0.8, 0.75, np.nan, 0.99],
         "jaccard_50": [0.5, 0.4, 0.3, 0.6, np.nan], "jaccard_20": 0.0, "sign_accuracy": 0.999},
        index=["model", "additive", "linear", "perturbed_mean", "ceiling"],
    )  # fmt: skip
    rows.loc["model", ["jaccard_20", "sign_accuracy"]] = 0.1, 0.998
    assert not_behind(rows) == (
        "Additive (ATE-ρ, ATE-R²); Linear (ATE-R²); Perturbed mean (Jaccard-50)"
    )
    assert not_behind(rows.drop(["additive", "linear", "perturbed_mean"])) == ""


def test_files_of_effects_say_what_they_are_of_and_have_names_of_their_own() -> None:
    plain = Terms(str(DEMO), "test")
    terms = [plain, plain._replace(side="passing"), plain._replace(reference="perturbed"),
             plain._replace(disjoint=True)]  # fmt: skip
    tables = [effects_table(each, None) for each in terms]
    of = ["run", "dataset", "simulated", "split", "observed_side", "against"]
    told = [tuple(table[of].drop_duplicates().iloc[0]) for table in tables]
    assert all(len(table[of].drop_duplicates()) == 1 for table in tables)
    assert told[0] == ("demo_cradle_vae", "demo", True, "test", "all", "control")
    assert len(set(told)) == len(terms)
    assert len({View(each, None, True, True).slug for each in terms}) == len(terms)


def test_runs_of_versions_without_effects_of_combinations_are_told_genes_alone() -> None:
    run = store.run_at(str(DEMO))
    genes, own = run.perturbed_genes, run.design.columns[len(run.perturbed_genes) :]
    trained = run.perturbations.query("n_train > 0")["perturbation"]
    assert set(own) == {label for label in trained if "+" in label}
    before = {k: v for k, v in run.config["settings"].items() if k != "combination_dosage"}
    assert Run(run.path, {**run.config, "settings": before}).design.columns == genes

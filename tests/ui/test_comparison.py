"""Effects against the mean of perturbed cells, and which rules a model is not ahead of."""

import numpy as np
import pandas as pd
import pytest

from cradle.evaluation.moments import Moments, observed_effects
from cradle.ui.comparison import against_perturbed
from cradle.ui.effects_view import not_behind


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

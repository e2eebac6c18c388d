"""The defaults, fixed before any model saw them: what every criterion and ceiling must show."""

import numpy as np
import pytest
from anndata import AnnData

from cradle.data.qc import CRITERIA, cell_metrics
from cradle.data.splits import eligible_combinations, split_cells
from cradle.simulation import SimulationConfig, simulate, truth_ceiling


@pytest.fixture(scope="module")
def default_screen() -> AnnData:
    return simulate()


@pytest.fixture(scope="module")
def ceiling(default_screen: AnnData) -> dict:
    return truth_ceiling(default_screen)


def test_sizes_and_sparsity_of_a_real_screen(default_screen: AnnData) -> None:
    assert default_screen.shape == (5000, 2000)
    counts = default_screen.obs["perturbation"].value_counts()
    assert counts["control"] == 400
    assert counts.drop("control").between(50, 250).all()
    assert 0.1 < default_screen.X.nnz / 1e7 < 0.35
    assert 3000 < default_screen.obs["library_size"].median() < 6000


def test_all_six_criteria_are_measurable(default_screen: AnnData) -> None:
    metrics = cell_metrics(default_screen)
    assert metrics.reasons == {}
    assert set(CRITERIA) <= set(metrics.values)
    assert not metrics.values[list(CRITERIA)].isna().any(axis=None)


def test_each_artifact_fails_its_own_criterion(ceiling: dict) -> None:
    rate = ceiling["fail_rate"]["3"]
    assert rate["stress"]["fails_mt_percent"] > 0.8
    assert rate["red_cell"]["fails_hb_percent"] > 0.9
    assert rate["ambient"]["fails_genes_detected"] > 0.6
    assert rate["ambient"]["fails_umi_counts"] > 0.3
    assert rate["doublet"]["fails_doublet"] > 10 * rate["none"]["fails_doublet"]
    assert max(rate["none"][f"fails_{criterion}"] for criterion in CRITERIA) < 0.08


def test_quality_control_separates_clean_cells(ceiling: dict) -> None:
    clean, observed = ceiling["clean_pass_rate"], ceiling["observed_pass_rate"]
    assert clean["3"] > 0.88
    assert 0.7 < observed["3"] < 0.85
    assert clean["3"] - observed["3"] > 0.1
    assert clean["3"] <= clean["4"] <= clean["5"]


def test_effects_can_be_recovered(ceiling: dict) -> None:
    found = ceiling["effect_correlation"]
    for side in ("clean_cells", "all_cells"):
        assert 0.85 < found[side]["singles"] < 0.99
        assert 0.95 < found[side]["pairs_additive"] < 1
    assert found["all_cells"]["singles"] < found["clean_cells"]["singles"]


def test_one_perturbation_has_markedly_more_artifacts(default_screen: AnnData) -> None:
    toxic = set(default_screen.uns["cradle"]["truth"]["toxic_labels"])
    failed = ~default_screen.obs["true_clean"]
    rate = failed.groupby(default_screen.obs["perturbation"], observed=True).mean()
    assert rate[list(toxic)].min() > 1.4 * rate.drop(list(toxic)).median()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_split_holds_out_pairs_without_interaction(
    default_screen: AnnData, seed: int
) -> None:
    pairs = default_screen.uns["cradle"]["truth"]["pairs"]
    additive = set(np.array(pairs["label"])[np.array(pairs["interaction"]) == "none"])
    perturbation = default_screen.obs["perturbation"]
    assert len(eligible_combinations(perturbation)) == 16
    split = split_cells(perturbation, seed=seed)
    held_out = set(perturbation[split == "test"].unique())
    assert len(held_out) >= 3
    assert len(held_out & additive) >= 3


def test_a_split_adds_its_groups_to_the_ceiling(screen: AnnData) -> None:
    screen.obs["split"] = split_cells(screen.obs["perturbation"], seed=0)
    groups = truth_ceiling(screen)["effect_correlation"]["clean_cells"]
    assert groups["seen"] is not None
    assert groups["heldout"] is not None


def test_artifact_strength_moves_the_pass_rate() -> None:
    settings = {"n_cells": 900, "n_genes": 300, "n_perturbations": 6, "n_pairs": 5}
    strong, weak = (
        truth_ceiling(simulate(SimulationConfig(**settings, artifact_strength=strength)))
        for strength in (1.0, 0.2)
    )
    assert weak["observed_pass_rate"]["3"] > strong["observed_pass_rate"]["3"] + 0.05

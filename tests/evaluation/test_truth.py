"""Scores against a known truth: the truth itself must score one."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData

from cradle.data.qc import fit_thresholds
from cradle.errors import InputError
from cradle.evaluation.effects import Effects
from cradle.evaluation.quality import measure
from cradle.evaluation.truth import (
    artifact_correlations,
    clean_pass_rates,
    effect_correlations,
    floor_correlations,
    interval_coverages,
    truth_of,
    twin_change,
)
from cradle.models.baselines import TrainMeans, fit_baseline


def test_truth_is_read_from_a_simulated_screen(screen):
    truth = truth_of(screen)
    assert truth.effects.genes == tuple(screen.var_names)
    labels = set(screen.obs["perturbation"].astype(str)) - {"control"}
    assert labels <= set(truth.effects.perturbations)
    assert truth.interacting < set(truth.effects.perturbations)
    assert truth.clean.sum() == screen.obs["true_clean"].sum()
    assert next(iter(truth.artifact)) == "average"


def test_truth_survives_the_file(screen, screen_file):
    import anndata as ad

    a, b = truth_of(screen), truth_of(ad.read_h5ad(screen_file))
    assert a.interacting == b.interacting
    assert np.array_equal(a.effects.mean, b.effects.mean)


def test_measured_cells_have_no_truth(cells):
    assert truth_of(cells) is None


def test_the_truth_correlates_fully_and_groups_are_kept_apart(screen):
    truth = truth_of(screen)
    pairs = [label for label in truth.effects.perturbations if "+" in label]
    plain = [label for label in pairs if label not in truth.interacting]
    singles = [label for label in truth.effects.perturbations if "+" not in label]
    wrong = truth.effects.mean.copy()
    for label in truth.interacting:
        wrong[truth.effects.perturbations.index(label)] *= -1
    told = replace(truth.effects, mean=wrong)
    found = effect_correlations(truth, told, singles, pairs)
    assert found["effect_correlation_seen"] == pytest.approx(1.0)
    assert found["effect_correlation_heldout"] == pytest.approx(1.0)
    assert found["effect_correlation_heldout_interacting"] == pytest.approx(-1.0)
    assert (
        effect_correlations(truth, told, singles, plain)["effect_correlation_heldout_interacting"]
        is None
    )


def test_the_floor_of_the_truth_is_that_of_the_baselines(screen):
    truth = truth_of(screen)
    labels = truth.effects.perturbations
    singles = [label for label in labels if "+" not in label]
    pairs = [label for label in labels if "+" in label and label not in truth.interacting]
    known = truth.effects.rows(singles).mean
    train = TrainMeans(("control", *singles), truth.effects.genes, np.vstack([0 * known[0], known]))
    baselines = {"additive": fit_baseline("additive", train), "partial": Partial(train)}
    found = floor_correlations(truth, baselines, singles, pairs)
    sums = [sum(known[singles.index(gene)] for gene in pair.split("+")) for pair in pairs]
    expected = np.corrcoef(np.ravel(sums), truth.effects.rows(pairs).mean.ravel())[0, 1]
    assert found["additive"]["effect_correlation_seen"] == pytest.approx(1)
    assert found["additive"]["effect_correlation_heldout"] == pytest.approx(expected)
    assert found["additive"]["effect_correlation_heldout_interacting"] is None
    # who leaves a perturbation out may have left out what is hard
    assert found["partial"]["effect_correlation_seen"] is None
    assert found["partial"]["effect_correlation_heldout"] == pytest.approx(expected)


class Partial:
    """The additive rule, but for the first single perturbation."""

    def __init__(self, train: TrainMeans):
        self.additive, self.left_out = fit_baseline("additive", train), train.labels[1]

    def treatment_effects(self, query):
        told = self.additive.treatment_effects([label for label in query if label != self.left_out])
        return told.extended(query)


def test_intervals_are_held_against_the_true_effects(screen):
    truth = truth_of(screen)
    labels, mean = truth.effects.perturbations, truth.effects.mean
    reach = np.where(np.arange(mean.shape[1]) % 4 == 0, 0.1, 0.3)  # of every fourth gene too short
    told = replace(truth.effects, mean=mean + 0.2, lower=mean + 0.2 - reach, upper=mean + 0.2)
    found = interval_coverages(truth, told, [x for x in labels if "+" not in x], [])
    assert found["interval_coverage_seen"] == pytest.approx(1 - (reach == 0.1).mean())
    assert found["interval_coverage_heldout"] is None
    assert interval_coverages(truth, truth.effects, labels, [])["interval_coverage_seen"] is None


def test_rows_that_do_not_apply_are_left_out(screen):
    truth = truth_of(screen)
    mean = truth.effects.mean.copy()
    mean[0] = np.nan
    told = Effects(truth.effects.perturbations, truth.effects.genes, mean)
    found = effect_correlations(truth, told, truth.effects.perturbations, [])
    assert found["effect_correlation_seen"] == pytest.approx(1.0)
    assert found["effect_correlation_heldout"] is None


def test_clean_cells_pass_more_often_than_all(screen):
    thresholds = fit_thresholds(screen, mad=3, doublets=False)
    truth, measured = truth_of(screen), measure(screen, thresholds)
    everywhere = np.ones(screen.n_obs, dtype=bool)
    found = clean_pass_rates(truth, measured, everywhere, thresholds)
    assert set(found) == {"3", "4", "5"}
    assert found["3"] == pytest.approx(measured.passes(thresholds)[truth.clean].mean())
    assert found["3"] > measured.passes(thresholds).mean()
    assert found["3"] <= found["4"] <= found["5"]


def _twins(off: np.ndarray, on: np.ndarray):
    def generate(label: str, n: int, seed: int) -> AnnData:
        counts = np.vstack([np.tile(off, (n, 1)), np.tile(on, (n, 1))])
        obs = pd.DataFrame(
            {"artifact": np.repeat(["off", "on"], n), "library_size": 1e4},
            index=[f"t{i}" for i in range(2 * n)],
        )
        return AnnData(sp.csr_matrix(counts), obs)

    return generate


def test_twin_change_by_hand():
    change = twin_change(_twins(np.array([0.0, 3.0, 7.0]), np.array([1.0, 3.0, 0.0])), ["A"], 4)
    assert change == pytest.approx([1.0, 0.0, -3.0])


def test_twins_that_change_as_the_artifact_does_correlate_fully(screen):
    truth = truth_of(screen)
    average = truth.artifact["average"].to_numpy()
    base = np.full(len(average), 9.0)
    on = 2 ** (np.log2(1 + base) + 0.1 * average) - 1
    found = artifact_correlations(truth, _twins(base, on), ["A", "control"], 10)
    assert found["artifact_correlation"] == pytest.approx(1.0, abs=1e-6)
    assert set(found["artifact_correlation_by_kind"]) == set(truth.artifact) - {"average"}


def test_a_model_without_artifact_gives_null_with_its_reason(screen):
    def refuse(label: str, n: int, seed: int) -> AnnData:
        raise InputError("This model has no artifact.", "SAMS-VAE.", "Use another.")

    found = artifact_correlations(truth_of(screen), refuse, ["A"], 10)
    assert found["artifact_correlation"] is None
    assert "no artifact" in found["artifact_reason"]

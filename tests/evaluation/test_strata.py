"""Batches: effects are those within batches, and screens without batches are left alone."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData

from cradle.evaluation.moments import Moments, compute_moments, observed_effects

N = 240


@pytest.fixture
def confounded():
    """A sits mostly in batch 1, where every gene is brighter; its own effect is on gene 0."""
    rng = np.random.default_rng(0)
    label = np.repeat(["control", "A"], N)
    batch = np.where(rng.random(2 * N) < np.where(label == "A", 0.8, 0.3), "b1", "b0")
    mean = np.where(batch == "b1", 6.0, 3.0)[:, None] * np.ones((1, 5))
    mean[label == "A", 0] *= 2
    counts = rng.poisson(mean).astype(np.float32)
    obs = pd.DataFrame(
        {
            "perturbation": label,
            "batch": batch,
            "split": np.where(np.arange(2 * N) % 4, "train", "test"),
            "qc_fail": False,
            "library_size": 1000.0,
        },
        index=[f"c{i}" for i in range(2 * N)],
    )
    return AnnData(sp.csr_matrix(counts), obs)


def level(cells):
    return np.log2(1 + 10 * cells.X.toarray())


def test_effects_equal_the_weighted_difference_within_batches(confounded):
    train = confounded[confounded.obs["split"] == "train"]
    effects = observed_effects(compute_moments(confounded), "train")
    expected = np.zeros(5)
    treated = train[train.obs["perturbation"] == "A"]
    for batch in ("b0", "b1"):
        here = train[train.obs["batch"] == batch]
        a = here[here.obs["perturbation"] == "A"]
        control = here[here.obs["perturbation"] == "control"]
        expected += a.n_obs / treated.n_obs * (level(a).mean(0) - level(control).mean(0))
    np.testing.assert_allclose(effects.mean[0], expected, atol=1e-5)


def test_a_batch_effect_is_not_a_treatment_effect(confounded):
    stratified = observed_effects(compute_moments(confounded), "all").mean[0]
    confounded.obs = confounded.obs.drop(columns="batch")
    naive = observed_effects(compute_moments(confounded), "all").mean[0]
    assert np.abs(naive[1:]).min() > 0.25
    assert np.abs(stratified[1:]).max() < 0.15
    assert stratified[0] > 0.5


def test_one_batch_changes_nothing(confounded):
    confounded.obs["batch"] = "only"
    one = compute_moments(confounded)
    confounded.obs = confounded.obs.drop(columns="batch")
    none = compute_moments(confounded)
    np.testing.assert_allclose(one.mean, none.mean, atol=1e-6)
    np.testing.assert_allclose(one.m2, none.m2, rtol=1e-4, atol=1e-3)


def test_cells_of_other_splits_do_not_move_the_correction(confounded):
    before = compute_moments(confounded).pool(["train"])
    counts = confounded.X.toarray()
    counts[(confounded.obs["split"] == "test").to_numpy()] *= 3
    confounded.X = sp.csr_matrix(counts)
    np.testing.assert_array_equal(compute_moments(confounded).pool(["train"]).mean, before.mean)


def test_the_standard_error_holds_where_treated_and_control_cells_lie_in_other_batches():
    """A has no effect; its cells are all in the batch that has 40 of the 1,000 controls."""
    rng, z = np.random.default_rng(1), []
    label = np.repeat(["control", "A", "B"], [1000, 200, 200])
    batch = np.repeat(["b1", "b2", "b1", "b1", "b2"], [40, 960, 200, 100, 100])
    obs = pd.DataFrame(
        {"perturbation": label, "batch": batch, "split": "train", "qc_fail": False,
         "library_size": 1000.0}, index=[f"c{i}" for i in range(1400)],
    )  # fmt: skip
    for _ in range(8):
        counts = rng.poisson(5.0, (1400, 60)).astype(np.float32)
        effects = observed_effects(compute_moments(AnnData(sp.csr_matrix(counts), obs)), "train")
        z.append(effects.mean / effects.se)
    np.testing.assert_allclose(np.concatenate(z, axis=1).std(axis=1), 1.0, atol=0.12)


def test_batches_come_back_from_a_file(confounded, tmp_path):
    moments = compute_moments(confounded)
    moments.save(tmp_path / "moments.safetensors")
    read = Moments.load(tmp_path / "moments.safetensors")
    for ours, theirs in zip(moments.batches, read.batches, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert moments.batches.cells.sum() == 2 * N
    np.testing.assert_array_equal(observed_effects(moments).se, observed_effects(read).se)
    confounded.obs = confounded.obs.drop(columns="batch")
    assert compute_moments(confounded).batches is None

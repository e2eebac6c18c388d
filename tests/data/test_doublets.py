"""Scrublet: real doublets are found, splits stay apart, and small input has one defined result."""

import warnings

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, read_h5ad
from scipy import sparse

from cradle.data import doublets, qc


def mixture(n_cells=300, n_genes=900, n_doublets=30, seed=0):
    """Three cell types with their own genes, and known doublets of different types at the end."""
    rng = np.random.default_rng(seed)
    cell_type = np.arange(n_cells) % 3
    profile = rng.gamma(0.5, 1.0, (3, n_genes))
    counts = rng.poisson(profile[cell_type])
    pairs = np.c_[rng.integers(0, n_cells // 3, n_doublets) * 3, np.arange(n_doublets) * 3 + 1]
    counts = np.vstack([counts, counts[pairs].sum(axis=1)]).astype(np.float32)
    obs = pd.DataFrame(index=[f"c{i:04d}" for i in range(len(counts))])
    obs["library_size"] = counts.sum(axis=1, dtype=float)
    names = pd.DataFrame(index=[f"G{i}" for i in range(n_genes)])
    return AnnData(X=sparse.csr_matrix(counts), obs=obs, var=names)


def test_known_doublets_are_called():
    calls = doublets.call_doublets(mixture())
    called = calls.values["doublet"].to_numpy()
    assert called[-30:].mean() > 0.9
    assert called[:-30].mean() < 0.02
    assert calls.reason == ""
    (run,) = calls.runs
    assert ((calls.values["doublet_score"] > run.threshold) == (called == 1)).all()


def test_same_seed_same_calls_in_any_order_and_storage():
    data = mixture()
    expected = doublets.call_doublets(data, seed=3).values
    order = np.random.default_rng(0).permutation(data.n_obs)
    shuffled = data[order].copy()
    shuffled.X = shuffled.X.tocsc().astype(np.int64)
    pd.testing.assert_frame_equal(
        doublets.call_doublets(shuffled, seed=3).values, expected.iloc[order], check_exact=True
    )
    dense = AnnData(data.X.toarray(), obs=data.obs, var=data.var)
    pd.testing.assert_frame_equal(
        doublets.call_doublets(dense, seed=3).values, expected, check_exact=True
    )
    other = doublets.call_doublets(data, seed=4).values
    assert not np.array_equal(other["doublet_score"], expected["doublet_score"])


def test_test_cells_run_apart():
    data = mixture()
    data.obs["split"] = np.array(["train", "train", "val", "test"])[np.arange(data.n_obs) % 4]
    calls = doublets.call_doublets(data)
    assert [(run.cells, run.reference) for run in calls.runs] == [
        ("test cells", False),
        ("training and validation cells", True),
    ]
    test = (data.obs["split"] == "test").to_numpy()
    changed = data.copy()
    changed.X = sparse.csr_matrix(np.where(test[:, None], 1, data.X.toarray()).astype(np.float32))
    again = doublets.call_doublets(changed)
    pd.testing.assert_frame_equal(again.values[~test], calls.values[~test], check_exact=True)
    alone = doublets.call_doublets(data[test].copy())
    pd.testing.assert_frame_equal(alone.values, calls.values[test], check_exact=True)
    assert alone.reason == calls.runs[0].reason


def test_batches_run_apart_and_one_may_be_too_small():
    data = mixture()
    data.obs["batch"] = np.where(np.arange(data.n_obs) < 20, "small", "large")
    metrics = qc.cell_metrics(data)
    assert metrics.values["doublet"].isna().sum() == 20
    assert "all cells, batch small: Only 20 cells" in metrics.sources["doublet"]
    fit = qc.fit_thresholds(data, metrics=metrics)
    assert fit["doublet"].measurable
    assert fit["doublet"].threshold == metrics.doublet_threshold
    flags = qc.apply_thresholds(metrics, fit)
    assert flags["fails_doublet"].isna().sum() == 20
    assert "doublet" in fit.not_generable
    data.obs["batch"] = [f"b{i % 20}" for i in range(data.n_obs)]
    assert "The other 19 runs" in qc.cell_metrics(data).reasons["doublet"]


def test_large_batches_are_cut(monkeypatch):
    monkeypatch.setattr(doublets, "MAX_CELLS", 170)
    calls = doublets.call_doublets(mixture())
    assert [run.n_cells for run in calls.runs] == [165, 165]
    assert calls.values.notna().all(axis=None)


@pytest.mark.parametrize(
    ("cells", "genes", "reason"),
    [
        (slice(None), slice(0, 40), "genes are usable"),
        (slice(0, 25), slice(None), "cells; Scrublet needs more"),
        (slice(0, 1), slice(None), "genes are usable"),
    ],
)
def test_too_little_is_not_measurable(cells, genes, reason):
    calls = doublets.call_doublets(mixture()[cells, genes].copy())
    assert reason in calls.reason
    assert calls.values.isna().all(axis=None)


@pytest.mark.parametrize("seed", range(3))
def test_alike_cells_have_no_doublets_to_tell(seed):
    rng = np.random.default_rng(seed)
    data = mixture()
    data.X = sparse.csr_matrix(rng.poisson(rng.gamma(0.5, 1.0, 900), (330, 900)), dtype=np.float32)
    data.obs["library_size"] = np.asarray(data.X.sum(axis=1), dtype=float).ravel()
    assert "do not tell doublets" in doublets.call_doublets(data).reason


@pytest.mark.parametrize("simulated", [np.ones(600), np.r_[np.zeros(5000), np.ones(3)]])
def test_one_mode_is_not_measurable(monkeypatch, simulated):
    def one_mode(scrub, **options):
        scrub.doublet_scores_sim_ = simulated
        scrub.doublet_scores_obs_ = np.zeros(330)
        scrub.doublet_errors_obs_ = np.ones(330)

    monkeypatch.setattr("scrublet.Scrublet.calculate_doublet_scores", one_mode)
    calls = doublets.call_doublets(mixture())
    assert "no two modes" in calls.reason
    assert calls.values.isna().all(axis=None)


def test_real_cells_in_silence(real_data, capfd):
    data = read_h5ad(real_data("pbmc3k_raw.h5ad"))
    data.obs["library_size"] = np.asarray(data.X.sum(axis=1), dtype=float).ravel()
    np.random.seed(5)  # noqa: NPY002  the generator that Scrublet seeds is given back
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calls = doublets.call_doublets(data)
    assert np.random.random() == expected  # noqa: NPY002
    assert capfd.readouterr() == ("", "")
    assert 0.005 < calls.values["doublet"].mean() < 0.05
    assert 0.3 < calls.runs[0].threshold < 0.5


def test_targeted_panel_has_too_few_genes(real_data):
    data = read_h5ad(real_data("papalexi2021_eccite.h5ad"))
    data.obs["library_size"] = np.asarray(data.X.sum(axis=1), dtype=float).ravel()
    calls = doublets.call_doublets(data)
    assert len(calls.runs) == 3
    assert "genes are usable" in calls.reason


def _counted(called: list[int]):
    """``Parallel.__call__`` that also says that it was called."""
    from joblib import Parallel

    original = Parallel.__call__

    def call(self, work):
        called.append(self.n_jobs)
        return original(self, work)

    return call


def test_batches_scored_side_by_side_are_those_scored_one_by_one(monkeypatch):
    data = mixture()
    data.obs["batch"] = np.array(["a", "b"])[np.arange(data.n_obs) % 2]
    expected = doublets.call_doublets(data)
    monkeypatch.setattr(doublets, "MIN_CELLS_APART", 100)
    monkeypatch.setattr(doublets.os, "sched_getaffinity", lambda _: {3, 7})
    monkeypatch.setattr(doublets.os, "cpu_count", lambda: 64)
    with monkeypatch.context() as patch:
        patch.setattr("joblib.Parallel.__call__", _counted(called := []))
        found = doublets.call_doublets(data)
    assert called == [2]
    assert found.runs == expected.runs
    pd.testing.assert_frame_equal(found.values, expected.values, check_exact=True)


def test_as_many_processes_as_cores_are_granted(monkeypatch):
    monkeypatch.setattr(doublets.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(doublets.os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert doublets._cores() == 1
    monkeypatch.delattr(doublets.os, "sched_getaffinity")
    assert doublets._cores() == 64

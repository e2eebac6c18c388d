"""Pass rates and distances of generated cells: by hand, and against scipy."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, wasserstein_distance

from cradle.data.qc import QCThresholds, fit_thresholds
from cradle.evaluation.quality import (
    MeasuredCells,
    distances,
    failure_rates,
    generate_screen,
    measure,
    pass_rates,
    wilson_interval,
)

MT = [f"MT-{g}" for g in ("ND1", "ND2", "CO1", "CO2", "ATP8", "ATP6", "CO3", "ND3", "ND4L", "ND4")]


def _cells(mt_counts: np.ndarray, label: str = "A") -> AnnData:
    """Cells of 1,000 counts: ten MT genes with this many counts in all, one other gene."""
    n = len(mt_counts)
    counts = np.zeros((n, 11), dtype=np.float32)
    counts[:, 0] = mt_counts
    counts[:, 10] = 1000 - mt_counts
    obs = pd.DataFrame(
        {"perturbation": label, "library_size": 1000.0}, index=[f"c{i}" for i in range(n)]
    )
    return AnnData(sp.csr_matrix(counts), obs, pd.DataFrame(index=[*MT, "ACTB"]))


@pytest.fixture
def train() -> AnnData:
    return _cells(np.array([20, 30, 40, 50, 60] * 20))  # median 4 %, MAD 1 %: fails above 7 %


@pytest.fixture
def thresholds(train) -> QCThresholds:
    return fit_thresholds(train, criteria=["mt_percent"], doublets=False)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(hits_and_n):
    hits, n = hits_and_n
    expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    low, high = wilson_interval(hits, n)
    assert low == pytest.approx(expected.low, abs=1e-12)
    assert high == pytest.approx(expected.high, abs=1e-12)
    assert 0 <= low <= hits / n <= high <= 1


def test_pass_rate_by_hand(train, thresholds):
    # passes at 3 MAD (≤ 7 %), at 4 (≤ 8 %), at 5 (≤ 9 %): strictly beyond fails
    generated = measure(_cells(np.array([10, 70, 75, 85, 95])), thresholds)
    observed = measure(train, thresholds)
    everywhere = np.ones(100, dtype=bool)
    found = pass_rates(generated, observed, everywhere, everywhere, thresholds)
    assert {k: v["rate"] for k, v in found.items()} == {"3": 0.4, "4": 0.6, "5": 0.8}
    assert (found["3"]["low"], found["3"]["high"]) == wilson_interval(2, 5)
    assert found["3"]["criteria"] == ["mt_percent"]
    assert (found["3"]["n"], found["3"]["observed"], found["3"]["observed_n"]) == (5, 1.0, 100)


def test_below_five_percent_of_failing_training_cells_it_is_not_applicable(train, thresholds):
    observed = measure(train, thresholds)
    rows = np.ones(100, dtype=bool)
    never = pass_rates(observed, observed, rows, rows, thresholds)["3"]
    assert not never["applicable"]
    assert "0 % of the training cells" in never["reason"]
    failing = measure(_cells(np.array([40] * 95 + [200] * 5)), thresholds)
    some = pass_rates(observed, failing, rows, rows, thresholds)["3"]
    assert some["applicable"]
    assert some["train_fail_rate"] == pytest.approx(0.05)
    assert "reason" not in some


def test_the_observed_rate_is_that_of_the_given_rows(train, thresholds):
    mixed = measure(_cells(np.array([40] * 50 + [200] * 50)), thresholds)
    rows = np.arange(100) < 60
    found = pass_rates(mixed, mixed, np.ones(100, bool), rows, thresholds)["3"]
    assert found["observed"] == pytest.approx(50 / 60)


def test_without_a_generable_criterion_the_rate_is_null_with_a_reason(train):
    thresholds = fit_thresholds(train, criteria=["umi_counts"], doublets=False)
    cells = measure(train, thresholds)
    rows = np.ones(100, dtype=bool)
    found = pass_rates(cells, cells, rows, rows, thresholds)["3"]
    assert found["rate"] is None
    assert "no criterion" in found["reason"]
    assert distances(cells, cells, rows, thresholds) == {}
    json.dumps(found, allow_nan=False)


def test_distance_is_scipys_in_the_unit_and_in_mads(train, thresholds):
    generated = measure(_cells(np.array([30, 80, 90])), thresholds)
    observed = measure(train, thresholds)
    rows = np.arange(100) < 50
    found = distances(generated, observed, rows, thresholds)["mt_percent"]
    expected = wasserstein_distance([3, 8, 9], np.array([2, 3, 4, 5, 6] * 10))
    assert found["distance"] == pytest.approx(expected, abs=1e-5)
    assert found["in_mads"] == pytest.approx(expected / 1.0, abs=1e-5)
    assert found["unit"] == "percentage points"
    assert (found["n"], found["observed_n"]) == (3, 50)


def test_distance_of_cells_to_themselves_is_zero_and_a_shift_is_its_length(train, thresholds):
    observed = measure(train, thresholds)
    rows = np.ones(100, dtype=bool)
    assert distances(observed, observed, rows, thresholds)["mt_percent"]["distance"] == 0.0
    shifted = MeasuredCells(observed.values + 2.0, observed.perturbation)
    found = distances(shifted, observed, rows, thresholds)["mt_percent"]
    assert found["distance"] == pytest.approx(2.0)


def test_failure_rates_by_hand(train, thresholds):
    generated = measure(_cells(np.array([70, 71, 80, 40])), thresholds)
    failed = measure(_cells(np.array([90, 100])), thresholds)
    expected = {"generated": 0.5, "observed": 1.0, "n": 4, "observed_n": 2}
    assert failure_rates(generated, failed, thresholds) == {"mt_percent": expected}
    none = failed.where(np.zeros(2, dtype=bool))
    assert failure_rates(generated, none, thresholds) == {}


def test_no_cells_to_compare_is_said(train, thresholds):
    observed = measure(train, thresholds)
    found = distances(observed, observed, np.zeros(100, bool), thresholds)["mt_percent"]
    assert found["distance"] is None
    assert "reason" in found


def test_generated_cells_come_in_the_proportions_of_the_screen(thresholds):
    asked = []

    def generate(label: str, n: int, seed: int) -> AnnData:
        asked.append((label, n, seed))
        return _cells(np.full(n, 40), label)

    found = generate_screen(generate, {"B": 300, "A": 100, "C": 1}, thresholds, n_cells=400)
    assert asked == [("A", 100, 0), ("B", 299, 1), ("C", 20, 2)]
    assert found.of(["B"]).sum() == 299
    assert found.passes(thresholds).all()

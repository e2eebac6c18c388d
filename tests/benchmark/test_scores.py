"""Rows of a benchmark table from the report of a run."""

from types import SimpleNamespace

import pandas as pd
import pytest

from cradle.benchmark.scores import score_rows


def section(n: int, **scores: float) -> dict:
    return {"n_perturbations": n, **scores}


@pytest.fixture
def rows() -> pd.DataFrame:
    field = {
        "model": {"test": section(4, l2=1.0)},
        "floor": {"linear": {"test": section(3, l2=0.5)}, "additive": {"test": section(4, l2=2.0)}},
    }
    report = {
        "test": section(4, ate_rho=0.8, ate_r2=0.6),
        "floor": {
            "additive": {"test": section(4, ate_rho=0.7, ate_r2=0.5)},
            "linear": {"test": section(3, ate_rho=0.9, ate_r2=0.8)},
        },
        "field": {"mean_level": field},
        "truth": {
            "effect_correlation_seen": 0.9,
            "interacting_pairs": ["A+B"],
            "floor": {"additive": {"effect_correlation_seen": 0.7}},
            "observed": {"effect_correlation_seen": 0.8, "effect_correlation_heldout": None},
        },
        "artifact_on": {
            "hb_percent": {"generated": 0.3, "observed": 0.34, "n": 9, "observed_n": 9}
        },
    }
    run = SimpleNamespace(
        metrics=report, model_name="cradle_vae", config={"mad": 3.0}, provenance={"seconds": 5.0}
    )
    return score_rows(run, {"attempts": 1}).set_index(["model", "split", "metric"])["value"]


def test_a_score_over_fewer_perturbations_is_not_comparable(rows):
    assert rows["additive", "test", "ate_rho"] == 0.7
    assert rows["cradle_vae", "test", "l2"] == 1.0
    for metric in ("ate_rho", "ate_r2", "l2"):
        assert pd.isna(rows["linear", "test", metric])


def test_failure_rates_with_the_artifact_on_stand_beside_the_observed_ones(rows):
    assert rows["cradle_vae artifact on", "all", "fails_hb_percent"] == 0.3
    assert rows["observed failed", "all", "fails_hb_percent"] == 0.34


def test_the_floor_stands_beside_the_model_against_the_truth(rows):
    told = {name: rows.get((name, "all", "effect_correlation_seen"))
            for name in ("cradle_vae", "additive", "observed")}  # fmt: skip
    assert told == {"cradle_vae": 0.9, "additive": 0.7, "observed": 0.8}
    assert ("observed", "all", "effect_correlation_heldout") not in rows

"""Pairs against the sum of their singles, and how far a model foresees it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cradle.evaluation.standing import (
    LESS,
    MORE,
    NEAR,
    OTHER,
    STANDS_OUT,
    UNCLEAR,
    held_out,
    judged,
    skill,
    standing,
)
from cradle.run_tables import read_json
from cradle.ui import pair_store

DEMO = Path(__file__).resolve().parents[2] / "assets" / "runs" / "demo_cradle_vae"


@pytest.mark.parametrize(
    ("low", "high", "kind", "n_genes", "stands"),
    [
        (1.25, 1.29, "additive", 200, MORE),
        (0.47, 0.51, "redundant", 200, LESS),
        (0.94, 0.96, "redundant", 200, NEAR),
        (0.95, 1.05, "neomorphic", 200, OTHER),
        (0.60, 0.70, "neomorphic", 200, LESS),
        (0.75, 0.95, "additive", 200, UNCLEAR),
        (0.20, 0.40, "undetermined", 9, UNCLEAR),
        (np.nan, np.nan, "undetermined", 0, UNCLEAR),
        (np.nan, np.nan, None, np.nan, None),
    ],
)
def test_a_pair_stands_out_by_its_whole_interval(low, high, kind, n_genes, stands):
    table = pd.DataFrame({"observed_scale_low": [low], "observed_scale_high": [high],
                          "observed_class": [kind], "observed_n_genes": [n_genes]})  # fmt: skip
    assert standing(table, "observed").iloc[0] == stands


def test_in_the_demo_exactly_the_pairs_that_truly_interact_stand_out():
    table = pair_store.table(str(DEMO))
    out = table.loc[standing(table, "observed").isin(STANDS_OUT), "pair"]
    truth = read_json(DEMO / "metrics.json")["truth"]["interacting_pairs"]
    assert set(out) == set(truth)
    assert len(truth) == 4


def test_skill_compares_with_the_plain_sum():
    rows = pd.DataFrame({"observed_scale": [1.5, 0.5], "predicted_scale": [1.5, 0.5]})
    assert skill(rows) == 1
    assert skill(rows.assign(predicted_scale=1.0)) == 0
    assert skill(rows.assign(predicted_scale=[0.5, 0.5])) == pytest.approx(-1)


def test_only_pairs_with_sizes_and_enough_genes_check_a_model():
    table = pd.DataFrame({"observed_scale": [1.2, np.nan, 1.2, 1.2],
                          "predicted_scale": [1.0, 1.0, np.nan, 1.0],
                          "observed_n_genes": [50, 50, 50, 3],
                          "support": ["held-out combination", "seen", "seen", "seen"]})  # fmt: skip
    assert list(judged(table).index) == [0]
    assert list(held_out(table).index) == [0]

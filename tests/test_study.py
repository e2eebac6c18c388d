"""The studies behind the committed tables."""

import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks import study
from cradle.benchmark.plan import Fold, plan_runs
from cradle.benchmark.tables import KEYS
from cradle.models.baselines import BASELINES
from cradle.models.registry import MODELS


def test_every_model_is_a_run_or_in_the_floor():
    assert set(study.default_models()) | set(BASELINES) == set(MODELS)


def test_the_five_pairs_are_held_out_together_and_the_rotation_in_turn():
    labels = {"control", "A", "B", "C", "A+B", "B+C"}
    (together,) = study.folds_of(study.STUDIES["norman_subset"], labels)
    assert together.test_combinations == study.NORMAN_PAIRS
    folds = study.folds_of(study.STUDIES["norman_subset_rotation"], labels)
    assert [fold.name for fold in folds] == ["A+B", "B+C"]


def test_a_committed_table_is_of_the_study_that_its_folder_names():
    named = {
        path.parent.name: pd.read_csv(path, nrows=1) for path in study.TABLES.glob("*/table.csv")
    }
    long = [name for name, table in named.items() if "dataset" in table]
    assert "norman_subset" in long
    for name in long:
        table = study.read_table(name)
        assert set(table["dataset"]) == {name}
        assert not table.duplicated(KEYS).any(), name


@pytest.mark.parametrize("name", ["norman_subset", "papalexi"])
def test_committed_rows_are_runs_that_are_not_done_again(name):
    table = study.read_table(name)
    plans = plan_runs(["cradle_vae"], seeds=(0, 999), folds=(Fold("0"),))
    assert [plan.seed for plan in study.missing(plans, table)] == [999]


def test_rows_are_added_and_never_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "TABLES", tmp_path)
    row = dict.fromkeys(KEYS, "x") | {"seed": 0, "qc_mad": 3.0, "value": 1.0}
    study.add("s", pd.DataFrame(), pd.DataFrame([row]))
    study.add("s", study.read_table("s"), pd.DataFrame([row | {"value": 2.0}, row | {"seed": 1}]))
    assert study.read_table("s")["value"].tolist() == [1.0, 1.0]
    assert (tmp_path / "s" / "table.md").is_file()


def test_a_study_of_simulated_screens_writes_its_table(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "TABLES", tmp_path / "tables")
    arguments = ["simulated", "--name", "tiny", "--seeds", "101", "--models", "additive", "--mad",
                 "3", "--n-cells", "400", "--n-genes", "300", "--n-perturbations", "4",
                 "--n-pairs", "3", "--work", str(tmp_path / "work")]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["study", *arguments])
    study.main()
    table = study.read_table("tiny")
    assert set(table["seed"]) == {101}
    assert {"additive", "control_mean", "replicate", "ceiling", "clean cells"} <= set(
        table["model"]
    )
    rho = table[(table["metric"] == "ate_rho") & (table["split"] == "all")].set_index("model")[
        "value"
    ]
    assert rho["additive"] <= rho["ceiling"] <= 1
    assert np.isfinite(rho["additive"])


def test_semi_synthetic_needs_its_base(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study, "TABLES", tmp_path / "tables")
    monkeypatch.setattr(sys, "argv", ["study", "semi_synthetic", "--work", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        study.main()
    assert stop.value.code == 2
    assert "--base" in capsys.readouterr().err

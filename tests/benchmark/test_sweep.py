"""Carrying out a benchmark: own processes, resumed after a kill, refused when it is another."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cradle.benchmark.plan import Fold, plan_runs
from cradle.benchmark.sweep import LOCK, RECORD, Sweep, run_sweep
from cradle.benchmark.tables import KEYS
from cradle.errors import InputError
from cradle.evaluation.field_metrics import FIELD_METRICS
from cradle.runs import Run

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"n_latent": "6", "n_hidden": "16"}


@pytest.fixture(scope="module")
def sweep(_small_screen, screen_file, tmp_path_factory):
    """A finished benchmark of one network and one baseline, two processes."""
    plans = plan_runs(["cradle_vae", "additive"], settings=SMALL, epochs=2)
    made = Sweep("small", str(screen_file), plans, tmp_path_factory.mktemp("sweep"), command="cmd")
    made_of = run_sweep(made, _small_screen)
    assert [o.status for o in made_of] == ["done", "done"], [o.message for o in made_of]
    return made


@pytest.fixture(scope="module")
def table(sweep) -> pd.DataFrame:
    return pd.read_csv(sweep.out / "table.csv")


def _value(table, model, split, metric) -> float:
    rows = table[(table["model"] == model) & (table["split"] == split)]
    (found,) = rows.loc[rows["metric"] == metric, "value"]
    return float(found)


def test_each_run_is_a_complete_run_directory(sweep):
    for plan in sweep.plans:
        assert Run.load(sweep.path(plan)).model_name == plan.model


def test_the_table_says_what_the_reports_say(sweep, table):
    assert not table.duplicated(list(KEYS)).any()
    report = Run.load(sweep.path(sweep.plans[0])).metrics
    parts = {
        "cradle_vae": report,
        "additive": report["floor"]["additive"],
        "replicate": report["replicate"],
        "ceiling": report["ceiling"],
    }
    for name, part in parts.items():
        for split in ("test", "val", "all"):
            assert _value(table, name, split, "ate_rho") == pytest.approx(part[split]["ate_rho"])
    found = report["field"]["distributional"]["model"]["test"]["mmd"]
    assert _value(table, "cradle_vae", "test", "mmd") == pytest.approx(found)
    rate = report["test"]["qcpr"]["3"]
    assert rate["applicable"]
    assert _value(table, "cradle_vae", "test", "qcpr") == pytest.approx(rate["rate"])


def test_floor_replicate_and_ceiling_carry_the_field_metrics_too(table):
    for who in ("cradle_vae", "additive", "control_mean", "replicate", "ceiling"):
        there = set(table.loc[(table["model"] == who) & (table["split"] == "val"), "metric"])
        assert set(FIELD_METRICS) - {"centroid_rank"} <= there


def test_a_baseline_run_has_the_cells_of_its_floor(sweep):
    own = pd.read_csv(sweep.path(sweep.plans[1]) / "scores.csv")
    section = Run.load(sweep.path(sweep.plans[1])).metrics["field"]["distributional"]
    assert section["model"] is None
    expected = section["floor"]["additive"]["test"]["mmd"]
    assert _value(own, "additive", "test", "mmd") == pytest.approx(expected)
    assert np.isfinite(_value(own, "additive", "test", "e_distance"))


def test_time_and_memory_are_those_of_the_fit(sweep, table):
    record = json.loads((sweep.path(sweep.plans[1]) / RECORD).read_text())
    assert _value(table, "additive", "all", "peak_mb") == record["peak_mb"] > 50
    assert _value(table, "additive", "all", "wall_seconds") == record["wall_seconds"] > 0.5
    assert _value(table, "cradle_vae", "all", "seconds") > 0


def test_the_peak_memory_is_not_that_of_the_caller(tmp_path):
    held = np.ones(75_000_000)  # 600 MB
    report = tmp_path / "m.json"
    command = [sys.executable, "-m", "cradle.benchmark.measured", str(report)]
    code = "x = bytearray(200_000_000)"
    subprocess.run([*command, sys.executable, "-S", "-c", code], cwd=ROOT, check=True)
    assert held[0] == 1
    found = json.loads(report.read_text())
    assert 200 < found["peak_mb"] < 300
    assert found["exit_code"] == 0


def test_a_finished_benchmark_is_kept_as_it_is(sweep, screen, monkeypatch):
    before = {p: p.stat().st_mtime_ns for p in sweep.out.rglob("*") if p.name != LOCK}
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("fitted again"))
    table = (sweep.out / "table.csv").read_bytes()
    assert [o.status for o in run_sweep(sweep, screen)] == ["kept", "kept"]
    assert (sweep.out / "table.csv").read_bytes() == table
    for path in (
        p for p in before if p.name in ("weights.safetensors", "metrics.json", "scores.csv")
    ):
        assert path.stat().st_mtime_ns == before[path]


def test_other_arguments_are_refused_before_anything_is_fitted(sweep, screen, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("fitted"))
    plans = plan_runs(["perturbed_mean", "cradle_vae"], settings=SMALL, epochs=3)
    with pytest.raises(InputError, match="max_epochs differ"):
        run_sweep(Sweep("small", sweep.data, plans, sweep.out), screen)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"epochs": 1}, "max_epochs of sams_vae"),
        ({"settings": {**SMALL, "n_latent": "7"}}, "n_latent of sams_vae"),
        ({"folds": (Fold("0", ("CEBPA+CEBPE",)),)}, "test_combinations of sams_vae"),
        ({"split_seed": 1}, "split_seed of sams_vae"),
        ({"criteria": ("umi_counts",)}, "criteria of sams_vae"),
    ],
)
def test_another_experiment_in_the_folder_is_refused(sweep, screen, monkeypatch, other, named):
    """Its rows would stand as those of one benchmark: the table has no column to tell them by."""
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("fitted"))
    table = (sweep.out / "table.csv").read_bytes()
    plans = plan_runs(["sams_vae"], **{"settings": SMALL, "epochs": 2} | other)
    with pytest.raises(InputError, match=named) as caught:
        run_sweep(Sweep("small", sweep.data, plans, sweep.out), screen)
    assert str(sweep.out / "runs") in caught.value.found
    assert (sweep.out / "table.csv").read_bytes() == table


def test_further_runs_of_the_same_experiment_are_added(sweep, screen, monkeypatch, tmp_path):
    out = Path(shutil.copytree(sweep.out, tmp_path / "b"))
    monkeypatch.setattr("cradle.benchmark.sweep.start_here", lambda *_, **__: lambda: 1)
    monkeypatch.setattr("cradle.benchmark.sweep._last_words", lambda _: "not fitted here")
    folds = (Fold("0"), Fold("1", ("CEBPA+CEBPE",)))
    plans = plan_runs(["sams_vae", "control_mean"], seeds=(1,), mads=(4,), folds=folds,
                      train_cells=("all", "passing"), settings=SMALL, epochs=2)  # fmt: skip
    begun = run_sweep(Sweep("small", sweep.data, plans, out), screen)
    assert {outcome.message for outcome in begun} == {"exit code 1: not fitted here"}


def test_other_data_are_refused(sweep, screen):
    screen.X.data[0] += 1
    with pytest.raises(InputError, match="other data"):
        run_sweep(sweep, screen)


def test_two_benchmarks_in_one_folder_are_refused(sweep, screen):
    import fcntl

    with (sweep.out / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="in use"):
            run_sweep(sweep, screen)


def test_a_failed_run_is_recorded_and_the_others_go_on(screen, screen_file, tmp_path):
    absent = tmp_path / "moved.h5ad"
    plans = plan_runs(["additive", "control_mean"])
    said = []
    outcomes = run_sweep(Sweep("s", str(absent), plans, tmp_path / "b"), screen, said.append)
    assert [o.status for o in outcomes] == ["failed", "failed"]
    assert all("exit code 2" in line and "moved.h5ad" in line for line in said)
    assert "moved.h5ad" in (tmp_path / "b" / "table.md").read_text()
    again = run_sweep(Sweep("s", str(screen_file), plans[:1], tmp_path / "b"), screen)
    assert [o.status for o in again] == ["done"]
    assert f"`{plans[0].folder}`" not in (tmp_path / "b" / "table.md").read_text()


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_benchmark_goes_on_where_it_was(screen_file, tmp_path, number):
    """By a signal to it alone, or by Ctrl-C in its terminal, which all of its group get."""
    out = tmp_path / "b"
    arguments = [
        "benchmark", str(screen_file), "--models", "additive,cradle_vae", "--out", str(out),
        "--epochs", "12", "--criteria", "umi_counts,mt_percent",
        *(part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")),
    ]  # fmt: skip
    command = [sys.executable, "-m", "cradle", *arguments]
    log = out / "runs" / "cradle_vae-all-mad3-fold0-seed0" / "fit.log"
    with subprocess.Popen(command, cwd=ROOT, env=os.environ, stderr=subprocess.PIPE,
                          process_group=0) as child:  # fmt: skip
        deadline = time.monotonic() + 300
        while not (log.is_file() and "epoch 3 " in log.read_text()):
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        send = os.killpg if number == signal.SIGINT else os.kill
        send(child.pid, number)
        child.stderr.read()
        assert child.wait(timeout=60) != 0
    if number == signal.SIGINT:  # passed on once: the epoch was finished
        said = log.read_text()
        assert said.count("Stopping at the end of this epoch") == 1
        assert "The same command with --resume continues" in said
    assert not (log.parent / "DONE").exists()
    first = out / "runs" / "additive-all-mad3-fold0-seed0"
    before = (first / "config.json").stat().st_mtime_ns
    assert set(pd.read_csv(out / "table.csv")["model"]) >= {"additive", "ceiling"}
    if number == signal.SIGTERM:  # how it goes on does not hang on what stopped it
        return

    done = subprocess.run([*command, "--json"], cwd=ROOT, env=os.environ, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [run["status"] for run in json.loads(done.stdout)["runs"]] == ["kept", "done"]
    assert (first / "config.json").stat().st_mtime_ns == before
    assert log.read_text().count("epoch 1 ") == 1  # continued, not begun again
    table = pd.read_csv(out / "table.csv")
    assert _value(table, "cradle_vae", "all", "ate_rho") == pytest.approx(
        Run.load(log.parent).metrics["all"]["ate_rho"]
    )
    assert np.isnan(_value(table, "cradle_vae", "all", "peak_mb"))  # a part of it was not measured

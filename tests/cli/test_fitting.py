"""``models`` and ``fit``."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

import cradle.fitting
from cradle.cli import termination
from cradle.progress import read_progress

ROOT = Path(__file__).resolve().parents[2]


def test_models_lists_the_registry(cli):
    rows = {row["name"]: row for row in cli("models", "--json").json["models"]}
    assert {"cradle_vae", "cradle_vae_no_counterfactual", "cradle_vae_no_causal",
            "cradle_vae_reference", "additive", "matching_mean", "perturbed_mean",
            "control_mean"} <= set(rows)  # fmt: skip
    assert set(rows["cradle_vae"]) == {"name", "label", "generates", "combinations", "settings"}
    assert rows["cradle_vae"]["generates"] is True
    assert rows["additive"]["generates"] is False
    assert rows["cradle_vae_no_counterfactual"]["settings"]["counterfactual_weight"] == 0
    assert "CRADLE-VAE" in cli("models").out
    assert "By the size of the data unless given: n_latent" in cli("models").out


def test_fit_reports_and_leaves_a_complete_run(fitted):
    outcome, folder = fitted
    report = outcome.json
    assert set(report) == {"run", "model", "epochs", "val_elbo", "seconds", "n_train",
                           "n_parameters"}  # fmt: skip
    assert (report["run"], report["model"]) == (str(folder), "cradle_vae")
    assert 1 <= report["epochs"] <= 3
    split = pd.read_csv(folder / "split.csv.gz")["split"]
    assert report["n_train"] == (split == "train").sum()
    assert report["n_parameters"] > 0
    assert (folder / "DONE").exists()
    assert "epoch 1" in outcome.err
    names = ("config.json", "weights.safetensors", "genes.csv", "perturbations.csv",
             "thresholds.json", "history.csv", "provenance.json", "library_sizes.csv",
             "observed_effects.csv", "metrics.json")  # fmt: skip
    assert [name for name in names if not (folder / name).is_file()] == []


def test_settings_are_typed_and_saved(fitted):
    config = json.loads((fitted[1] / "config.json").read_text())
    assert config["settings"]["n_latent"] == 6


def test_a_baseline_has_no_epochs(cli, screen_file, tmp_path):
    outcome = cli("fit", screen_file, "--model", "additive", "--out", tmp_path / "a", "--json")
    assert outcome.code == 0, outcome.err
    assert {outcome.json[k] for k in ("epochs", "n_parameters")} == {0}
    assert outcome.json["val_elbo"] is None


def test_options_reach_the_run(cli, screen_file, tmp_path):
    held_out = "CEBPA+CEBPE"
    outcome = cli(
        "fit", screen_file, "--model", "additive", "--out", tmp_path / "r", "--mad", "4",
        "--test-combinations", "CEBPE+CEBPA", "--train-cells", "passing",
        "--criteria", "umi_counts,mt_percent",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(tmp_path / "r" / "perturbations.csv").set_index("perturbation")
    assert table.index[table["held_out"]].tolist() == [held_out]
    thresholds = json.loads((tmp_path / "r" / "thresholds.json").read_text())
    assert thresholds["mad"] == 4
    assert thresholds["criteria"] == ["umi_counts", "mt_percent"]


def test_bad_input_is_refused_before_anything_is_written(refused, screen, screen_file, tmp_path):
    out = tmp_path / "run"
    fit = ("fit", screen_file, "--out", out)
    refused(*fit, "--model", "cradle", says="cradle_vae")
    refused(*fit, "--model", "cradle_vae", "--set", "n_latnet=3", says="n_latnet")
    refused(*fit, "--model", "cradle_vae", "--set", "n_latent=many", says="n_latent")
    refused(*fit, "--model", "cradle_vae", "--criteria", "beauty", says="beauty")
    refused(*fit, "--model", "cradle_vae", "--test-combinations", "CEBPA+NOPE", says="NOPE")
    del screen.obs["perturbation"]
    screen.write_h5ad(tmp_path / "unlabelled.h5ad")
    refused("fit", tmp_path / "unlabelled.h5ad", "--model", "additive", "--out", out,
            says="perturbation")  # fmt: skip
    assert not out.exists()


def test_a_fit_that_diverges_says_so_and_what_to_do(refused, screen_file, small, tmp_path):
    outcome = refused(
        "fit", screen_file, "--model", "cradle_vae", "--out", tmp_path / "run", *small,
        "--set", "learning_rate=1e8", says="is not finite",
    )  # fmt: skip
    assert "Do: Lower the learning rate" in outcome.err
    assert not (tmp_path / "run" / "DONE").exists()


@pytest.mark.parametrize("option", ["--seed", "--split-seed"])
@pytest.mark.parametrize("seed", [-1, 2**32])
def test_impossible_seeds_are_refused(refused, screen_file, tmp_path, option, seed):
    out = tmp_path / "run"
    refused("fit", screen_file, "--model", "additive", "--out", out, option, seed,
            says="out of range")  # fmt: skip
    assert not out.exists()


def test_a_split_of_the_file_is_kept_and_said_so(cli, screen, tmp_path):
    screen.obs["split"] = ["val" if i % 3 == 0 else "train" for i in range(screen.n_obs)]
    screen.write_h5ad(tmp_path / "split.h5ad")
    fit = ("fit", tmp_path / "split.h5ad", "--model", "additive", "--out")
    said = cli(*fit, tmp_path / "a", "--split-seed", "7").err
    assert "its own split" in said
    assert "--split-seed has no effect" in said
    assert "no effect" not in cli(*fit, tmp_path / "b").err
    provenance = json.loads((tmp_path / "a" / "provenance.json").read_text())
    assert provenance["data"]["split"] == "column split of the file"
    used = pd.read_csv(tmp_path / "a" / "split.csv.gz").set_index("cell")["split"]
    assert (used == screen.obs["split"].loc[used.index]).all()
    named = cli(*fit, tmp_path / "c", "--test-combinations", "CEBPA+CEBPE")
    assert "its own split" not in named.err


def test_an_existing_run_is_not_written_over(refused, screen_file, run_folder):
    before = (run_folder / "weights.safetensors").read_bytes()
    refused("fit", screen_file, "--model", "additive", "--out", run_folder, says="in use")
    assert (run_folder / "weights.safetensors").read_bytes() == before


def test_resuming_a_finished_run_returns_it(cli, screen_file, fitted, small):
    outcome, folder = fitted
    again = cli("fit", screen_file, "--model", "cradle_vae", "--out", folder, *small, "--resume",
                "--json")  # fmt: skip
    assert again.json == outcome.json


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_fit_is_not_a_success_and_can_be_resumed(cli, screen_file, tmp_path, number):
    arguments = ["fit", str(screen_file), "--model", "cradle_vae", "--out", str(tmp_path / "r"),
                 "--set", "n_latent=6", "--set", "n_hidden=16", "--epochs", "40",
                 "--set", "patience=40"]  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-m", "cradle", *arguments],
        cwd=ROOT, env=os.environ, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with child:
        for line in child.stderr:
            if line.startswith("epoch 3 "):
                child.send_signal(number)
                break
        said = child.stderr.read()
        assert child.wait(timeout=60) == 1
    assert "--resume continues" in said
    assert "Traceback" not in said
    assert not (tmp_path / "r" / "DONE").exists()
    stopped = read_progress(tmp_path / "r")
    assert 3 <= stopped.epochs < 40, "the state of the last epoch is kept"
    assert len(pd.read_csv(tmp_path / "r" / "history.csv")) == stopped.epochs
    resumed = cli(*arguments, "--resume", "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.json["epochs"] == 40
    first = next(line for line in resumed.err.splitlines() if line.startswith("epoch "))
    assert first.startswith(f"epoch {stopped.epochs + 1} of")
    assert resumed.json["seconds"] > stopped.seconds, "all parts count"


def test_a_stop_that_a_library_has_swallowed_is_heeded(
    cli, small, screen_file, tmp_path, monkeypatch
):
    """Some import in a bare ``try``, which loses what the handler of SIGTERM raises."""
    monkeypatch.setattr(termination, "asked", threading.Event())
    fit, command = cradle.fitting.fit, ("fit", screen_file, "--model", "cradle_vae", *small)

    def after_a_library(*arguments, **options):
        with contextlib.suppress(SystemExit):
            termination.end()
        return fit(*arguments, **options)

    monkeypatch.setattr(cradle.fitting, "fit", after_a_library)
    stopped = cli(*command, "--out", tmp_path / "r")
    assert stopped.code == 1
    assert "--resume continues" in stopped.err
    assert read_progress(tmp_path / "r").epochs == 1
    with pytest.raises(SystemExit):  # before anything was fitted
        cli(*command, "--out", tmp_path / "s")
    assert not (tmp_path / "s").exists()


@pytest.mark.usefixtures("interruptible")
def test_who_interrupts_twice_means_at_once(cli, screen_file, small, tmp_path, monkeypatch):
    validations = []

    def twice(*_):
        validations.append(1)
        if len(validations) == 2:  # before the first epoch ends there is nothing to keep
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("cradle.training.EpochLoop.on_validation_start", twice)
    outcome = cli("fit", screen_file, "--model", "cradle_vae", "--out", tmp_path / "r", *small)
    assert outcome.code == 1
    assert outcome.err.endswith("ask again to stop at once.\nStopped before it was done.\n")

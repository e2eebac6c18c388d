"""Run directories that a stranger may have written: refused by name, and nothing is run."""

import gzip
import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cradle.errors import InputError
from cradle.fitting import fit
from cradle.models.config import VAEConfig
from cradle.models.registry import MODELS
from cradle.run_tables import read_table
from cradle.runs import Run

ROOT = Path(__file__).resolve().parent.parent
QUICK = {"n_latent": 4, "n_hidden": 8}


@pytest.fixture(scope="module")
def original(_small_screen, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    fit(_small_screen.copy(), "cradle_vae", QUICK, out=out, epochs=1, criteria=["umi_counts"])
    return out


@pytest.fixture
def folder(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "run"))


def use(folder):
    """Everything that pages and commands read."""
    run = Run.load(folder)
    for part in ("perturbations", "thresholds", "split", "history", "provenance", "metrics",
                 "library_sizes", "moments", "predicted_effects"):  # fmt: skip
        getattr(run, part)
    run.predictor().generate("control", 2)


def refused(folder, pattern):
    with pytest.raises(InputError, match=pattern) as caught:
        use(folder)
    return caught.value


class Payload:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_the_original_is_fine(folder):
    use(folder)


@pytest.mark.parametrize(
    "found",
    [{"factor": 0.5}, {"factor": -2}, {"factor": 1e9}, {"factor": float("nan")}, {"factor": "3"},
     {"factor": None}, {"floor": -0.1}, {"floor": 1e9}, {"floor": [2]}, {"floor": float("inf")}],
)  # fmt: skip
def test_intervals_are_not_widened_by_what_cannot_be(folder, found):
    (folder / "intervals.json").write_text(json.dumps({"factor": 2.0, "floor": 0.1, **found}))
    refused(folder, "intervals.json")


def test_a_run_without_the_file_has_the_intervals_of_its_posterior(folder):
    wide = Run.load(folder).predictor().treatment_effects("CEBPA")
    widening = Run.load(folder).widening
    (folder / "intervals.json").unlink()
    narrow = Run.load(folder).predictor().treatment_effects("CEBPA")
    np.testing.assert_allclose(
        wide.upper - wide.mean, widening.of(narrow.upper - narrow.mean), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "moments.safetensors", "config.json", "thresholds.json",
             "genes.csv", "split.csv.gz", "provenance.json"],
)  # fmt: skip
def test_a_pickle_is_never_run(folder, tmp_path, name):
    (folder / name).write_bytes(pickle.dumps(Payload(tmp_path / "pwned")))
    refused(folder, name)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("settings", "pattern"),
    [
        ({"n_hidden": 60_000, "n_latent": 60_000}, "do not fit"),  # 14 GB for one matrix
        ({"n_hidden": 10**8}, "out of range"),
        ({"n_decoder_layers": 10**6}, "out of range"),
        ({"n_embedding_layers": 64}, "do not fit"),
        ({"n_particles": 10**6}, "out of range"),
        ({"n_latent": -1}, "out of range"),
        ({"n_latent": "4; import os"}, "wrong kind"),
        ({"surprise": 1}, "unknown"),
        ({"library_size": float("nan")}, "out of range"),
    ],
)
def test_oversized_and_impossible_settings_cost_no_memory(folder, settings, pattern):
    config = json.loads((folder / "config.json").read_text())
    config["settings"] |= settings
    (folder / "config.json").write_text(json.dumps(config))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(folder, pattern)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


@pytest.mark.parametrize("name", sorted(n for n, spec in MODELS.items() if spec.generates))
def test_every_network_can_be_laid_out_without_memory(original, name):
    import torch

    shape = Run.load(original)._shape()
    spec = MODELS[name]
    with torch.device("meta"):
        network = spec.network(shape, spec.config({"n_latent": 3, "n_hidden": 5}))
    real = spec.network(shape, spec.config({"n_latent": 3, "n_hidden": 5}))
    assert {k: v.shape for k, v in network.state_dict().items()} == {
        k: v.shape for k, v in real.state_dict().items()
    }


@pytest.mark.parametrize("name", ["genes.csv", "provenance.json", "weights.safetensors"])
def test_links_out_of_the_run_are_not_followed(folder, tmp_path, name):
    shutil.move(folder / name, tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    assert "a link" in refused(folder, name).found


def test_a_pipe_does_not_hang(folder):
    (folder / "genes.csv").unlink()
    os.mkfifo(folder / "genes.csv")
    refused(folder, r"genes\.csv")


def test_a_table_that_unpacks_to_gigabytes(folder, monkeypatch):
    monkeypatch.setattr("cradle.run_tables.MAX_BYTES", 10_000)
    (folder / "split.csv.gz").write_bytes(gzip.compress(b"cell,split\n" + b"x,train\n" * 10_000))
    refused(folder, r"split\.csv\.gz")


@pytest.mark.parametrize(
    ("name", "column", "value", "why"),
    [
        ("perturbations.csv", "held_out", "maybe", "True nor False"),
        ("perturbations.csv", "n_train", -1, "impossible number"),
        ("perturbations.csv", "n_train", "many", "not a number"),
        ("perturbations.csv", "perturbation", "", "missing"),
        ("library_sizes.csv", "library_size", 0, "impossible number"),
        ("library_sizes.csv", "library_size", "inf", "impossible number"),
        ("library_sizes.csv", "artifact", 2, "impossible number"),
        ("genes.csv", "log1p_sd", "nan", "not a number"),
        ("genes.csv", "mean_profile", 1.5, "impossible number"),
    ],
)
def test_impossible_values_in_tables(folder, name, column, value, why):
    table = pd.read_csv(folder / name)
    table[column] = table[column].astype(object)
    table.loc[0, column] = value
    table.to_csv(folder / name, index=False)
    assert why in refused(folder, name).found


@pytest.mark.parametrize("name", ["genes.csv", "perturbations.csv", "split.csv.gz"])
def test_names_that_stand_twice_and_tables_without_rows(folder, name):
    table = pd.read_csv(folder / name)
    pd.concat([table, table.iloc[:1]]).to_csv(folder / name, index=False)
    assert "twice" in refused(folder, name).found
    table.iloc[:0].to_csv(folder / name, index=False)
    assert "no rows" in refused(folder, name).found


def test_a_baseline_has_an_empty_history(screen, tmp_path):
    run = fit(screen, "additive", out=tmp_path / "run", criteria=["umi_counts"])
    assert read_table(run.path / "history.csv").empty


@pytest.mark.parametrize("name", ["moments.safetensors", "predicted_effects.safetensors"])
def test_tables_of_other_genes(folder, name):
    genes = pd.read_csv(folder / "genes.csv")
    genes.loc[0, "gene"] = "ANOTHER"
    genes.to_csv(folder / "genes.csv", index=False)
    run = Run.load(folder)
    with pytest.raises(InputError, match="other genes"):
        getattr(run, name.removesuffix(".safetensors"))


@pytest.mark.parametrize("content", ["[]", "3", "null", '"x"', "[" * 5000, '{"a": NaN', ""])
def test_json_that_is_no_object(folder, content):
    (folder / "config.json").write_text(content)
    refused(folder, r"config\.json")


def test_the_caps_are_above_every_default():
    config = VAEConfig.from_mapping({"n_hidden": 65_536, "n_latent": 65_536, "n_particles": 1000})
    assert config.n_hidden == 65_536
    assert np.isfinite(config.learning_rate)


def test_a_short_fuzz_campaign_finds_nothing():
    """The long one is in assets/benchmarks/robustness/fuzz.csv."""
    command = [sys.executable, "-m", "benchmarks.fuzz", "--n", "30",
               "--stores", "15", "--runs", "15", "--seed", "9"]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

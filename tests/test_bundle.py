"""The bundle holds what is needed to make the same cells again, and the command in it does."""

import io
import json
import shlex
import zipfile

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cradle.bundle import bundle, command, origin
from cradle.cli.main import main
from cradle.fitting import fit
from cradle.runs import Run


@pytest.fixture(scope="module")
def run(_small_screen, tmp_path_factory):
    small = {"n_latent": 4, "n_hidden": 8}
    out = tmp_path_factory.mktemp("runs") / "run"
    return fit(_small_screen.copy(), "cradle_vae", small, out=out, epochs=1)


def test_the_command_in_the_bundle_makes_the_same_cells(run: Run, tmp_path, monkeypatch):
    pair = run.held_out[0]
    query = {"perturbation": pair, "n_cells": 20, "artifact": "twins", "seed": 3,
             "library_size": 5000.0}  # fmt: skip
    cells = run.predictor().generate(pair, 20, artifact="twins", seed=3, library_size=5000.0)
    cells.write_h5ad(tmp_path / "made.h5ad")
    table = pd.DataFrame({"=name": ["=1+1", "b"], "x": [1.0, 2.0]})
    content = bundle(run, "ab" * 32, query, (tmp_path / "made.h5ad").read_bytes(), {"cells": table})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    assert set(files) == {"README.txt", "query.json", "model_card.json", "cells.h5ad", "cells.csv"}
    record = json.loads(files["query.json"])
    assert record["query"] == query
    assert record["support"] == "held-out combination"
    assert record["run"]["sha256"] == "ab" * 32
    assert record["data"]["hash"] == run.config["data_hash"]
    assert "torch" in record["versions"]
    assert record["thresholds"]["mad"] == run.config["mad"]
    assert b"simulated cells" in files["README.txt"]
    assert b"'=1+1" in files["cells.csv"], "no cell can run as a formula"
    words = shlex.split(record["command"])
    assert record["command"] in files["README.txt"].decode()
    monkeypatch.chdir(run.path.parent)
    again = tmp_path / "again.h5ad"
    assert main([*words[3:-1], str(again)]) == 0
    stored = ad.read_h5ad(io.BytesIO(files["cells.h5ad"]))
    said = ad.read_h5ad(again).uns["cradle"]["generated"]
    assert {key: said[key] for key in query} == query
    assert (said["run"], said["model"]) == (run.name, "cradle_vae")
    assert said["data_hash"] == run.config["data_hash"]
    assert said["simulated"] is np.True_ or said["simulated"] is True
    assert said["qc_mad"] == run.config["mad"]
    assert list(said["qc_criteria"]) == list(run.config["criteria"])
    assert "torch" in said["versions"]
    np.testing.assert_array_equal(ad.read_h5ad(again).X.toarray(), stored.X.toarray())


def test_a_drawn_library_size_is_not_in_the_command(run: Run):
    query = {"perturbation": "control", "n_cells": 5, "artifact": "off", "seed": 0,
             "library_size": None}  # fmt: skip
    assert "--library-size" not in command(run, query)
    assert origin(run, query)["library_size"] == "drawn from training cells"
    with zipfile.ZipFile(io.BytesIO(bundle(run, "", query, b"", {}))) as archive:
        assert json.loads(archive.read("query.json"))["support"] == "seen"

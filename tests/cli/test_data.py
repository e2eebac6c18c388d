"""``datasets``, ``fetch``, ``validate``, ``simulate``."""

import shutil

import anndata as ad
import numpy as np
import pandas as pd
import pytest

CATALOGUE = {"norman", "dixit", "replogle", "adamson", "norman_subset", "papalexi", "demo"}


def raw(labels, *, x=None, genes=30):
    """A file as a user has it: counts and a label per cell."""
    x = np.random.default_rng(0).poisson(2.0, (len(labels), genes)) if x is None else x
    return ad.AnnData(
        np.asarray(x, dtype=np.float32),
        obs=pd.DataFrame({"perturbation": labels}, index=[f"c{i}" for i in range(len(labels))]),
        var=pd.DataFrame(index=[f"GENE{i}" for i in range(x.shape[1])]),
    )


@pytest.fixture
def user_file(tmp_path):
    path = tmp_path / "mine.h5ad"
    raw(["control", "GENE1", "GENE2", "GENE1,GENE2"] * 5).write_h5ad(path)
    return path


def test_datasets_lists_the_catalogue_with_availability(cli):
    rows = {row["name"]: row for row in cli("datasets", "--json").json["datasets"]}
    assert set(rows) == CATALOGUE
    assert rows["norman"]["state"] == "downloadable"
    assert "norman_subset" in cli("datasets").out


def test_datasets_finds_files_in_the_data_folder(cli, real_data, monkeypatch):
    monkeypatch.setenv("CRADLE_DATA_DIR", str(real_data("papalexi2021_eccite.h5ad").parent))
    rows = {row["name"]: row for row in cli("datasets", "--json").json["datasets"]}
    assert rows["papalexi"]["state"] == "local"


def test_fetch_returns_what_is_there_already(cli, real_data, tmp_path, monkeypatch):
    shutil.copy(real_data("norman2019_subset.h5ad"), tmp_path)
    monkeypatch.setenv("CRADLE_DATA_DIR", str(tmp_path))
    report = cli("fetch", "norman_subset", "--json").json
    assert report["path"] == str(tmp_path / "norman2019_subset.h5ad")


def test_fetch_refuses_an_unknown_name(refused):
    assert "norman" in refused("fetch", "normann", says="no dataset").err


def test_validate_accepts_a_simulated_screen(cli, screen_file):
    report = cli("validate", screen_file, "--json").json
    assert report == {"ok": True, "violations": [], "n_cells": 900, "n_genes": 300}


def test_validate_writes_the_standard_form(cli, user_file, tmp_path):
    outcome = cli("validate", user_file, "--out", tmp_path / "standard.h5ad")
    assert outcome.code == 0, outcome.err
    standard = ad.read_h5ad(tmp_path / "standard.h5ad")
    assert set(standard.obs["perturbation"]) == {"control", "GENE1", "GENE2", "GENE1+GENE2"}


def test_validate_reads_as_it_is_told(cli, tmp_path):
    adata = raw(["mock", "GENE1"] * 4)
    adata.obs = adata.obs.rename(columns={"perturbation": "what"})
    adata.write_h5ad(tmp_path / "odd.h5ad")
    assert cli("validate", tmp_path / "odd.h5ad").code == 2
    told = ("--perturbation-column", "what", "--control", "mock")
    assert cli("validate", tmp_path / "odd.h5ad", *told).code == 0


def test_options_of_reading_are_refused_for_a_standard_file(cli, refused, screen_file):
    outcome = cli("validate", screen_file, "--control", "nosuch", "--json")
    assert (outcome.code, len(outcome.json["violations"])) == (2, 1)
    assert "control='nosuch'" in outcome.json["violations"][0]["found"]
    told = ("--perturbation-column", "nosuch", "--counts", "nolayer", "--control", "X")
    refused("qc", screen_file, *told, says="counts='nolayer'")


def broken_files(folder):
    """Name -> what is wrong with the file of that name."""
    (folder / "text.h5ad").write_text("not a table of cells")
    (folder / "empty.h5ad").touch()
    (folder / "folder.h5ad").mkdir()
    raw(["control", "GENE1"] * 4).write_h5ad(folder / "whole.h5ad")
    (folder / "cut.h5ad").write_bytes((folder / "whole.h5ad").read_bytes()[:3000])
    raw(["GENE1", "GENE2"] * 4).write_h5ad(folder / "no_control.h5ad")
    logged = np.log1p(np.random.default_rng(0).poisson(2.0, (8, 30)) * 1.7)
    raw(["control", "GENE1"] * 4, x=logged).write_h5ad(folder / "logged.h5ad")
    return ("text", "empty", "folder", "cut", "no_control", "logged", "missing")


def test_validate_says_what_is_wrong_and_still_prints_json(cli, tmp_path):
    for name in broken_files(tmp_path):
        outcome = cli("validate", tmp_path / f"{name}.h5ad", "--json")
        assert outcome.code == 2, name
        assert outcome.json["ok"] is False
        first = outcome.json["violations"][0]
        assert set(first) == {"what", "found", "do"}
        assert first["what"] in outcome.err
        assert "Traceback" not in outcome.err


def test_validate_lists_every_violation_of_a_standard_file(cli, screen, tmp_path):
    screen.obs["library_size"] = 1.0
    screen.obs["split"] = "elsewhere"
    screen.write_h5ad(tmp_path / "two.h5ad")
    outcome = cli("validate", tmp_path / "two.h5ad", "--json")
    assert outcome.code == 2
    assert len(outcome.json["violations"]) == 2


def test_validate_real_files(cli, real_data):
    report = cli("validate", real_data("norman2019_subset.h5ad"), "--json").json
    assert (report["ok"], report["n_cells"], report["n_genes"]) == (True, 3375, 500)
    logged = real_data("norman2019_devel_lognorm.h5ad")
    assert cli("validate", logged).code == 2
    assert cli("validate", logged, "--invert-log1p").code == 0


def test_simulate_gives_the_same_file_content_for_the_same_seed(cli, tmp_path):
    size = ("--cells", 400, "--genes", 250, "--perturbations", 4, "--pairs", 2)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert cli("simulate", tmp_path / f"{name}.h5ad", *size, "--seed", seed).code == 0
    a, b, c = (ad.read_h5ad(tmp_path / f"{name}.h5ad") for name in "abc")
    assert a.shape == (400, 250)
    assert a.obs["perturbation"].nunique() == 1 + 4 + 2
    assert (a.X != b.X).nnz == 0
    assert (a.X != c.X).nnz > 0


def test_simulate_on_real_cells(cli, real_data, tmp_path):
    base = real_data("pbmc3k_raw.h5ad")
    outcome = cli("simulate", tmp_path / "s.h5ad", "--base", base, "--cells", 300, "--genes", 400,
                  "--perturbations", 4, "--pairs", 2, "--json")  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert outcome.json["n_cells"] == 300
    assert cli("validate", tmp_path / "s.h5ad").code == 0


def test_simulate_says_what_the_truth_allows(cli, tmp_path):
    size = ("--cells", 600, "--genes", 300, "--perturbations", 3, "--pairs", 1, "--ceiling")
    outcome = cli("simulate", tmp_path / "s.h5ad", *size, "--json")
    ceiling = outcome.json["ceiling"]
    assert 0.5 < ceiling["effect_correlation"]["all_cells"]["singles"] < 1
    assert ceiling["clean_pass_rate"]["3"] > ceiling["observed_pass_rate"]["3"]
    said = cli("simulate", tmp_path / "t.h5ad", *size, "--pairs", 0).out
    assert "(singles); " in said
    assert "of the clean cells pass quality control" in said


def test_simulate_refuses_too_few_cells(refused, tmp_path):
    refused("simulate", tmp_path / "s.h5ad", "--cells", 10, says="n_cells")
    assert list(tmp_path.glob("*.h5ad")) == []


def test_simulate_takes_the_number_of_cells_from_its_base(cli, screen_file, tmp_path):
    outcome = cli("simulate", tmp_path / "s.h5ad", "--base", screen_file, "--genes", 300,
                  "--perturbations", 4, "--pairs", 2, "--json")  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert outcome.json["n_cells"] == 900


def test_validate_says_which_cells_were_left_out(cli, tmp_path):
    path = tmp_path / "gaps.h5ad"
    raw(["control", "GENE1", "", "*", "GENE2", "GENE2"] * 3).write_h5ad(path)
    assert "6 unassigned" in cli("validate", path).err

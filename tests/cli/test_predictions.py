"""``generate``, ``effects``, ``evaluate``."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def generate(cli, run_folder, tmp_path):
    """``generate("A+B", "--seed", 1) -> AnnData`` from the small run."""

    def run(query, *options):
        out = tmp_path / "cells.h5ad"
        outcome = cli("generate", run_folder, "--perturbation", query, "--n-cells", 40, "--out",
                      out, *options, "--json")  # fmt: skip
        assert outcome.code == 0, outcome.err
        return ad.read_h5ad(out), outcome.json

    return run


def test_generated_cells_have_counts_and_quality_columns(generate):
    cells, report = generate("KLF1+CEBPA")
    assert report["perturbation"] == "CEBPA+KLF1"
    assert report["n_cells"] == cells.n_obs == 40
    assert set(cells.obs["perturbation"]) == {"CEBPA+KLF1"}
    assert set(cells.obs["artifact"]) == {"off"}
    assert np.array_equal(cells.X.data, np.rint(cells.X.data))
    columns = {"library_size", "qc_fail", "umi_counts", "genes_detected", "mt_percent",
               "ribo_percent", "hb_percent", "doublet"}  # fmt: skip
    assert columns <= set(cells.obs)


def test_the_same_seed_gives_the_same_cells(generate):
    first, again, other = (generate("KLF1", "--seed", s)[0].X for s in (1, 1, 2))
    assert (first != again).nnz == 0
    assert (first != other).nnz > 0


def test_twins_come_in_pairs_of_one_library_size(generate):
    cells, report = generate("control", "--artifact", "twins")
    assert set(report["pass_rate"]) == {"off", "on"}
    off, on = (cells.obs[cells.obs["artifact"] == a].set_index("twin") for a in ("off", "on"))
    assert sorted(off.index) == sorted(on.index)
    assert off["library_size"].equals(on["library_size"].loc[off.index])


def test_a_fixed_library_size_is_used(generate):
    cells, _ = generate("KLF1", "--library-size", 4321)
    assert set(cells.obs["library_size"]) == {4321}


def test_generate_refuses_what_the_model_cannot_express(cli, refused, run_folder, screen_file,
                                                        tmp_path):  # fmt: skip
    common = ("--n-cells", 5, "--out", tmp_path / "c.h5ad")
    refused("generate", run_folder, "--perturbation", "NOSUCHGENE", *common, says="NOSUCHGENE")
    refused("generate", tmp_path / "nowhere", "--perturbation", "KLF1", *common, says="no run")
    cli("fit", screen_file, "--model", "additive", "--out", tmp_path / "a")
    refused("generate", tmp_path / "a", "--perturbation", "KLF1", *common, says="not cells")
    assert not (tmp_path / "c.h5ad").exists()


def test_effects_table_has_a_row_for_every_perturbation_gene_and_split(cli, run_folder, tmp_path):
    outcome = cli("effects", run_folder, "--out", tmp_path / "effects.csv", "--json")
    assert outcome.code == 0, outcome.err
    table = pd.read_csv(tmp_path / "effects.csv")
    assert list(table.columns) == ["perturbation", "gene", "observed", "predicted", "lower",
                                   "upper", "split", "support"]  # fmt: skip
    assert table["perturbation"].nunique() == 11
    assert (table.groupby(["perturbation", "split"])["gene"].nunique() == 300).all()
    assert not table.duplicated(["perturbation", "gene", "split"]).any()
    assert set(table["support"]) <= {"seen", "held-out combination", "gene never seen"}
    assert (table["lower"] <= table["upper"]).all()
    known = pd.read_csv(run_folder / "perturbations.csv").set_index("perturbation")["held_out"]
    assert (table["split"].eq("test") == table["perturbation"].map(known)).all()
    assert table["support"].eq("seen").ne(table["perturbation"].map(known)).all()


def test_effects_of_control_cells_alone_are_none(cli, refused, screen, tmp_path):
    screen[screen.obs["perturbation"] == "control"].copy().write_h5ad(tmp_path / "control.h5ad")
    fitted = cli("fit", tmp_path / "control.h5ad", "--model", "control_mean", "--out",
                 tmp_path / "run")  # fmt: skip
    assert fitted.code == 0, fitted.err
    out = tmp_path / "effects.csv"
    refused("effects", tmp_path / "run", "--out", out, says="no effects to tabulate")
    assert not out.exists()


def test_names_in_the_effects_table_cannot_run_as_formulas(cli, run_folder, tmp_path, monkeypatch):
    from cradle.evaluation import report

    names = {"perturbation": ["=A1", "+B"], "gene": ["@SUM(A1)", "-C"]}
    table = pd.DataFrame({**names, "observed": [-0.5, 1.0], "predicted": [0.0, None]})
    monkeypatch.setattr(report, "effect_table", lambda run: table)
    outcome = cli("effects", run_folder, "--out", tmp_path / "effects.csv", "--json")
    assert outcome.code == 0, outcome.err
    lines = (tmp_path / "effects.csv").read_text().splitlines()
    assert lines == [
        "perturbation,gene,observed,predicted",
        "'=A1,'@SUM(A1),-0.5,0.0",
        "'+B,'-C,1.0,",
    ]
    # a prediction that is not there is named, not left for the reader to find
    assert outcome.json["not_applicable"] == ["+B"]


def test_evaluate_prints_the_agreed_form(cli, run_folder):
    report = cli("evaluate", run_folder, "--json").json
    assert {"test", "val", "train", "all", "floor", "replicate", "ceiling"} <= set(report)
    for split in ("test", "all"):
        assert {"ate_rho", "ate_r2", "jaccard_50"} <= set(report[split])
    assert {"additive", "matching_mean", "perturbed_mean", "control_mean"} <= set(report["floor"])
    assert {"3", "4", "5"} <= set(report["test"]["qcpr"])
    assert {"rate", "low", "high", "n", "criteria", "observed"} <= set(report["test"]["qcpr"]["3"])
    assert {"effect_correlation_seen", "effect_correlation_heldout", "clean_pass_rate",
            "artifact_correlation"} <= set(report["truth"])  # fmt: skip


def test_evaluate_with_the_cells_agrees_with_the_stored_tables(cli, run_folder, screen_file):
    stored = cli("evaluate", run_folder, "--json").json
    fresh = cli("evaluate", run_folder, "--data", screen_file, "--json").json
    assert fresh["test"]["ate_rho"] == pytest.approx(stored["test"]["ate_rho"], abs=1e-6)


def test_text_shows_floor_and_ceiling_and_which_groups_have_few_cells(cli, run_folder):
    out = cli("evaluate", run_folder).out
    warnings = cli("evaluate", run_folder, "--json").json["record"]["warnings"]
    assert all(word in out for word in ("ate_rho", "additive", "ceiling"))
    assert warnings
    assert set(warnings) <= set(out.splitlines())


@pytest.mark.parametrize("command", ["evaluate", "effects"])
def test_other_data_are_refused(refused, run_folder, screen, tmp_path, command):
    other = screen[:-1].copy()
    other.write_h5ad(tmp_path / "other.h5ad")
    out = ("--out", tmp_path / "e.csv") if command == "effects" else ()
    refused(command, run_folder, "--data", tmp_path / "other.h5ad", *out,
            says="not the data")  # fmt: skip


@pytest.mark.parametrize("command", ["evaluate", "effects"])
def test_an_incomplete_run_is_refused(refused, run_folder, tmp_path, command):
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "config.json").write_text((run_folder / "config.json").read_text())
    out = ("--out", tmp_path / "e.csv") if command == "effects" else ()
    refused(command, unfinished, *out, says="incomplete")

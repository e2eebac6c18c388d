"""``qc``."""

import anndata as ad
import numpy as np
import pytest

CRITERIA = ("umi_counts", "genes_detected", "mt_percent", "ribo_percent", "hb_percent", "doublet")


def test_report_has_the_agreed_form(cli, screen_file):
    report = cli("qc", screen_file, "--json").json
    assert {"n_cells", "n_fail", "pass_rate", "fitted_on", "thresholds"} <= set(report)
    assert report["pass_rate"] == pytest.approx(1 - report["n_fail"] / report["n_cells"])
    assert tuple(report["thresholds"]) == CRITERIA
    for name, row in report["thresholds"].items():
        assert {"threshold", "side", "n_fail", "measurable", "reason", "maybe_biology", "median",
                "mad"} <= set(row)  # fmt: skip
        assert row["side"] == ("low" if name in ("umi_counts", "genes_detected") else "high")
        assert row["measurable"] or (row["threshold"] is None and row["reason"])


def test_thresholds_are_median_and_mad_of_the_file(cli, screen, screen_file):
    row = cli("qc", screen_file, "--mad", "2", "--json").json["thresholds"]["umi_counts"]
    sizes = screen.obs["library_size"].to_numpy()
    median = np.median(sizes)
    threshold = median - 2 * np.median(np.abs(sizes - median))
    assert row["threshold"] == pytest.approx(threshold)
    assert row["n_fail"] == int((sizes < threshold).sum())


def test_a_split_in_the_file_decides_what_is_fitted_on(cli, screen, tmp_path):
    split = np.where(np.arange(screen.n_obs) < 600, "train", "val")
    screen.obs["split"] = split
    screen.write_h5ad(tmp_path / "split.h5ad")
    report = cli("qc", tmp_path / "split.h5ad", "--json").json
    assert "600" in report["fitted_on"]
    sizes = screen.obs["library_size"].to_numpy()[:600]
    assert report["thresholds"]["umi_counts"]["median"] == pytest.approx(np.median(sizes))


def test_without_a_split_all_cells_are_used_and_the_report_says_so(cli, screen_file):
    assert "all 900 cells" in cli("qc", screen_file, "--json").json["fitted_on"]


def test_flags_are_written_and_agree_with_the_report(cli, screen_file, tmp_path):
    outcome = cli("qc", screen_file, "--out", tmp_path / "flagged.h5ad", "--json")
    obs = ad.read_h5ad(tmp_path / "flagged.h5ad").obs
    assert obs["qc_fail"].sum() == outcome.json["n_fail"]
    for name, row in outcome.json["thresholds"].items():
        flags = obs[f"fails_{name}"]
        assert flags.isna().all() if not row["measurable"] else flags.sum() == row["n_fail"]
        assert name in obs


def test_criteria_select_what_counts(cli, screen_file):
    report = cli("qc", screen_file, "--criteria", "mt_percent", "--json").json
    assert report["n_fail"] == report["thresholds"]["mt_percent"]["n_fail"] > 0


def test_labels_are_not_needed(cli, real_data):
    report = cli("qc", real_data("pbmc3k_raw.h5ad"), "--json").json
    assert report["n_cells"] == 2700
    assert all(row["maybe_biology"] == [] for row in report["thresholds"].values())


def test_not_measurable_is_neither_pass_nor_failure(cli, real_data):
    report = cli("qc", real_data("norman2019_subset.h5ad"), "--json").json
    row = report["thresholds"]["mt_percent"]
    assert row == {**row, "threshold": None, "measurable": False, "n_fail": 0}
    assert "13 MT genes" in row["reason"]


def test_text_names_the_numbers(cli, screen_file):
    out = cli("qc", screen_file).out
    assert "at 3 MAD" in out
    assert all(name in out for name in CRITERIA)


def test_bad_input_is_refused(refused, screen_file, tmp_path):
    (tmp_path / "text.h5ad").write_text("hello")
    refused("qc", tmp_path / "text.h5ad", says="not an .h5ad file")
    refused("qc", tmp_path / "missing.h5ad", says="no such file")
    refused("qc", "no_such_dataset", says="no dataset of that name")
    refused("qc", screen_file, "--criteria", "beauty", says="beauty")

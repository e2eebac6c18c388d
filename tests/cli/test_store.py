"""DATA as a Zarr store."""

import json

import pytest

from tests.data.small_file import store


@pytest.fixture
def folder(screen, tmp_path):
    return store(tmp_path / "screen.zarr", screen)


def test_validate_and_qc_say_what_they_say_of_the_file(cli, folder, screen_file, tmp_path):
    for command in (("validate",), ("qc", "--criteria", "umi_counts,mt_percent")):
        first, second = (cli(*command, path, "--json") for path in (folder, screen_file))
        assert (first.code, first.json) == (0, second.json)
    assert cli("validate", folder, "--out", tmp_path / "screen.h5ad").code == 0
    assert cli("validate", tmp_path / "screen.h5ad").code == 0


def test_a_run_is_evaluated_with_either(cli, small, folder, screen_file, tmp_path):
    options = ("--model", "cradle_vae", "--criteria", "umi_counts", *small, "--json")
    run = tmp_path / "run"
    outcome = cli("fit", folder, *options, "--on-disk", "--out", run)
    assert outcome.code == 0, outcome.err
    again = cli("fit", folder, *options, "--out", run)
    assert again.code == 2  # a complete run is not overwritten
    reports = [cli("evaluate", run, "--data", path, "--json") for path in (folder, screen_file)]
    assert [report.code for report in reports] == [0, 0]
    assert reports[0].json == reports[1].json
    assert json.loads((run / "provenance.json").read_text())["data"]["hash"]


def test_a_broken_store_is_one_message(refused, folder):
    (folder / "X" / "data" / "c" / "0").unlink()
    refused("qc", folder, says="sparse matrix in the file is damaged")
    refused("fit", folder, "--model", "additive", "--out", folder.parent / "run", "--on-disk",
            says="sparse matrix in the file is damaged")  # fmt: skip
    refused("qc", folder / "X", says="not AnnData")
    refused("qc", folder / "X" / "data", says="one array of a Zarr store")

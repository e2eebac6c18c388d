"""Exit codes, the streams, and the way in from a shell."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cradle.cli import data
from cradle.cli.output import Answer, number, plain, table

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "datasets", "fetch", "validate", "simulate", "qc", "models", "fit", "generate", "effects",
    "evaluate",
)  # fmt: skip


def shell(*argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cradle", *argv]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_help_names_every_command(cli):
    outcome = cli("--help")
    assert outcome.code == 0
    assert all(f"\n    {name} " in outcome.out for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli, command):
    outcome = cli(command, "--help")
    assert outcome.code == 0
    assert outcome.out.startswith(f"usage: python -m cradle {command}")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "COMMAND"),
        (["nonsense"], "invalid choice"),
        (["qc"], "DATA"),
        (["qc", "demo", "--mad", "0"], "not a positive number"),
        (["qc", "demo", "--mad", "nan"], "not a positive number"),
        (["qc", "demo", "--mad", "three"], "three"),
        (["qc", "demo", "--out", "flags.csv"], "must end in .h5ad"),
        (["fit", "demo", "--out", "x"], "--model"),
        (["fit", "demo", "--model", "m", "--out", "x", "--set", "alpha"], "key=value"),
        (["fit", "demo", "--model", "m", "--out", "x", "--epochs", "0"], "1 or more"),
        (["fit", "demo", "--model", "m", "--out", "x", "--train-cells", "no"], "invalid choice"),
        (["fit", "demo", "--model", "m", "--out", "x", "--criteria", ","], "separated by commas"),
        (["generate", "x", "--perturbation", "A", "--n-cells", "-3", "--out", "c.h5ad"], "1 or"),
        (["simulate", "out.h5ad", "--artifact-rate", "1"], "share"),
    ],
)
def test_wrong_arguments_are_one_line_and_code_2(refused, argv, says):
    assert refused(*argv, says=says).err.count("\n") == 1


def test_an_unexpected_fault_is_code_1_with_its_traceback(cli, monkeypatch):
    def break_down(_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(data, "datasets", break_down)
    outcome = cli("datasets")
    assert outcome.code == 1
    assert "RuntimeError: a bug" in outcome.err
    assert outcome.out == ""


def test_an_interrupted_command_is_code_1_without_a_traceback(cli, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "datasets", interrupt)
    outcome = cli("datasets")
    assert (outcome.code, outcome.out) == (1, "")
    assert "Traceback" not in outcome.err


def test_what_a_library_prints_does_not_reach_stdout(cli, monkeypatch):
    def chatter(_):
        print("loading …")
        return Answer({"datasets": []}, "none")

    monkeypatch.setattr(data, "datasets", chatter)
    outcome = cli("datasets", "--json")
    assert outcome.json == {"datasets": []}
    assert "loading" in outcome.err


def test_from_a_shell():
    done = shell("models", "--json")
    assert done.returncode == 0
    assert {m["name"] for m in json.loads(done.stdout)["models"]} >= {"cradle_vae", "additive"}
    refused = shell("qc", "no_such_dataset")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert "Traceback" not in refused.stderr


def test_json_holds_plain_values_only():
    import numpy as np

    given = {"a": np.float32(0.5), "b": [np.int64(2), float("nan")], "c": np.array([1.0, np.inf])}
    assert plain(given) == {"a": 0.5, "b": [2, None], "c": [1.0, None]}


def test_tables_align_and_numbers_read_well():
    assert table(("a", "long name"), [("x", 1.0), ("yy", None)]) == ("a   long name\nx   1\nyy  –")
    assert [number(v) for v in (13523.0, 0.98765, float("nan"), 1234)] == [
        "13,523", "0.9877", "–", "1,234",
    ]  # fmt: skip

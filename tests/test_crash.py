"""Kills and full disks: nothing at a final path is damaged, and a run continues exactly."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.crash.files import damaged, same
from cradle import files
from cradle.cli.main import main
from cradle.errors import is_disk_full
from cradle.fitting import fit

ROOT = Path(__file__).resolve().parent.parent
QUICK = {"n_latent": 4, "n_hidden": 8, "max_epochs": 3}
CRITERIA = ("umi_counts", "mt_percent")


@pytest.fixture(autouse=True)
def _every_epoch(monkeypatch):
    monkeypatch.setattr("cradle.resuming.EVERY_SECONDS", 0.0)


@pytest.fixture(scope="module")
def whole(_small_screen, tmp_path_factory):
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    return fit(_small_screen.copy(), "cradle_vae", QUICK, out=out, criteria=CRITERIA)


def no_room(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("writes", [0, 4, 8, 11, 16])
def test_a_disk_that_fills_while_a_run_is_written(screen, whole, tmp_path, monkeypatch, writes):
    flush, written = files.flush, []

    def fill(path):
        if path.is_file():
            written.append(path)
        if len(written) > writes:
            no_room()
        flush(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "flush", fill)
        with pytest.raises(OSError, match="No space") as caught:
            fit(screen, "cradle_vae", QUICK, out=tmp_path / "run", criteria=CRITERIA)
    assert is_disk_full(caught.value)
    assert not (tmp_path / "run" / "DONE").exists()
    assert damaged(tmp_path / "run") == []
    assert not list((tmp_path / "run").rglob(".writing-*"))
    fit(screen, "cradle_vae", QUICK, out=tmp_path / "run", criteria=CRITERIA, resume=True)
    assert same(whole.path, tmp_path / "run") == []


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 300 kB; only root may make one."""
    if os.geteuid() != 0:
        pytest.skip("a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_really_full(screen_file, small_disk, capsys):
    out = small_disk / "run"
    command = ["fit", str(screen_file), "--model", "cradle_vae", "--out", str(out),
               "--epochs", "3", "--set", "n_latent=4", "--set", "n_hidden=64",
               "--criteria", "umi_counts,mt_percent"]  # fmt: skip
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "The disk is full." in said
    assert "Traceback" not in said
    assert damaged(small_disk) == []
    assert not (out / "DONE").exists()
    subprocess.run(["mount", "-o", "remount,size=60m", str(small_disk)], check=True)
    assert main([*command, "--resume"]) == 0
    assert damaged(small_disk) == []


def test_generated_cells_do_not_replace_good_ones_on_a_full_disk(whole, tmp_path, monkeypatch,
                                                                 capsys):  # fmt: skip
    out = tmp_path / "cells.h5ad"
    command = ["generate", str(whole.path), "--perturbation", "control", "--n-cells", "5",
               "--out", str(out)]  # fmt: skip
    assert main(command) == 0
    before = out.read_bytes()
    monkeypatch.setattr(files, "flush", no_room)
    assert main([*command, "--seed", "1"]) == 1
    assert "The disk is full." in capsys.readouterr().err
    assert out.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".h5ad"] == ["cells.h5ad"]


def test_other_errors_are_not_a_full_disk():
    assert not is_disk_full(ValueError("x"))
    assert not is_disk_full(OSError(errno.EACCES, "x"))
    wrapped = RuntimeError("while writing")
    wrapped.__cause__ = OSError(errno.ENOSPC, "x")
    assert is_disk_full(wrapped)


def test_kills_at_random_moments():
    """A short campaign; the long one is in assets/benchmarks/robustness/crash.csv.

    How a stopped benchmark goes on is tested by tests/benchmark/test_sweep.py.
    """
    command = [sys.executable, "-m", "benchmarks.crash", "--kills", "2", "--no-benchmark"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

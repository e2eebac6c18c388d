"""A download as a background job: it can be stopped, continued, and watched from its files."""

import hashlib
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cradle.data import catalogue
from cradle.data.catalogue import DatasetFile
from cradle.jobs import queue
from cradle.ui.jobs_view import downloaded
from tests.data.server import Behaviour, serving

ROOT = Path(__file__).resolve().parents[2]
CONTENT = bytes(range(256)) * 4 * 1024 * 8  # 8 MiB
#: What the process that is started must know too.
ROW = """
from dataclasses import replace
from cradle.data.catalogue import DATASETS, DatasetFile
file = DatasetFile("far.h5ad", checksum={!r}, url={!r})
DATASETS["far"] = replace(DATASETS["norman"], name="far", files=(file,))
"""


@pytest.fixture
def far(tmp_path, monkeypatch):
    """A catalogue row on a slow local server, here and in the processes that are started."""
    behaviour = Behaviour(CONTENT, pause=0.05)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(behaviour) as url:
        checksum = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
        file = DatasetFile("far.h5ad", checksum=checksum, url=url)
        row = replace(catalogue.DATASETS["norman"], name="far", files=(file,))
        monkeypatch.setitem(catalogue.DATASETS, "far", row)
        (tmp_path / "sitecustomize.py").write_text(ROW.format(checksum, url))
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
        yield behaviour


def test_stop_keeps_what_has_arrived_and_continue_fetches_the_rest(far, until):
    job = queue.submit("fetch", "far", ["fetch", "far"], "far")
    end = time.monotonic() + 60
    while downloaded("far")[0] < len(CONTENT) // 8 and time.monotonic() < end:
        time.sleep(0.02)
    queue.stop(job)
    until(job, "stopped")
    there, total = downloaded("far")
    assert total == len(CONTENT)
    assert len(CONTENT) // 8 <= there < total
    assert catalogue.locate("far") is None
    far.pause = 0.0
    again = queue.resume(job)
    until(again, "finished")
    asked = far.requests[-1]["Range"]
    assert int(asked.removeprefix("bytes=").removesuffix("-")) >= there
    path = catalogue.locate("far")
    assert path is not None
    assert path.read_bytes() == CONTENT


def test_a_download_does_not_wait_for_a_fit(far, until, screen_file, tmp_path):
    far.pause = 0.0
    out = str(tmp_path / "runs" / "long")
    fit = queue.submit(
        "fit", "long",
        ["fit", str(screen_file), "--model", "cradle_vae", "--out", out,
         "--set", "n_hidden=16", "--set", "patience=2000"],  # ends by no means before it is stopped
        out,
    )  # fmt: skip
    until(fit, "running")
    until(queue.submit("fetch", "far", ["fetch", "far"], "far"), "finished")
    assert fit.state == "running"
    queue.stop(fit)
    until(fit, "stopped")

"""Downloads that cannot be: what is said, and what stays."""

import errno
import io
import os
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from cradle.data import catalogue, transfer
from cradle.data.catalogue import DATASETS
from cradle.data.download import fetch
from cradle.errors import InputError
from tests.data.remote import CONTENT, HALF, cached, refused

pytestmark = pytest.mark.usefixtures("server")


@pytest.mark.parametrize(("status", "n_requests"), [(404, 1), (403, 1), (503, 3)])
def test_error_status(server, status, n_requests):
    server.statuses = [status] * 5
    assert str(status) in refused("could not be downloaded").found
    assert len(server.requests) == n_requests


def test_busy_server_is_asked_again(server):
    server.statuses = [503, 429]
    assert fetch("remote").read_bytes() == CONTENT


def test_no_connection(monkeypatch):
    file = replace(DATASETS["remote"].files[0], url="http://127.0.0.1:9/file.h5ad")
    row = replace(DATASETS["remote"], files=(file,))
    monkeypatch.setitem(catalogue.DATASETS, "remote", row)
    assert "no connection" in refused("could not be downloaded").found


def test_silent_server_times_out(monkeypatch):
    monkeypatch.setattr(transfer, "_TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file.h5ad"
        row = replace(DATASETS["remote"], files=(replace(DATASETS["remote"].files[0], url=url),))
        monkeypatch.setitem(catalogue.DATASETS, "remote", row)
        assert "timed out" in refused("could not be downloaded").found


def test_disk_full_before_the_first_byte(monkeypatch):
    nearly_full = SimpleNamespace(free=1000)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: nearly_full)
    assert "free some space" in refused("disk is full").do


def test_disk_full_on_the_way(server, monkeypatch):
    """What has arrived is kept, the final path stays empty, and room lets it continue."""
    opened = Path.open

    class Full(io.FileIO):
        def write(self, data):
            if self.tell() > HALF:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    def small_disk(self, mode="r", *args, **kwargs):
        full = mode == "ab" and self.name == "cells.h5ad.part"
        return Full(self, mode) if full else opened(self, mode, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", small_disk)
        refused("disk is full")
    assert cached() == ["cells.h5ad.part", "cells.h5ad.part.json"]
    assert fetch("remote").read_bytes() == CONTENT
    assert "Range" in server.requests[-1]


def test_folder_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match="cannot be saved"):
        fetch("remote")

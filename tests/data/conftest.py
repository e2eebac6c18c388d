"""The server that downloads are tested against, and the small Zarr store."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cradle.data import catalogue, transfer
from cradle.data.catalogue import DATASETS, DatasetFile
from tests.data.remote import CONTENT
from tests.data.server import Behaviour, serving
from tests.data.small_file import store


@pytest.fixture
def server(monkeypatch) -> Iterator[Behaviour]:
    """Holds the one file of the dataset ``remote``; no pauses, no proxies."""
    monkeypatch.setattr(transfer, "_PAUSE_SECONDS", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    checksum = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    behaviour = Behaviour(CONTENT)
    with serving(behaviour) as url:
        file = DatasetFile("cells.h5ad", checksum=checksum, url=url)
        row = replace(DATASETS["norman"], name="remote", files=(file,))
        monkeypatch.setitem(catalogue.DATASETS, "remote", row)
        yield behaviour


@pytest.fixture(params=[2, 3])
def folder(request, tmp_path) -> Path:
    """The small store, in both formats."""
    return store(tmp_path / "cells.zarr", version=request.param)

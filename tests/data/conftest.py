"""The server that downloads are tested against."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cradle.data import catalogue, transfer
from cradle.data.catalogue import DATASETS, DatasetFile
from tests.data.remote import CONTENT
from tests.data.server import Behaviour, serving


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

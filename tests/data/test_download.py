"""Downloads from a real server that misbehaves: the file arrives whole, or not at all."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cradle.data.catalogue import DATASETS, cache_folder
from cradle.data.download import fetch
from cradle.errors import InputError
from tests.data.remote import (
    CONTENT,
    HALF,
    CancelledError,
    cached,
    cancel_at,
    cancel_halfway,
    refused,
)


def test_whole_file_with_progress(server):
    seen = []
    path = fetch("remote", lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert cached() == ["cells.h5ad"]


def test_present_file_asks_nothing_of_the_server(server):
    fetch("remote")
    assert fetch("remote").read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_cut_connection_is_continued(server):
    server.cuts = [HALF, HALF // 2]
    assert fetch("remote").read_bytes() == CONTENT
    assert [request.get("Range") for request in server.requests] == [
        None,
        f"bytes={HALF}-",
        f"bytes={HALF + HALF // 2}-",
    ]
    assert server.requests[1]["If-Range"] == '"one"'


def test_cut_for_good_is_continued_by_the_next_call(server):
    server.cuts = [HALF, 0, 0, 0]
    error = refused("could not be downloaded")
    assert "continues where it stopped" in error.do
    assert "CRADLE_DATA_DIR" in error.do
    assert "cells.h5ad" in error.do
    assert fetch("remote").read_bytes() == CONTENT
    assert server.requests[-1]["Range"] == f"bytes={HALF}-"


def test_cancel_and_continue(server):
    have = cancel_halfway()
    assert have >= HALF
    seen = []
    fetch("remote", lambda done, total: seen.append(done))
    assert seen[0] == have
    assert cached() == ["cells.h5ad"]


def test_killed_process_is_continued(server):
    script = (
        "import os, sys, pathlib; from cradle.data.transfer import transfer\n"
        "def stop(done, total):\n"
        "    if done > 500_000: os.kill(os.getpid(), 9)\n"
        "transfer(sys.argv[1], pathlib.Path(sys.argv[2]), stop)"
    )
    cache_folder().mkdir(parents=True)
    part = cache_folder() / "cells.h5ad.part"
    url = DATASETS["remote"].files[0].url
    done = subprocess.run([sys.executable, "-c", script, url, str(part)], check=False)
    assert done.returncode == -9
    assert fetch("remote").read_bytes() == CONTENT
    assert "Range" in server.requests[-1]


def test_server_without_ranges_starts_again(server):
    server.ranges = False
    cancel_halfway()
    assert fetch("remote").read_bytes() == CONTENT
    assert "Range" in server.requests[-1]


def test_changed_file_starts_again(server):
    server.content, server.etag = b"old" * 400_000, '"old"'
    cancel_halfway()
    server.content, server.etag = CONTENT, '"new"'
    assert fetch("remote").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("etag", "date", "continued"),
    [
        ("", "Mon, 01 Jan 2024 00:00:00 GMT", True),
        ('W/"weak"', "Mon, 01 Jan 2024 00:00:00 GMT", True),
        ('W/"weak"', "", False),
        ("", "", False),
    ],
)
def test_only_a_strong_validator_is_relied_on(server, etag, date, continued):
    server.etag, server.date, server.cuts = etag, date, [HALF]
    assert fetch("remote").read_bytes() == CONTENT
    assert ("Range" in server.requests[-1]) is continued
    assert server.requests[-1].get("If-Range") == (date if continued else None)


def test_server_that_shrank_or_sends_another_part_starts_again(server):
    cancel_halfway()
    server.statuses = [416]
    assert fetch("remote").read_bytes() == CONTENT
    fetch("remote").unlink()
    cancel_halfway()
    server.shift = 100
    assert fetch("remote").read_bytes() == CONTENT


def test_part_that_is_whole_needs_no_request(server):
    """The process ended between the last byte and the move."""
    with pytest.raises(CancelledError):
        fetch("remote", cancel_at(len(CONTENT)))
    assert fetch("remote").read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_foreign_or_damaged_part_is_not_continued(server):
    cancel_halfway()
    (cache_folder() / "cells.h5ad.part.json").write_text("{")
    assert fetch("remote").read_bytes() == CONTENT
    assert "Range" not in server.requests[-1]


def test_unknown_length(server):
    server.length = False
    totals = set()
    assert fetch("remote", lambda done, total: totals.add(total)).read_bytes() == CONTENT
    assert totals == {None}


def test_wrong_checksum_leaves_nothing(server):
    server.content = CONTENT[:-1] + b"x"
    error = refused("not the published one; it was removed")
    assert "md5:" in error.found
    assert cached() == []
    server.content = CONTENT
    assert fetch("remote").read_bytes() == CONTENT


def test_damaged_cache_is_replaced(server):
    path = fetch("remote")
    path.write_bytes(b"damaged")
    assert fetch("remote").read_bytes() == CONTENT


def test_own_folder_comes_first_and_is_never_overwritten(server, tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir()
    (own / "cells.h5ad").write_bytes(CONTENT)
    monkeypatch.setenv("CRADLE_DATA_DIR", str(own))
    assert fetch("remote") == own / "cells.h5ad"
    assert server.requests == []
    (own / "cells.h5ad").write_bytes(b"other")
    with pytest.raises(InputError, match="not the published one, or it is damaged"):
        fetch("remote")
    assert (own / "cells.h5ad").read_bytes() == b"other"


def test_two_at_once_download_once(server):
    """The second waits, reporting, and finds the file there."""
    arrived, go_on = threading.Event(), threading.Event()
    waited: list[int] = []

    def slow(done: int, total: int | None) -> None:
        arrived.set()
        assert go_on.wait(20)

    def waiting(done: int, total: int | None) -> None:
        waited.append(done)
        go_on.set()

    paths: list[Path] = []
    first = threading.Thread(target=lambda: paths.append(fetch("remote", slow)))
    first.start()
    assert arrived.wait(20)
    paths.append(fetch("remote", waiting))
    first.join()
    assert waited
    assert len(server.requests) == 1
    assert [path.read_bytes() for path in paths] == [CONTENT, CONTENT]


def test_nothing_to_download():
    with pytest.raises(InputError, match="cannot be downloaded") as caught:
        fetch("papalexi")
    assert "CRADLE_DATA_DIR" in caught.value.do
    assert "papalexi2021_eccite.h5ad" in caught.value.do

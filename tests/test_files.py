"""A file is whole or it is not there; what was there before survives a failure."""

import errno
import gzip
import json
import os
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cradle.files import (
    atomic_path,
    remove_abandoned,
    write_frame,
    write_h5ad,
    write_json,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_content_arrives_and_nothing_else_stays(tmp_path):
    write_text(tmp_path / "new" / "note.txt", "größer\n")
    assert (tmp_path / "new" / "note.txt").read_text(encoding="utf-8") == "größer\n"
    assert names(tmp_path / "new") == ["note.txt"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_failure_keeps_the_old_file(tmp_path, error):
    path = write_text(tmp_path / "note.txt", "old")

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["note.txt"]


def test_final_path_is_untouched_while_writing(tmp_path):
    path = tmp_path / "table.csv.gz"
    with atomic_path(path) as temporary:
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.suffix == ".gz"


def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    written = write_text(tmp_path / "written", "x")
    assert written.stat().st_mode == ordinary.stat().st_mode


def test_json_refuses_nan(tmp_path):
    path = write_json(tmp_path / "value.json", {"a": [1, None]})
    assert json.loads(path.read_text()) == {"a": [1, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": [1, None]}


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_frame_round_trip_with_the_same_bytes_each_time(tmp_path, name):
    frame = pd.DataFrame({"gene": ["A", "B"], "effect": [0.1, -1 / 3]})
    first = write_frame(tmp_path / name, frame)
    pd.testing.assert_frame_equal(pd.read_csv(first), frame)
    second = write_frame(tmp_path / "again" / name, frame)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("n_rows", [0, 1, 4, 7])
def test_a_table_written_in_blocks_is_that_written_at_once(tmp_path, monkeypatch, n_rows, index):
    monkeypatch.setattr("cradle.files._ROWS", 2)
    frame = pd.DataFrame({"gene": ['a,"', "b", "", None, "e", "f", "g"], "n": np.arange(7) / 3})
    text = frame[:n_rows].to_csv(index=index).encode()
    assert write_frame(tmp_path / "a.csv", frame[:n_rows], index=index).read_bytes() == text
    packed = write_frame(tmp_path / "a.csv.gz", frame[:n_rows], index=index).read_bytes()
    assert packed == gzip.compress(text, mtime=0)


def test_h5ad_round_trip(tmp_path):
    counts = sparse.csr_matrix(np.array([[1, 0], [0, 2]], dtype=np.float32))
    path = write_h5ad(tmp_path / "cells.h5ad", ad.AnnData(counts))
    assert (counts != ad.read_h5ad(path).X).nnz == 0
    assert names(tmp_path) == ["cells.h5ad"]


def test_disk_full_while_overwriting_h5ad(tmp_path, monkeypatch):
    adata = ad.AnnData(sparse.csr_matrix(np.eye(3, dtype=np.float32)))
    path = write_h5ad(tmp_path / "cells.h5ad", adata)
    before = path.read_bytes()

    def no_space(self, filename, **_):
        Path(filename).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ad.AnnData, "write_h5ad", no_space)
    with pytest.raises(OSError, match="No space left"):
        write_h5ad(path, adata)
    assert path.read_bytes() == before
    assert names(tmp_path) == ["cells.h5ad"]


def test_a_private_file_of_the_writer_becomes_ordinary(tmp_path):
    """Also where the writer replaces the file by a private one, as safetensors does."""
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    with atomic_path(tmp_path / "weights") as temporary:
        temporary.unlink()
        temporary.touch(mode=0o600)
    assert (tmp_path / "weights").stat().st_mode == ordinary.stat().st_mode


def test_only_what_was_abandoned_long_ago_is_removed(tmp_path):
    old, fresh, other = (tmp_path / n for n in (".writing-a.h5ad", ".writing-b.h5ad", "c.h5ad"))
    for path in (old, fresh, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (0, 0))
    remove_abandoned(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [fresh.name, other.name]

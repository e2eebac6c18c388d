"""The blocks of a Zarr store: cut short, lost, longer than they say, or of a matrix that lies."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from numcodecs import Blosc

from cradle.data import gate
from cradle.data.file_limits import Limits
from cradle.data.gate import open_safely
from tests.data.small_file import refused, small, store
from tests.data.small_store import block, change, metadata
from tests.data.sparse_damage import DAMAGES


@pytest.mark.parametrize("name", ["X/data", "X/indices", "X/indptr", "obs/_index"])
def test_a_block_cut_short(folder, name):
    path = block(folder, name)
    path.write_bytes(path.read_bytes()[:-3])
    refused(folder, "damaged")


def pack_with_blosc(folder: Path, cname: str) -> bytes:
    """Say that the counts are compressed by Blosc; the block that they then have."""
    path = metadata(folder, "X/data")
    settings = {"cname": cname, "clevel": 5, "blocksize": 0}
    if path.name == ".zarray":
        change(path, compressor={"id": "blosc", "shuffle": 0, **settings})
    else:
        settings |= {"typesize": 4, "shuffle": "noshuffle"}
        first = {"name": "bytes", "configuration": {"endian": "little"}}
        change(path, codecs=[first, {"name": "blosc", "configuration": settings}])
    return Blosc(cname=cname, shuffle=0).encode(small().X.data)


@pytest.mark.parametrize("cname", ["lz4", "zstd"])
def test_blosc_never_reads_beyond_its_block(folder, cname):
    """The library believes the length in the header, whatever the size of the block."""
    whole = pack_with_blosc(folder, cname)
    block(folder, "X/data").write_bytes(whole)
    assert gate._verdict(folder, Limits()) is None
    for length in (0, 8, 20, 30, len(whole) - 1):
        block(folder, "X/data").write_bytes(whole[:length])
        assert "than it says" in gate._verdict(folder, Limits())[1]
    refused(folder, "damaged")


@pytest.mark.parametrize("name", ["X/data", "X/indices", "X/indptr"])
def test_a_lost_block_of_counts(folder, name):
    """Zarr would read zeros."""
    block(folder, name).unlink()
    refused(folder, "sparse matrix in the file is damaged")


@pytest.mark.parametrize("shards", [None, (20_000,)])
def test_a_lost_block_among_many(screen, tmp_path, shards):
    """The second file of the counts, of one block or of a shard of four."""
    folder = store(tmp_path / "screen.zarr", screen)
    root = zarr.open_group(folder, mode="a", use_consolidated=False)
    root.create_array("X/data", data=screen.X.data, chunks=(5_000,), shards=shards, overwrite=True)
    assert (open_safely(folder).X != screen.X).nnz == 0
    (folder / "X" / "data" / "c" / "1").unlink()
    assert "X/data/c/1" in refused(folder, "sparse matrix in the file is damaged").found


def test_a_block_that_unpacks_to_more_than_it_should(folder):
    """A hundred megabytes of zeros in a few kilobytes, where eighty bytes belong."""
    pack_with_blosc(folder, "zstd")
    huge = np.zeros(2**27, np.uint8)
    block(folder, "X/data").write_bytes(Blosc(cname="zstd", clevel=1).encode(huge))
    refused(folder, "damaged")


def damage_shape_of_words(x):
    """Only metadata in JSON can say such a thing."""
    x.attrs["shape"] = {"a": 1}


@pytest.mark.parametrize("damage", [*DAMAGES, damage_shape_of_words])
def test_sparse_matrix_that_points_outside(folder, damage):
    """By the functions that check HDF5."""
    assert gate._verdict(folder, Limits()) is None
    damage(zarr.open_group(folder, mode="a", use_consolidated=False)["X"])
    assert gate._verdict(folder, Limits())[0] == "A sparse matrix in the file is damaged."

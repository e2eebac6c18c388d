"""What a download should bring, what it leaves behind, and how it is refused or stopped."""

import pytest

from cradle.data.catalogue import cache_folder
from cradle.data.download import fetch
from cradle.errors import InputError

CONTENT = bytes(range(256)) * 4096  # 1 MiB
HALF = len(CONTENT) // 2


def cached() -> list[str]:
    """What lies in the cache beside the lock."""
    return sorted(p.name for p in cache_folder().iterdir() if p.suffix != ".lock")


def refused(pattern: str) -> InputError:
    with pytest.raises(InputError, match=pattern) as caught:
        fetch("remote")
    assert not (cache_folder() / "cells.h5ad").exists()
    return caught.value


class CancelledError(Exception):
    pass


def cancel_at(limit: int):
    def progress(done: int, total: int | None) -> None:
        if done >= limit:
            raise CancelledError

    return progress


def cancel_halfway() -> int:
    """A download that was stopped by its user; bytes kept."""
    with pytest.raises(CancelledError):
        fetch("remote", cancel_at(HALF))
    assert cached() == ["cells.h5ad.part", "cells.h5ad.part.json"]
    return (cache_folder() / "cells.h5ad.part").stat().st_size

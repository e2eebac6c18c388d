"""Files appear whole or not at all.

Writing in place destroys what was there when the disk fills or the process dies. Everything is
written beside its final path, flushed to the disk, then moved over it in one step.
"""

import json
import os
import secrets
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cradle.errors import InputError

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

#: Names of files that are being written start so. A killed process leaves its own behind.
UNFINISHED = ".writing-"
_ABANDONED_SECONDS = 24 * 3600
_ROWS = 10_000  # of a table, written at once
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it over `path` when the block ends well.

    Parameters
    ----------
    path
        Final path of the file. Its folder is made if it is missing.

    Yields
    ------
    Path
        An empty file in the same folder with the same suffix, to be written by the block.
        When the block raises, it is removed and `path` is left as it was.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.parent / f"{UNFINISHED}{secrets.token_hex(8)}{final.suffix}"
    temporary.touch(exist_ok=False)
    mode = temporary.stat().st_mode
    try:
        yield temporary
        # some writers put a private file of their own in its place
        temporary.chmod(mode)
        flush(temporary)
        temporary.replace(final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    flush(final.parent)


def remove_abandoned(folder: Path) -> None:
    """Remove files that a process began a day ago, or earlier, and did not live to finish."""
    for path in folder.glob(f"{UNFINISHED}*"):
        with suppress(FileNotFoundError):  # another process may remove it too
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                path.unlink()


def make_folder(path: Path) -> None:
    """Make a folder and those above it (InputError where that is not possible)."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            "The folder cannot be made.",
            f"{path}: {error.strerror}.",
            "Give a folder in a place that you can write to.",
        ) from error


def write_text(path: str | Path, text: str) -> Path:
    """Write UTF-8 `text` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, value: Any) -> Path:
    """Write `value` as indented JSON; NaN and infinity raise `ValueError` (they are not JSON)."""
    return write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_frame(path: str | Path, frame: "pd.DataFrame", *, index: bool = False) -> Path:
    """Write a table as CSV, compressed when `path` ends in `.gz`; no index unless asked for.

    The same table gives the same bytes: neither a date nor a file name is stored.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        blocks = _csv_blocks(frame, index)
        stream.writelines(_gzipped(blocks) if temporary.suffix == ".gz" else blocks)
    return Path(path)


def _csv_blocks(frame: "pd.DataFrame", index: bool) -> Iterator[bytes]:
    """The table as CSV, of which a block of rows at a time is in memory."""
    for start in range(0, max(len(frame), 1), _ROWS):
        rows = frame.iloc[start : start + _ROWS]
        yield rows.to_csv(index=index, header=start == 0).encode()


def _gzipped(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """One gzip stream without a date or a file name."""
    packer = zlib.compressobj(9, wbits=31)
    for block in blocks:
        yield packer.compress(block)
    yield packer.flush()


def without_formulas(table: "pd.DataFrame") -> "pd.DataFrame":
    """The table for a spreadsheet: no cell of it can run as a formula.

    Parameters
    ----------
    table
        Text cells and column names that start with ``= + - @`` get a leading apostrophe;
        numbers stay numbers.
    """
    from pandas.api.types import is_numeric_dtype

    safe = table.rename(columns=lambda name: _escape(str(name)))
    for position, dtype in enumerate(table.dtypes):
        if not is_numeric_dtype(dtype):
            column = safe.columns[position]
            safe[column] = table.iloc[:, position].astype(object).map(_escape)
    return safe


def _escape(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def write_h5ad(path: str | Path, adata: "ad.AnnData") -> Path:
    """Write `adata` as gzip-compressed `.h5ad`, whole or not at all."""
    with atomic_path(path) as temporary:
        adata.write_h5ad(temporary, compression="gzip")
    return Path(path)


def flush(path: Path) -> None:
    """Ask the system to put a file's content, or a folder's list of names, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

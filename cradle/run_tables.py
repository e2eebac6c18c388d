"""Tables and JSON of a run directory, read as if a stranger had written them."""

from __future__ import annotations

import gzip
import io
import json
import stat
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cradle.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

#: What every run has; a network adds ``STATISTICS`` to its genes.
COLUMNS: dict[str, tuple[str, ...]] = {
    "genes.csv": ("gene",),
    "perturbations.csv": (
        *("perturbation", "n_train", "n_val", "n_test"),
        *("n_fail_train", "n_counterparts", "held_out"),
    ),
    "split.csv.gz": ("cell", "split"),
    "history.csv": ("epoch", "train_loss", "val_elbo"),
    "library_sizes.csv": ("artifact", "library_size"),
}
#: Names are text, also when they look like numbers.
NAMES = {"cell": str, "gene": str, "perturbation": str, "split": str}
_NUMBERS: dict[str, tuple[float, float]] = {  # least and largest value
    **dict.fromkeys(("n_train", "n_val", "n_test", "n_fail_train", "n_counterparts"), (0, 1e12)),
    **dict.fromkeys(("epoch", "log1p_mean", "log1p_sd"), (0, 1e12)),
    **dict.fromkeys(("artifact", "mean_profile"), (0, 1)),
    "library_size": (1e-6, 1e12),
}
_MAY_BE_EMPTY = ("history.csv",)  # a baseline has no epochs
MAX_BYTES = 2**30  # of a table, unpacked
_BLOCK = 2**20
STATISTICS = ("log1p_mean", "log1p_sd", "mean_profile")


def read_table(path: Path) -> pd.DataFrame:
    """Table of a run, its numbers finite and its names there.

    Raises
    ------
    InputError
        It is missing, damaged, too large, lacks a column, or holds what such a table cannot.
    """
    import pandas as pd

    try:
        table = pd.read_csv(_content(path), keep_default_na=False, na_values=[""], dtype=NAMES)
    except (OSError, EOFError, zlib.error, ValueError, OverflowError) as error:
        raise damaged(path, type(error).__name__) from error
    require_columns(path, table, COLUMNS[path.name])
    if table.empty and path.name not in _MAY_BE_EMPTY:
        raise damaged(path, "no rows")
    for column in table.columns:
        if why := _fault(column, table[column], unique=column == COLUMNS[path.name][0]):
            raise damaged(path, f"{column}: {why}")
    return table


def _content(path: Path) -> io.BytesIO:
    """The bytes of a table, unpacked, up to ``MAX_BYTES`` (ValueError above)."""
    opened = gzip.open if path.suffix == ".gz" else open
    content = io.BytesIO()
    with opened(path, "rb") as stream:
        while block := stream.read(_BLOCK):  # one read up to the limit would ask for it at once
            content.write(block)
            if content.tell() > MAX_BYTES:
                raise ValueError("too large")
    content.seek(0)
    return content


def _fault(column: str, values: pd.Series[Any], *, unique: bool) -> str:
    """What is impossible about a column; nothing where it is as it was written."""
    import numpy as np
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if column in NAMES:
        if values.isna().any():
            return "a name is missing"
        return "a name stands twice" if unique and values.duplicated().any() else ""
    if column == "held_out":
        return "" if is_bool_dtype(values) else "neither True nor False"
    if column not in _NUMBERS or values.empty:
        return ""
    if not is_numeric_dtype(values) or is_bool_dtype(values):
        return "not a number"
    numbers = values.to_numpy(float)
    least, most = _NUMBERS[column]
    possible = np.isfinite(numbers) & (numbers >= least) & (numbers <= most)
    return "" if possible.all() else "an impossible number"


def require_columns(path: Path, table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse a table without these columns (InputError)."""
    absent = [column for column in columns if column not in table]
    if absent:
        raise damaged(path, f"no column {', '.join(absent)}")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a run (InputError when it is missing or damaged)."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError
        return content
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise damaged(path, type(error).__name__) from error


def refuse_links(path: Path) -> None:
    """Refuse a run that holds anything but its own files and folders (InputError).

    A link would show what lies elsewhere on this machine, and reading a pipe never ends.
    """
    for entry in path.rglob("*"):
        try:
            kind = entry.lstat().st_mode
        except FileNotFoundError:  # it was being written, and has its own name by now
            continue
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise damaged(entry, "a link or a device, not a file")


def damaged(path: Path, why: str) -> InputError:
    """The error for a file of a run that cannot be used."""
    return InputError(
        "A file of the run is missing or damaged.",
        f"{path} ({why}).",
        "Restore it from a copy, or fit the model again.",
    )

"""Tables of a run directory, read and checked for the columns that they must have."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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
STATISTICS = ("log1p_mean", "log1p_sd", "mean_profile")


def read_table(path: Path) -> pd.DataFrame:
    """Table of a run (InputError when it is missing, damaged, or lacks a column)."""
    import pandas as pd

    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=NAMES)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise damaged(path, type(error).__name__) from error
    require_columns(path, table, COLUMNS[path.name])
    return table


def require_columns(path: Path, table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse a table without these columns (InputError)."""
    absent = [column for column in columns if column not in table]
    if absent:
        raise damaged(path, f"no column {', '.join(absent)}")


def damaged(path: Path, why: str) -> InputError:
    """The error for a file of a run that cannot be used."""
    return InputError(
        "A file of the run is missing or damaged.",
        f"{path} ({why}).",
        "Restore it from a copy, or fit the model again.",
    )

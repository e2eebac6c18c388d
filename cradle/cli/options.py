"""Options that several commands share, and the kinds of values they accept."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cradle.errors import InputError, check_seed

if TYPE_CHECKING:
    from cradle.data.standardize import InputSpec


def data_argument(command: argparse.ArgumentParser) -> None:
    """``DATA``."""
    command.add_argument(
        "data",
        metavar="DATA",
        help="name from 'datasets', an .h5ad file, or an AnnData Zarr store (a folder)",
    )


def reading_options(command: argparse.ArgumentParser) -> None:
    """What a file means where its names do not tell; see `cradle.data.standardize.InputSpec`."""
    group = command.add_argument_group("reading a file whose names do not tell")
    group.add_argument("--perturbation-column", dest="perturbation", metavar="COLUMN")
    group.add_argument("--control", metavar="LABEL", help="label of the unperturbed cells")
    group.add_argument("--separator", metavar="MARK", help="joins genes; 'none': one gene a label")
    group.add_argument("--counts", metavar="WHERE", help="X, raw, or the name of a layer")
    group.add_argument("--batch-column", dest="batch", metavar="COLUMN")
    group.add_argument("--symbols", metavar="COLUMN", help="column of var with gene symbols")
    group.add_argument("--total-column", dest="totals", metavar="COLUMN",
                       help="column of obs with total counts over all genes")  # fmt: skip
    group.add_argument(
        "--invert-log1p",
        action="store_true",
        default=None,
        help="turn log-normalised values back into counts, exactly or not at all",
    )


def input_spec(arguments: argparse.Namespace) -> "InputSpec | None":
    """What `reading_options` were given; None where there were none."""
    from cradle.data.standardize import InputSpec

    names = ("perturbation", "control", "separator", "counts", "batch", "symbols", "totals",
             "invert_log1p")  # fmt: skip
    given = {k: getattr(arguments, k) for k in names if getattr(arguments, k) is not None}
    return InputSpec(**given) if given else None


def json_option(command: argparse.ArgumentParser) -> None:
    """``--json``."""
    command.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def quality_options(command: argparse.ArgumentParser) -> None:
    """``--mad`` and ``--criteria``."""
    command.add_argument(
        "--mad",
        type=positive_number,
        default=3.0,
        metavar="K",
        help="threshold: median plus or minus K median absolute deviations (default 3)",
    )
    command.add_argument(
        "--criteria",
        type=names,
        metavar="A,B",
        help="criteria that count as artifact (default: every measurable one)",
    )


def seed_option(command: argparse.ArgumentParser) -> None:
    """``--seed``."""
    command.add_argument(
        "--seed", type=seed_number, default=0, metavar="N", help="random seed (default 0)"
    )


def positive_number(text: str) -> float:
    """A finite number above zero."""
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


positive_number.__name__ = "number"  # argparse names the kind in its messages


def share(text: str) -> float:
    """A number from 0 up to, but not including, 1."""
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share between 0 and 1")
    return value


def whole_number(least: int) -> Callable[[str], int]:
    """Whole numbers from `least` on."""

    def whole(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number of {least} or more")
        return value

    whole.__name__ = "whole number"
    return whole


def seed_number(text: str) -> int:
    """A seed that every generator accepts."""
    value = int(text)
    try:
        check_seed(value)
    except InputError as error:
        raise argparse.ArgumentTypeError(f"{error.what} {error.do}".removesuffix(".")) from error
    return value


seed_number.__name__ = "whole number"


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise argparse.ArgumentTypeError("a list of names separated by commas is needed")
    return found


def held_out(text: str) -> tuple[str, ...]:
    """Combinations separated by commas, or ``none``."""
    return () if text.strip() == "none" else names(text)


def setting(text: str) -> tuple[str, str]:
    """``key=value``."""
    key, equals, value = text.partition("=")
    if not (key.strip() and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form key=value")
    return key.strip(), value.strip()


def new_file(suffix: str) -> Callable[[str], Path]:
    """Path of a file to write, refused before any work is done where it cannot be written."""

    def path(text: str) -> Path:
        found = Path(text)
        if found.suffix != suffix:
            raise argparse.ArgumentTypeError(f"{text} must end in {suffix}")
        if found.is_dir():
            raise argparse.ArgumentTypeError(f"{text} is a folder")
        folder = next(p for p in found.absolute().parents if p.exists())
        if not folder.is_dir():
            raise argparse.ArgumentTypeError(f"{folder} is not a folder")
        return found

    return path

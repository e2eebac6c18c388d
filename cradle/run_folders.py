"""The folder that holds the runs: names for new ones, one process on each, deletion."""

import itertools
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cradle.errors import InputError
from cradle.files import make_folder

_SHIPPED = Path(__file__).resolve().parents[1] / "assets"
_LOCK = ".lock"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")


def runs_folder() -> Path:
    """Where runs are written: ``CRADLE_RUNS_DIR``, or ``./runs``."""
    return Path(os.environ.get("CRADLE_RUNS_DIR", "runs"))


def new_run_path(stem: str) -> Path:
    """A folder of that name, with a number, that is not there yet."""
    numbers = itertools.count(1)
    return next(p for i in numbers if not (p := runs_folder() / f"{stem}_{i}").exists())


def named_run_path(name: str) -> Path:
    """Folder of a new run of that name.

    Raises
    ------
    InputError
        The name cannot be a folder name, or is taken.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            "This name cannot be used for a run.",
            f"{name[:80]!r}.",
            "Use letters, digits, '.', '_', '+' and '-', up to 80 of them.",
        )
    path = runs_folder() / name
    if path.exists():
        raise InputError(
            "There is a run of this name already.", f"{name!r}.", "Choose another name."
        )
    return path


@contextmanager
def alone(run: Path) -> Iterator[None]:
    """Let no second process fit into the same run directory.

    Raises
    ------
    InputError
        Another process is at work there.
    """
    from filelock import FileLock, Timeout

    make_folder(run)
    lock = FileLock(run / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            "Another process is fitting into this run directory.",
            f"{run} is locked.",
            "Wait until it is done or stop it, or give another folder.",
        ) from None
    try:
        yield
    finally:
        if run.is_dir() and [p.name for p in run.iterdir()] == [_LOCK]:
            shutil.rmtree(run)  # nothing was written, so nothing is left
        lock.release()


def deletable(path: Path) -> bool:
    """Whether the folder is a run of the user's own, directly inside the runs folder."""
    if path.is_symlink() or not (path / "config.json").is_file():
        return False
    there = path.resolve()
    return there.parent == runs_folder().resolve() and not there.is_relative_to(_SHIPPED)


def delete_run(path: Path) -> None:
    """Remove a run directory with all that is in it.

    Raises
    ------
    InputError
        It is not a run inside the runs folder, it is a shipped one, or it is being fitted.
    """
    if not deletable(path):
        raise InputError(
            "This run cannot be deleted from here.",
            f"{path.name!r} is not a run of yours inside the runs folder.",
            "Choose one of your own runs.",
        )
    with alone(path):
        # out of sight in one step, so that nobody meets half a run
        gone = path.with_name(f".deleted-{secrets.token_hex(4)}")
        path.rename(gone)
    shutil.rmtree(gone)

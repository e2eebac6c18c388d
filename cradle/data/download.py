"""Catalogue datasets from the network into the per-user cache: verified, resumable, atomic."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cradle.data.catalogue import DatasetFile, DatasetSpec, cache_folder, find
from cradle.data.transfer import Progress, UnreachableError, discard, transfer
from cradle.errors import InputError
from cradle.files import flush

_FULL = (errno.ENOSPC, errno.EDQUOT)


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Path of a catalogue dataset on this machine, downloaded if it is not here yet.

    Parameters
    ----------
    name
        Catalogue name.
    progress
        Called with (bytes done, total bytes or None). An exception that it raises cancels the
        download and reaches the caller; what has arrived is kept and continued by the next call.

    Returns
    -------
    Path
        The file, whose checksum is the published one wherever one is known.

    Raises
    ------
    InputError
        Unknown name, nothing to download, no connection, wrong checksum, full disk.
    """
    dataset, here = find(name)
    if here is not None:
        path, file = here
        if file.url is None or path.parent != cache_folder():
            verify(path, file)
            return path
        if has_checksum(path, file):  # else a damaged download, which is replaced
            return path
    file = dataset.download or _by_hand(dataset)
    folder = cache_folder()
    with _saving(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f".{file.name}.lock", folder / f"{file.name}.part", progress):
            return _download(dataset, file, folder, progress)


def has_checksum(path: Path, file: DatasetFile) -> bool:
    """Whether the file on disk is the published one, byte by byte; False if none is known."""
    import pooch

    return file.checksum is not None and bool(pooch.hashes.hash_matches(path, file.checksum))


def verify(path: Path, file: DatasetFile) -> bool:
    """Whether the file on disk is the published one; False where no checksum is known.

    Raises
    ------
    InputError
        A checksum is known, and the file has another one.
    """
    if file.checksum is None:
        return False
    if not has_checksum(path, file):
        raise InputError(
            "The file is not the published one, or it is damaged.",
            f"{path.name!r} has another checksum than {file.checksum}.",
            "fetch it again; or, if it is your own version, give its path instead of the name.",
        )
    return True


def _download(
    dataset: DatasetSpec, file: DatasetFile, folder: Path, progress: Progress | None
) -> Path:
    """Transfer, then let pooch verify and move; a file with a wrong checksum does not stay."""
    import pooch

    final, part = folder / file.name, folder / f"{file.name}.part"
    if final.exists() and has_checksum(final, file):  # another process was faster
        return final
    assert file.url is not None
    try:
        transfer(file.url, part, progress)
    except UnreachableError as error:
        raise _no_network(dataset, file, error) from error
    pooch.get_logger().setLevel(logging.WARNING)  # it would print the address and the path
    try:
        pooch.retrieve(
            file.url,
            file.checksum,
            fname=file.name,
            path=folder,
            downloader=lambda url, output, _: part.replace(output),
        )
    except ValueError as error:
        raise InputError(
            "The downloaded file is not the published one; it was removed.",
            f"{file.name!r} has another checksum than {file.checksum}.",
            f"try again; if it happens again, the file at {file.url} has changed.",
        ) from error
    finally:
        discard(part)
    flush(final)
    flush(folder)
    return final


@contextmanager
def _alone(lock_path: Path, part: Path, progress: Progress | None) -> Iterator[None]:
    """Wait until no other process loads the same file, reporting how far that one is."""
    from filelock import FileLock, Timeout

    lock = FileLock(lock_path)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=0.5)
        except Timeout:
            if progress:
                progress(part.stat().st_size if part.exists() else 0, None)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _saving(folder: Path) -> Iterator[None]:
    """Faults of the disk in plain words; network faults never come this far."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise InputError(
                "The disk is full.",
                f"no room left in {folder}.",
                "free some space and fetch again, it continues where it stopped; "
                "or point XDG_CACHE_HOME to a larger disk.",
            ) from error
        raise InputError(
            "The download cannot be saved.",
            f"{error.strerror or error} in {folder}.",
            "make the folder writable, or point XDG_CACHE_HOME to another one.",
        ) from error


def _by_hand(dataset: DatasetSpec) -> DatasetFile:
    raise InputError(
        f"The dataset {dataset.name!r} cannot be downloaded from here.",
        f"no file {' or '.join(repr(file.name) for file in dataset.files)} on this machine.",
        dataset.by_hand,
    )


def _no_network(dataset: DatasetSpec, file: DatasetFile, error: UnreachableError) -> InputError:
    return InputError(
        f"The dataset {dataset.name!r} could not be downloaded.",
        f"{error}.",
        "check the connection and fetch again, it continues where it stopped; or load "
        f"{file.url} elsewhere, save it as {file.name!r} in a folder, and set CRADLE_DATA_DIR "
        "to that folder.",
    )

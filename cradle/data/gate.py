"""The gate for files from outside: a disposable child process looks first.

`python -m cradle.data.gate FILE LIMITS` is that child: it limits its own memory and time, checks
the file, and prints its verdict as JSON. Whatever happens to it, the caller lives on.
"""

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cradle.data.file_limits import Limits
from cradle.data.hdf5_checks import check_contents
from cradle.data.zarr_checks import as_from_hdf5, check_store, files_of, is_store, opened
from cradle.errors import InputError

if TYPE_CHECKING:
    import anndata as ad

_ROOT = Path(__file__).resolve().parents[2]
_SIGNATURES = {
    b"\x1f\x8b": "a gzip archive; unpack it with gunzip first",
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"%%MatrixMarket": "a MatrixMarket table; read it with scanpy.read_mtx and write .h5ad",
}
_HDF5 = b"\x89HDF\r\n\x1a\n"
_AGAIN = "obtain the file again from where it came from, or write it again with anndata."
_ENVIRONMENT = {  # nothing of the caller's, no HDF5 plugins, no threads that reserve memory
    "HDF5_PLUGIN_PRELOAD": "::",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONUTF8": "1",
}


def open_safely(path: str | Path, limits: Limits | None = None) -> "ad.AnnData":
    """Read an untrusted `.h5ad` or Zarr store after a child process has checked it.

    Parameters
    ----------
    path
        File, or folder of a store, given by a user.
    limits
        Caps on size, nesting and resources; by default also the memory of this machine.

    Returns
    -------
    AnnData
        As stored; not yet in the standard form.

    Raises
    ------
    InputError
        No file, not readable, empty, cut off, neither HDF5 nor Zarr, not AnnData, damaged, or
        hostile.
    """
    file = regular_file(path)
    limits = limits or machine_limits()
    before = _identity(file, limits)
    check_file(file, limits)
    adata = read(file)
    if _identity(file, limits) != before:
        raise InputError("The file changed while it was read.", f"{file.name!r}.", "try again.")
    return adata


def check_file(path: str | Path, limits: Limits | None = None) -> None:
    """Check a file or store without loading it; raises `InputError` as `open_safely` does."""
    file = regular_file(path)
    limits = limits or machine_limits()
    sizes = [size for _, size, _ in _identity(file, limits).values()]
    if file.is_file():
        _check_signature(file)
    # One second a MiB is 50 times slower than gzip: time for the largest file, not for a trap.
    seconds = 10 + sum(sizes) // 2**20 + len(sizes) // 200
    command = [sys.executable, "-m", __name__, str(file), json.dumps(asdict(limits)), str(seconds)]
    try:
        child = subprocess.run(
            command,
            cwd=_ROOT,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20 + 2 * seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _too_slow(file) from None
    if child.returncode == -signal.SIGXCPU:
        raise _too_slow(file)
    try:
        verdict = json.loads(child.stdout)
    except ValueError:
        verdict = _damaged(f"reading it ended with status {child.returncode}")
    if verdict:
        raise InputError(*verdict)


def read(path: Path) -> "ad.AnnData":
    """Read what was checked or verified into memory; raises `InputError` if anndata cannot."""
    import anndata as ad

    with reading(path):
        if not path.is_dir():
            return ad.read_h5ad(path)
        adata = ad.read_zarr(opened(path))
        adata.uns = as_from_hdf5(adata.uns)
        return adata


def machine_limits(*, counts_on_disk: bool = False) -> Limits:
    """The default limits, lowered to the physical memory of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    largest = min(Limits().declared_bytes, memory)
    return replace(Limits(), declared_bytes=largest, counts_on_disk=counts_on_disk)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what anndata raises at a checked file into `InputError`."""
    with warnings.catch_warnings():
        # Old formats, repeated names and the like: `validate` reports what matters of these.
        warnings.simplefilter("ignore")
        try:
            yield
        except InputError:
            raise
        except MemoryError:
            raise InputError(
                "The file does not fit into memory.",
                f"{path.name!r}, {_mebibytes(path):.0f} MiB on disk.",
                "keep fewer cells or genes, or use a larger machine.",
            ) from None
        except Exception as error:  # anndata raises whatever its readers happen to raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                "The file can be read, but is not a complete AnnData.", f"{reason[:200]}", _AGAIN
            ) from error


def regular_file(path: str | Path) -> Path:
    """The file or store that `path` names, links resolved, or an error that says what is there."""
    try:
        file = Path(path).expanduser().resolve()
        kind = file.stat().st_mode
    except (OSError, ValueError, RuntimeError):
        raise InputError(
            "There is no such file.", f"nothing at {str(path)[:200]!r}.", "check the path."
        ) from None
    if stat.S_ISDIR(kind) and os.access(file, os.R_OK | os.X_OK):
        if is_store(file):
            return file
        raise InputError(
            "The path names a folder.",
            f"{file.name!r}.",
            "give the .h5ad file itself, or the folder that AnnData.write_zarr has written.",
        )
    if not stat.S_ISREG(kind) or not os.access(file, os.R_OK):
        raise InputError(
            "The file cannot be read.",
            f"{file.name!r} is no ordinary file, or you may not read it.",
            "check its kind and permissions.",
        )
    return file


def _check_signature(file: Path) -> None:
    """Refuse what is not HDF5 by its first bytes, before a process is spent on it."""
    with file.open("rb") as stream:
        head = stream.read(16)
    if not head:
        raise InputError("The file is empty.", f"{file.name!r} has no bytes.", _AGAIN)
    if not head.startswith(_HDF5):
        kinds = [kind for start, kind in _SIGNATURES.items() if head.startswith(start)]
        raise InputError(
            "The file is not an .h5ad file (HDF5).",
            f"{file.name!r} is {kinds[0] if kinds else _something_else(head)}.",
            "give an .h5ad file, as anndata and scanpy write it (write_h5ad).",
        )


def _something_else(head: bytes) -> str:
    """What a file of no known kind begins with, as text where it is text."""
    text = head.decode("utf-8", errors="ignore")
    words = " ".join(text.split())
    if words.isprintable() and len(text.encode()) >= len(head) - 3:  # a character may be cut off
        return f"something else: it begins with the text “{words}”"
    return f"something else: it begins with the bytes {head.hex(' ')}"


def _identity(file: Path, limits: Limits) -> dict[str, tuple[int, int, int]]:
    """Each file by its name in the store, "" for a single one -> inode, size, time of change."""
    files = files_of(file, limits) if file.is_dir() else {"": file.stat()}
    return {
        name: (status.st_ino, status.st_size, status.st_mtime_ns) for name, status in files.items()
    }


def _mebibytes(file: Path) -> float:
    return sum(size for _, size, _ in _identity(file, Limits()).values()) / 2**20


def _too_slow(file: Path) -> InputError:
    return InputError(
        "The file takes too long to check.",
        f"{file.name!r}, {_mebibytes(file):.1f} MiB.",
        "write it again with anndata, with gzip compression and default chunks.",
    )


def _damaged(reason: str) -> tuple[str, str, str]:
    return "The file is damaged.", f"{reason[:200]}.", _AGAIN


def _verdict(path: Path, limits: Limits) -> tuple[str, str, str] | None:
    """What is wrong with the file, in the three parts of an `InputError`; None if nothing is."""
    try:
        (check_store if path.is_dir() else check_contents)(path, limits)
    except InputError as error:
        return error.what, error.found, error.do
    except MemoryError:
        return _damaged("a part of it asks for more memory than the check allows")
    except Exception as error:  # h5py and zarr raise whatever the broken part leads to
        if "truncated file" in str(error):
            return "The file is cut off.", "fewer bytes than its header announces.", _AGAIN
        return _damaged(str(error) or type(error).__name__)
    return None


def _child(path: str, limits: str, seconds: str) -> None:
    """Limit this process, then print the verdict."""
    caps = Limits(**json.loads(limits))
    resource.setrlimit(resource.RLIMIT_AS, (caps.address_space, caps.address_space))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(json.dumps(_verdict(Path(path), caps)))


if __name__ == "__main__":
    _child(*sys.argv[1:])

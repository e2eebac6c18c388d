"""Caps on what an untrusted file may declare, and the words for refusing one."""

import math
from dataclasses import dataclass

from cradle.errors import InputError

_OBTAIN = "obtain the file again from where it came from, or write it again with anndata."
_COUNTS = ("/X/data", "/X/indices")


@dataclass(frozen=True)
class Limits:
    """Caps on what a file may declare, and on the process that looks at it.

    Attributes
    ----------
    declared_bytes
        Bytes of all contents once read into memory.
    ratio
        Declared bytes over the size of the file, from `ratio_from` bytes on.
    chunk_bytes
        Bytes of one chunk, which is always read whole.
    depth, objects
        Nesting, and number of groups, datasets and attributes.
    pieces
        Files of a Zarr store, and chunks that its arrays are cut into.
    address_space
        Memory of the child process, bytes.
    counts_on_disk
        Whether the values and indices of X stay in the file, and so need no memory.
    """

    declared_bytes: int = 32 * 2**30
    ratio: int = 500
    ratio_from: int = 256 * 2**20
    chunk_bytes: int = 256 * 2**20
    depth: int = 32
    objects: int = 50_000
    pieces: int = 500_000
    address_space: int = 2 * 2**30
    counts_on_disk: bool = False


class Budget:
    """Counts what a file declares; raises `InputError` at the first limit it passes."""

    def __init__(self, limits: Limits, file_bytes: int) -> None:
        self.limits, self.file_bytes = limits, file_bytes
        self.bytes = self.left_in_file = self.objects = self.pieces = 0

    def add_objects(self, number: int) -> None:
        self.objects += number
        if self.objects > self.limits.objects:
            raise InputError(
                "The file holds too many objects.",
                f"more than {self.limits.objects:,} groups, datasets and attributes.",
                "remove what is not needed from `uns` and `obsm`, and write it again.",
            )

    def add_bytes(self, number: int, *, left_in_file: bool = False) -> None:
        if left_in_file:
            self.left_in_file += number
        else:
            self.bytes += number
        if self.bytes > self.limits.declared_bytes:
            raise InputError(
                "The file declares more data than this machine can hold.",
                f"at least {self.bytes / 2**30:.1f} GiB; "
                f"the limit is {self.limits.declared_bytes / 2**30:.1f} GiB.",
                "store X as a sparse matrix, keep fewer cells or genes, use a larger machine, or "
                "train with `fit --on-disk`.",
            )
        declared = self.bytes + self.left_in_file
        if declared > max(self.limits.ratio_from, self.limits.ratio * self.file_bytes):
            raise InputError(
                "The file declares far more data than it holds.",
                f"at least {declared / 2**20:.0f} MiB in a file of "
                f"{self.file_bytes / 2**20:.2f} MiB.",
                "store X as a sparse matrix (CSR) and write the file again.",
            )

    def add_array(
        self, name: str, shape: tuple[int, ...], chunks: tuple[int, ...] | None, item_bytes: int
    ) -> None:
        if chunks and math.prod(chunks) * item_bytes > self.limits.chunk_bytes:
            raise refusal("The file is stored in chunks that are too large.", name, "a huge chunk")
        left_in_file = self.limits.counts_on_disk and name in _COUNTS
        self.add_bytes(math.prod(shape) * item_bytes, left_in_file=left_in_file)

    def add_pieces(self, number: int) -> None:
        self.pieces += number
        if self.pieces > self.limits.pieces:
            raise too_many_pieces(self.limits)


def too_many_pieces(limits: Limits) -> InputError:
    return InputError(
        "The file is cut into too many pieces.",
        f"more than {limits.pieces:,} files or chunks.",
        "write it again with larger chunks.",
    )


def refusal(what: str, name: str, found: str) -> InputError:
    """An error about the element `name` of the file."""
    return InputError(what, f"{found} at {shown(name)}.", _OBTAIN)


def shown(name: str) -> str:
    """A name from the file, short and without control characters."""
    return repr(name[:80])

"""Where the counts of cells are read from: memory, or a file that is larger than it.

Every source answers the same index with the same rows, so that what is computed does not depend
on where the counts are.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from cradle.errors import InputError, is_disk_full

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

IntArray = npt.NDArray[np.integer[Any]]

#: Rows read at once where all are read in turn; at 19,000 genes some tens of MB.
BLOCK = 2048


class CellSource(Protocol):
    """Counts of cells with what is known of each."""

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        ...

    @property
    def var_names(self) -> pd.Index:
        """Genes, the columns of the counts."""
        ...

    @property
    def obs(self) -> pd.DataFrame:
        """One row a cell."""
        ...

    def read_rows(self, index: IntArray) -> sp.csr_matrix:
        """Counts ``(len(index), n_genes)`` of these cells in this order, float32."""
        ...


@dataclass(frozen=True)
class InMemory:
    """Cells whose counts are in memory, CSR or dense."""

    counts: Any
    obs: pd.DataFrame
    var_names: pd.Index

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.obs)

    def read_rows(self, index: IntArray) -> sp.csr_matrix:
        """See :class:`CellSource`."""
        return sp.csr_matrix(self.counts[index], dtype=np.float32)


@dataclass(frozen=True)
class OnDisk:
    """Cells whose counts stay on the disk.

    A chunk of an ``.h5ad``, often compressed, holds many cells and would be read anew for each of
    them. So the counts are unpacked once, a block of cells at a time, into two flat temporary
    files (``TMPDIR`` chooses the disk), which are gone with the object. From these a cell is
    read by itself, in any order, through the system's file cache.

    Parameters
    ----------
    counts
        Backed CSR matrix, as ``anndata.io.sparse_dataset`` gives it.
    """

    counts: Any
    obs: pd.DataFrame
    var_names: pd.Index
    _indptr: npt.NDArray[np.int64] = field(init=False)
    _files: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        check_room(self.counts)
        indptr = np.zeros(self.n_cells + 1, np.int64)
        # files without a name: the system removes them with the process, however it ends
        with _unpacking(), tempfile.TemporaryFile() as indices, tempfile.TemporaryFile() as values:
            for rows, block in row_blocks(self.counts):
                indptr[rows.start + 1 : rows.stop + 1] = np.diff(block.indptr)
                indices.write(block.indices.astype(np.int32).tobytes())
                values.write(block.data.astype(np.float32).tobytes())
            for file in (indices, values):
                file.flush()
            object.__setattr__(self, "_files", (os.dup(indices.fileno()), os.dup(values.fileno())))
        object.__setattr__(self, "_indptr", indptr.cumsum())

    def __del__(self) -> None:
        for file in getattr(self, "_files", ()):
            os.close(file)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.obs)

    def read_rows(self, index: IntArray) -> sp.csr_matrix:
        """See :class:`CellSource`."""
        starts, stops = self._indptr[index], self._indptr[np.asarray(index) + 1]
        indices, values = (
            np.frombuffer(
                b"".join(
                    os.pread(file, 4 * (stop - start), 4 * start)
                    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
                ),
                dtype,
            )
            for file, dtype in zip(self._files, (np.int32, np.float32), strict=True)
        )
        indptr = np.concatenate([[0], np.cumsum(stops - starts)])
        return sp.csr_matrix((values, indices, indptr), shape=(len(index), len(self.var_names)))


@dataclass(frozen=True)
class SomeRows:
    """Some cells of a source, read like a matrix: ``rows[index]`` is CSR."""

    source: CellSource
    rows: IntArray

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and genes."""
        return len(self.rows), len(self.source.var_names)

    def __getitem__(self, index: Any) -> sp.csr_matrix:
        return self.source.read_rows(self.rows[index])


def cell_source(adata: AnnData) -> CellSource:
    """The counts of a dataset where they are."""
    kind = InMemory if in_memory(adata.X) else OnDisk
    return kind(adata.X, adata.obs, adata.var_names)


def check_room(counts: Any, copies: int = 1) -> None:
    """Refuse counts on the disk for which the temporary folder has no room, 8 bytes a value."""
    if in_memory(counts):
        return
    needed = 8 * copies * int(counts.group["data"].shape[0])
    if (free := shutil.disk_usage(tempfile.gettempdir()).free) < needed:
        raise _no_room(f"{needed / 2**30:.1f} GiB are needed, {free / 2**30:.1f} GiB are free")


@contextmanager
def _unpacking() -> Iterator[None]:
    """Room that was there may be gone before it is used."""
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise _no_room("it is full") from error


def _no_room(found: str) -> InputError:
    return InputError(
        "The temporary folder has no room for the unpacked counts.",
        f"{tempfile.gettempdir()}: {found}.",
        "Set TMPDIR to a folder on a larger disk.",
    )


def in_memory(counts: Any) -> bool:
    """Whether a matrix is in memory, sparse or dense, and not in a file."""
    return sp.issparse(counts) or isinstance(counts, np.ndarray)


def row_blocks(counts: Any, size: int | None = None) -> Iterator[tuple[slice, sp.csr_matrix]]:
    """Consecutive blocks of rows as CSR, of a matrix of any kind, in memory or not."""
    if sp.issparse(counts):
        counts = counts.tocsr()
    size = BLOCK if size is None else size
    for start in range(0, counts.shape[0], size):
        rows = slice(start, min(start + size, counts.shape[0]))
        block = counts[rows]
        yield rows, sp.csr_matrix(block if sp.issparse(block) else np.asarray(block))


def take_rows(counts: Any, rows: IntArray) -> sp.csr_matrix:
    """Rows of a matrix in any order; from a file they are read in its own."""
    if in_memory(counts):
        return sp.csr_matrix(counts[rows])
    order = np.argsort(rows, kind="stable")
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return counts[rows[order]][back]


def sharing_counts(adata: AnnData, obs: pd.DataFrame | None = None) -> AnnData:
    """A dataset of its own with the same matrices, which nobody may change, and perhaps other
    ``obs``."""
    from anndata import AnnData

    return AnnData(
        X=adata.X,
        obs=adata.obs.copy() if obs is None else obs,
        var=adata.var.copy(),
        uns=dict(adata.uns),
        obsm=dict(adata.obsm),
        varm=dict(adata.varm),
        layers=dict(adata.layers),
    )


def sums_of_rows(
    values: npt.NDArray[Any], indptr: npt.NDArray[np.integer[Any]]
) -> npt.NDArray[np.float64]:
    """Sum of the values of each row of a CSR matrix, (n_rows,), in float64."""
    filled = np.flatnonzero(np.diff(indptr))
    sums = np.zeros(len(indptr) - 1)
    if len(filled):
        sums[filled] = np.add.reduceat(values, indptr[filled], dtype=np.float64)
    return sums


def read_on_disk(path: Path) -> AnnData:
    """A checked ``.h5ad`` or Zarr store whose counts stay there; its tables and notes are read.

    Embeddings of the cells (``obsm``), which no model uses, are left out: they can be as large as
    the counts.

    Raises
    ------
    InputError
        The counts are not a CSR matrix in ``X``.
    """
    import anndata as ad
    import h5py

    from cradle.data.zarr_checks import as_from_hdf5, opened

    file = opened(path) if path.is_dir() else h5py.File(path, "r")
    if "X" not in file or file["X"].attrs.get("encoding-type") != "csr_matrix":
        raise InputError(
            "The counts cannot be read from the disk cell by cell.",
            f"{path.name!r} holds no CSR matrix in X.",
            "Write X as a CSR matrix, or read the file into memory.",
        )
    return ad.AnnData(
        X=ad.io.sparse_dataset(file["X"]),
        **{
            name: as_from_hdf5(ad.io.read_elem(file[name]))
            for name in ("obs", "var", "uns", "varm")
            if name in file
        },
    )

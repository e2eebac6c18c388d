"""A name or a path -> the standard dataset; and the hash that identifies its content."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from cradle.data import gate
from cradle.data.catalogue import DATASETS, DatasetSpec, find
from cradle.data.cell_source import BLOCK, read_on_disk, row_blocks
from cradle.data.download import verify
from cradle.data.file_limits import Limits
from cradle.data.schema import (
    BATCH,
    FULL_VALUES,
    LIBRARY_SIZE,
    PERTURBATION,
    SPLIT,
    check,
    is_standard,
)
from cradle.data.standardize import InputSpec, check_unread, standardize
from cradle.data.zarr_checks import files_of
from cradle.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData


def load(
    data: str | Path,
    *,
    require_labels: bool = True,
    spec: InputSpec | None = None,
    on_disk: bool = False,
) -> "AnnData":
    """A dataset in standard form.

    Parameters
    ----------
    data
        Catalogue name, or path of an `.h5ad` file or of a Zarr store, as `AnnData.write_zarr`
        writes it; a `Path` is never taken for a name.
    require_labels
        Whether cells must carry perturbations and some of them the control.
    spec
        How to read a file whose names do not tell; for a dataset of the catalogue what it says
        comes on top of the catalogue's own reading.
    on_disk
        Leave the counts in the file, which has to be in standard form: for one that is larger
        than memory.

    Returns
    -------
    AnnData
        Standard form, counts (n_cells, n_genes). A file that is in that form already comes back
        as stored, after the check.

    Raises
    ------
    InputError
        Unknown name (close ones are listed), a dataset that is not on this machine, a file
        that is refused by the gate, by its checksum or by the standardizer, or ``spec`` for a
        file that is in standard form already.
    """
    if on_disk:
        return _load_on_disk(Path(data), require_labels, spec)
    if isinstance(data, str) and _is_name(data):
        return _load_catalogued(data, require_labels, spec)
    adata = gate.open_safely(data)
    given = Path(data)
    record = {"source": given.name, "sha256": file_hash(gate.regular_file(data))}
    return _standard(adata, spec, given.stem, require_labels, record)


def data_hash(adata: "AnnData") -> str:
    """Identity of a dataset: SHA-256 over everything in it that a run can depend on.

    Counts, names of cells and genes, labels, library sizes, batches, split, and what obs knows of
    the full transcriptome. Dense, CSR and CSC matrices of any number type, in memory or backed,
    give the same hash, and so do stored zeros and any order inside a row. The order of cells and
    genes counts.

    Returns
    -------
    64 hexadecimal digits.
    """
    row_sizes, columns, values = (hashlib.sha256() for _ in range(3))
    for block in _canonical_blocks(adata.X):
        row_sizes.update(np.diff(block.indptr).astype("<i8").tobytes())
        columns.update(block.indices.astype("<i4").tobytes())
        values.update(block.data.astype("<f8").tobytes())
    obs = adata.obs
    parts = {
        "shape": list(map(int, adata.shape)),
        "counts": [part.hexdigest() for part in (row_sizes, columns, values)],
        "genes": _texts(adata.var_names),
        "labels": _texts(obs[PERTURBATION]) if PERTURBATION in obs else None,
        "library_sizes": _numbers(obs[LIBRARY_SIZE]) if LIBRARY_SIZE in obs else None,
    }
    texts = {name: _texts(obs[name]) for name in (BATCH, SPLIT) if name in obs}
    numbers = {name: _numbers(obs[name]) for name in FULL_VALUES if name in obs}
    return _digest({**parts, "cells": _texts(adata.obs_names), **texts, **numbers})


def file_hash(path: Path) -> str:
    """SHA-256 of the bytes of a file; of a store, of the names and hashes of its files."""
    if path.is_dir():
        return _digest({name: file_hash(path / name) for name in files_of(path, Limits())})
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_name(data: str) -> bool:
    """Whether to look in the catalogue: a path has a folder or a suffix."""
    return data in DATASETS or not ("/" in data or Path(data).suffix)


def _load_catalogued(name: str, require_labels: bool, spec: InputSpec | None) -> "AnnData":
    row, here = find(name)
    if here is None:
        raise _not_here(row)
    path, file = here
    trusted = verify(path, file) or row.shipped
    adata = gate.read(path) if trusted else gate.open_safely(path)
    record = {"source": row.citation, "file": path.name, "sha256": file_hash(path)}
    if not is_standard(adata):
        spec = replace(file.reading, **(spec.given if spec else {}))
    standard = _standard(adata, spec, name, require_labels, record)
    standard.uns["cradle"]["name"] = name  # a file in standard form brings its own
    return standard


def _load_on_disk(path: Path, require_labels: bool, spec: InputSpec | None) -> "AnnData":
    file = gate.regular_file(path)
    gate.check_file(file, gate.machine_limits(counts_on_disk=True))
    with gate.reading(file):
        adata = read_on_disk(file)
    if not is_standard(adata):
        raise InputError(
            "Only a file in standard form can be read from the disk cell by cell.",
            f"{path.name!r} is not in standard form.",
            "Bring it there with `python -m cradle validate FILE --out standard.h5ad`, on a "
            "machine with enough memory.",
        )
    check_unread(spec)
    check(adata, require_labels)
    return adata


def _standard(
    adata: "AnnData",
    spec: InputSpec | None,
    name: str,
    require_labels: bool,
    record: dict[str, str],
) -> "AnnData":
    if is_standard(adata):
        check_unread(spec)
        check(adata, require_labels)
        return adata
    standard = standardize(adata, spec, name=name, require_labels=require_labels)
    standard.uns["cradle"]["provenance"] |= record
    return standard


def _not_here(row: DatasetSpec) -> InputError:
    return InputError(
        f"The dataset {row.name!r} is not on this machine.",
        f"no file {' or '.join(repr(file.name) for file in row.files)} in CRADLE_DATA_DIR or in "
        "the download folder.",
        f"`python -m cradle fetch {row.name}` downloads it." if row.download else row.by_hand,
    )


def _canonical_blocks(counts: Any) -> Iterator[sp.csr_matrix]:
    """Blocks of rows, each in the one canonical form of its values."""
    for _, rows in row_blocks(counts):
        if rows.has_canonical_format and rows.data.all():
            yield rows
            continue
        block = rows.copy()
        block.sum_duplicates()
        block.eliminate_zeros()
        yield block


def _digest(parts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _texts(values: Iterable[Any]) -> str:
    """Hash of the texts as one JSON list, of which a block at a time is in memory."""
    texts, digest = map(str, values), hashlib.sha256(b"[")
    separator = ""
    while block := list(itertools.islice(texts, BLOCK)):
        digest.update((separator + json.dumps(block)[1:-1]).encode())
        separator = ", "
    digest.update(b"]")
    return digest.hexdigest()


def _numbers(values: Any) -> str:
    return hashlib.sha256(np.asarray(values, dtype="<f8").tobytes()).hexdigest()

"""The standard dataset: its names, and a check that lists every violation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from cradle.data.cell_source import in_memory, row_blocks, sums_of_rows
from cradle.data.dosage import CONTROL as CONTROL
from cradle.data.dosage import canonical, genes_of
from cradle.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

SCHEMA_VERSION = 1
SPLITS = ("train", "val", "test", "unused")

PERTURBATION = "perturbation"
LIBRARY_SIZE = "library_size"
BATCH = "batch"
SPLIT = "split"
FULL_GENES_DETECTED = "full_genes_detected"
FULL_PERCENTS = ("full_mt_percent", "full_ribo_percent", "full_hb_percent")
FULL_VALUES = (FULL_GENES_DETECTED, *FULL_PERCENTS)
_STANDARDIZE = (
    "Upload the original file on the page Data, or bring it to the standard form with "
    "python -m cradle validate FILE --out NEW.h5ad."
)
_FAULTS: dict[str, Callable[[Any], Any]] = {
    "not finite": lambda values: ~np.isfinite(values),
    "negative": lambda values: values < 0,
    "not whole numbers": lambda values: values != np.rint(values),
}


@dataclass(frozen=True)
class Violation:
    """One departure from the standard: what is wrong, what was found, what to do."""

    what: str
    found: str
    do: str


def is_standard(adata: AnnData) -> bool:
    """Whether the file says that it already follows this schema (``validate`` checks it)."""
    record = adata.uns.get("cradle")
    return isinstance(record, dict) and "schema_version" in record


def is_generated(adata: AnnData) -> bool:
    """Whether the file says that a model has drawn its cells."""
    record = adata.uns.get("cradle")
    return isinstance(record, dict) and isinstance(record.get("generated"), dict)


def validate(adata: AnnData, require_labels: bool = True) -> list[Violation]:
    """Every way in which a dataset departs from the standard form.

    Parameters
    ----------
    adata
        Dataset in memory, (n_cells, n_genes).
    require_labels
        Whether ``obs["perturbation"]`` must be there; when it is, it is always checked.

    Returns
    -------
    The violations, none for a standard dataset.
    """
    if repeated := list(_repeated_columns(adata)):
        return repeated  # nothing more can be said about columns that are two at once
    return [
        *_names(adata),
        *_counts(adata.X),
        *_labels(adata.obs, require_labels),
        *_library_size(adata),
        *_optional_columns(adata.obs),
        *_record(adata),
    ]


def check(adata: AnnData, require_labels: bool = True) -> None:
    """Raise one error that names every violation.

    Raises
    ------
    InputError
        When :func:`validate` finds anything.
    """
    violations = validate(adata, require_labels)
    if violations:
        raise InputError(
            " ".join(violation.what for violation in violations),
            " ".join(violation.found for violation in violations),
            " ".join(dict.fromkeys(violation.do for violation in violations)),
        )


def check_columns(adata: AnnData) -> None:
    """Refuse tables of which two columns share a name (InputError)."""
    for violation in _repeated_columns(adata):
        raise InputError(violation.what, violation.found, violation.do)


def _repeated_columns(adata: AnnData) -> Iterator[Violation]:
    for table, columns in (("obs", adata.obs.columns), ("var", adata.var.columns)):
        if not columns.is_unique:
            yield Violation(
                f"Two columns of {table} have the same name.",
                f"{columns[columns.duplicated()][0]!r}.",
                "Rename or drop one of them, and write the file again.",
            )


def _names(adata: AnnData) -> Iterator[Violation]:
    for things, size in (("cells", adata.n_obs), ("genes", adata.n_vars)):
        if size == 0:
            yield Violation(f"There are no {things}.", f"0 {things}.", f"Use a file with {things}.")
    for things, names in (("cells", adata.obs_names), ("genes", adata.var_names)):
        if nameless := sum(not str(name).strip() for name in names):
            yield Violation(
                f"Some {things} have no name.",
                f"an empty name, {nameless} of {len(names)}.",
                f"Name them, or drop these {things}, and write the file again.",
            )
        if not names.is_unique:
            repeated = names[names.duplicated()].unique()
            yield Violation(
                f"Two {things} have the same name.",
                f"{len(repeated)} repeated names, such as {repeated[0]!r}.",
                f"Give all {things} names of their own (standardize does).",
            )


def _counts(counts: Any) -> Iterator[Violation]:
    in_file = not in_memory(counts) and getattr(counts, "format", None) == "csr"
    if not (in_file or (sp.issparse(counts) and counts.format == "csr")):
        yield Violation(
            "The counts are not a CSR matrix.", f"{type(counts).__name__}.", _STANDARDIZE
        )
        return
    if counts.dtype not in (np.float32, np.int32):
        yield Violation(
            "The counts are neither float32 nor int32.", f"{counts.dtype}.", _STANDARDIZE
        )
    number = dict.fromkeys(_FAULTS, 0)
    example: dict[str, float] = {}
    for _, block in row_blocks(counts):
        for name, is_wrong in _FAULTS.items():
            values = block.data[is_wrong(block.data)]
            number[name] += values.size
            if values.size:
                example.setdefault(name, float(values[0]))
    for name, value in example.items():
        yield Violation(
            f"Some counts are {name}.",
            f"{number[name]} values, such as {value:g}.",
            "Give the raw UMI counts.",
        )


def _labels(obs: pd.DataFrame, require_labels: bool) -> Iterator[Violation]:
    if PERTURBATION not in obs:
        if require_labels:
            yield _missing(PERTURBATION, obs)
        return
    labels = obs[PERTURBATION]
    if labels.isna().any():
        yield Violation(
            "Some cells have no perturbation.",
            f"{int(labels.isna().sum())} cells.",
            "Drop them, or label them (standardize drops and counts them).",
        )
    names = [str(name) for name in labels.dropna().unique()]
    if require_labels and CONTROL not in names:
        yield Violation(
            "There are no control cells.",
            f"{len(names)} perturbations, none of them {CONTROL!r}.",
            "Say which label is the control.",
        )
    for name in names:
        try:
            expected = canonical(genes_of(name))
        except InputError as error:
            yield Violation(error.what, error.found, error.do)
            continue
        if name != expected:
            yield Violation(
                "A perturbation label is not in canonical form.",
                f"{name!r} instead of {expected!r}.",
                _STANDARDIZE,
            )


def _library_size(adata: AnnData) -> Iterator[Violation]:
    if LIBRARY_SIZE not in adata.obs:
        yield _missing(LIBRARY_SIZE, adata.obs)
        return
    sizes = pd.to_numeric(adata.obs[LIBRARY_SIZE], errors="coerce").to_numpy(dtype=np.float64)
    bad = ~(np.isfinite(sizes) & (sizes > 0))
    if bad.any():
        yield Violation(
            "Some library sizes are not positive numbers.",
            f"{int(bad.sum())} cells.",
            "Drop cells without counts (standardize does).",
        )
    if is_generated(adata):
        return  # counts that were drawn scatter around the size
    if adata.n_vars and not isinstance(adata.X, np.ndarray) and adata.X is not None:
        below = sizes < row_sums(adata.X) - 0.5
        if below.any():
            yield Violation(
                "Some library sizes are below the cell's own counts.",
                f"{int(below.sum())} cells.",
                "Library sizes are totals over the full transcriptome: recompute them.",
            )


def _optional_columns(obs: pd.DataFrame) -> Iterator[Violation]:
    # an empty name is none; pandas cannot even turn a column of nothing else into text
    if BATCH in obs and (none := obs[BATCH].isna() | obs[BATCH].astype(object).eq("")).any():
        yield Violation(
            "Some cells have no batch.",
            f"{int(none.sum())} cells.",
            "Fill the column in, or leave it out.",
        )
    if SPLIT in obs and not obs[SPLIT].isin(SPLITS).all():
        others = sorted({str(value) for value in obs[SPLIT].unique()} - set(SPLITS))
        yield Violation(
            "The split holds unknown values.", f"{others}.", f"Use {', '.join(SPLITS)}."
        )
    for column in (column for column in FULL_VALUES if column in obs):
        values = pd.to_numeric(obs[column], errors="coerce").to_numpy(dtype=np.float64)
        top = 100 if column in FULL_PERCENTS else np.inf
        bad = ~(np.isfinite(values) & (values >= 0) & (values <= top))
        if bad.any():
            yield Violation(
                f"Column {column} holds impossible values.",
                f"{int(bad.sum())} cells.",
                "Mend the column, or leave it out.",
            )


def _record(adata: AnnData) -> Iterator[Violation]:
    record = adata.uns.get("cradle")
    version = record.get("schema_version") if isinstance(record, dict) else None
    if not isinstance(version, (int, np.integer)) or version != SCHEMA_VERSION:
        yield Violation(
            "The record of how the dataset was made is missing or of another version.",
            f"schema version {str(version)[:40]}, not {SCHEMA_VERSION}.",
            _STANDARDIZE,
        )
        return
    dropped = record.get("dropped", {})
    kinds = {"name": str, "library_size_source": str, "provenance": dict, "dropped": dict}
    wrong = [name for name, kind in kinds.items() if not isinstance(record.get(name, kind()), kind)]
    if isinstance(dropped, dict) and not all(str(n).isdigit() for n in dropped.values()):
        wrong.append("dropped")
    if wrong:
        yield Violation(
            "The record of how the dataset was made is damaged.",
            f"uns['cradle'] with an impossible {' and '.join(wrong)}.",
            _STANDARDIZE,
        )


def _missing(column: str, obs: pd.DataFrame) -> Violation:
    available = ", ".join(map(str, obs.columns)) or "(none)"
    return Violation(f"Missing column obs[{column!r}].", f"the columns {available}.", _STANDARDIZE)


def row_sums(counts: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Total of each row of a sparse matrix, in memory or not, (n_cells,), summed in float64."""
    parts = [sums_of_rows(block.data, block.indptr) for _, block in row_blocks(counts)]
    return np.concatenate(parts) if parts else np.zeros(0)

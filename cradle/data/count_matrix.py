"""Where a file keeps its counts, and whether they are counts at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from cradle.data.schema import row_sums
from cradle.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

COUNT_LAYERS = ("counts", "raw_counts", "count", "umi", "UMI")

_LARGEST = 2**24  # float32 holds every whole number up to here
_LOG_SCALE_TOP = 20.0  # log1p of half a billion: no logged value is larger


@dataclass(frozen=True)
class Matrix:
    """One matrix of a file.

    Attributes
    ----------
    values
        (n_cells, n_genes), CSR float32 or float64, in canonical form; a copy.
    var
        Table of its genes.
    source
        Where it stands: ``X``, ``layers['counts']`` or ``raw``.
    """

    values: sp.csr_matrix
    var: pd.DataFrame
    source: str

    @property
    def is_counts(self) -> bool:
        """Whether every value is a finite whole number, zero or more."""
        return _fault(self.values.data) is None


def find_counts(raw: AnnData, rows: npt.NDArray[np.bool_], source: str | None = None) -> Matrix:
    """Raw counts of a file: a layer named for them, else ``X``, else ``raw``.

    Parameters
    ----------
    raw
        The file, in memory.
    rows
        Cells to read, (n_cells,) boolean.
    source
        ``"X"``, ``"raw"`` or the name of a layer; the first place with counts when None.

    Raises
    ------
    InputError
        When none of the places holds counts; says what the first of them holds instead.
    """
    places = _places(raw) if source is None else [_named_place(raw, source)]
    faults = {}
    for place in places:
        matrix = read_matrix(raw, place, rows)
        fault = _fault(matrix.values.data)
        if fault is None:
            return matrix
        faults[place] = fault
    place = "X" if "X" in faults else places[0]
    raise _refusal(faults[place], place, [other for other in places if other != place])


def read_matrix(raw: AnnData, place: str, rows: npt.NDArray[np.bool_]) -> Matrix:
    """One matrix of a file as CSR without stored zeros, duplicates or disorder.

    Raises
    ------
    InputError
        When there is no such matrix or it does not hold numbers.
    """
    if place == "raw":
        values, var, source = raw.raw.X, raw.raw.var, "raw"
    elif place == "X":
        values, var, source = raw.X, raw.var, "X"
    else:
        values, var, source = raw.layers[place], raw.var, f"layers[{place!r}]"
    return Matrix(_as_csr(values, rows, source), var, source)


def raw_totals(
    raw: AnnData, matrix: Matrix, rows: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64] | None:
    """Total of each cell over ``raw``, (n_cells,), where it holds counts of more genes."""
    if raw.raw is None or raw.raw.n_vars <= matrix.values.shape[1]:
        return None
    larger = read_matrix(raw, "raw", rows)
    return row_sums(larger.values) if larger.is_counts else None


def _places(raw: AnnData) -> list[str]:
    layers = [name for name in COUNT_LAYERS if name in raw.layers]
    return [*layers, *(["X"] if raw.X is not None else []), *(["raw"] if raw.raw else [])] or ["X"]


def _named_place(raw: AnnData, source: str) -> str:
    if source in _places(raw) or source in raw.layers:
        return source
    raise InputError(
        f"There is no matrix {source!r}.",
        f"{', '.join([*_places(raw), *raw.layers])}.",
        "Name the layer with the raw counts, 'X' or 'raw'.",
    )


def _as_csr(values: Any, rows: npt.NDArray[np.bool_], source: str) -> sp.csr_matrix:
    known = sp.issparse(values) or isinstance(values, np.ndarray)
    if not known or values.dtype.kind not in "buif":
        raise InputError(
            f"{source} does not hold numbers.",
            f"{type(values).__name__} of {getattr(values, 'dtype', 'no type')}.",
            "Store the raw counts as a sparse or dense matrix of numbers.",
        )
    if values.dtype == np.float16 and _top(values) > 2048:
        raise InputError(
            f"{source} is stored in a type too small for its counts.",
            "float16 with values above 2,048, which it rounds.",
            "Store the raw counts as float32 or int32.",
        )
    # float64 only where float32 would round: a screen has some hundred million values.
    exact = np.float32 if np.can_cast(values.dtype, np.float32) else np.float64
    matrix = sp.csr_matrix(values.astype(exact, copy=False))[np.flatnonzero(rows)]
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def _top(values: Any) -> float:
    stored = values.data if sp.issparse(values) else values
    return float(np.max(stored, initial=0))


def _fault(values: npt.NDArray[np.floating]) -> tuple[str, str] | None:
    """What keeps the values from being counts: kind and example; None for counts."""
    if not np.isfinite(values).all():
        return "not finite", f"{int((~np.isfinite(values)).sum())} values that are NaN or infinite"
    if (values < 0).any():
        return "negative", f"{int((values < 0).sum())} negative values, the lowest {values.min():g}"
    broken = values[values != np.rint(values)]
    top = float(values.max(initial=0))
    if broken.size:
        kind = "logged" if top < _LOG_SCALE_TOP else "scaled"
        return kind, f"values such as {broken[0]:.4g}, the largest {top:.4g}"
    return ("too large", f"a count of {top:.0f}") if top > _LARGEST else None


def _refusal(fault: tuple[str, str], place: str, others: list[str]) -> InputError:
    kind, example = fault
    what = {
        "not finite": f"{place} holds values that are not numbers.",
        "negative": f"{place} holds negative values, so these are no counts (scaled or centred?).",
        "logged": f"{place} looks log-normalised; the models need the raw UMI counts.",
        "scaled": f"{place} looks normalised or corrected; the models need the raw UMI counts.",
        "too large": f"{place} holds counts that no cell has.",
    }[kind]
    elsewhere = f" Nor are there counts in {', '.join(others)}." if others else ""
    do = "Put the raw counts into X, layers['counts'] or raw."
    if kind == "logged":
        do += (
            " Where it is log1p(counts · scale / total), ask to have it turned back into counts"
            " (a switch on page Data, --invert-log1p); refused when a count does not come back"
            " whole."
        )
    return InputError(what, f"{example}.{elsewhere}", do)

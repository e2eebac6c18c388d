"""log1p(scale · count / total) -> the counts, where that is exact."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from cradle.errors import InputError

Floats = npt.NDArray[np.float64]

_SCALE = 1e4
_LARGEST_UNIT = 20  # smallest non-zero count of a cell that is tried without totals
_LOWEST_SHARE = 0.9  # of the reported total; gene filters before normalising take less
# float32 logs carry 6e-8 of their value: at most about 1e-6 of a count, and of a total.
_ABSOLUTE, _RELATIVE = 1e-3, 1e-6


def invert_log1p(values: sp.csr_matrix, totals: Floats | None = None) -> sp.csr_matrix:
    """Counts of a log-normalised matrix, refused unless every one comes back whole.

    The smallest value of a cell is ``log1p(scale · c / total)`` for a small count ``c``, so
    that ``c`` gives the total and the total all other counts. Reported totals tell ``c``
    where no gene of the cell has a single count: the implied total lies at or just below
    the reported one, never above. Without them ``c`` is the smallest count that makes the
    cell whole, and the matrix must hold the full transcriptome.

    Parameters
    ----------
    values
        (n_cells, n_genes), ``log1p(scale · count / total)``, CSR. The scale is the common
        sum of the cells when they have one, else 10,000.
    totals
        (n_cells,), counts over the full transcriptome, where the file reports them.

    Returns
    -------
    (n_cells, n_genes), whole counts, CSR float64.

    Raises
    ------
    InputError
        When the inversion is not exact.
    """
    if not np.isfinite(values.data).all() or (values.data < 0).any():
        raise _refusal("values that are negative or not finite")
    shares = values.astype(np.float64)
    shares.data = np.expm1(shares.data)
    shares.eliminate_zeros()
    n_values = np.diff(shares.indptr)
    filled = n_values > 0
    if not filled.any():
        return shares
    scale = _common_sum(shares, filled)
    if scale is None and totals is None:
        raise _refusal("a gene panel without the full-transcriptome total of each cell")
    smallest = np.minimum.reduceat(shares.data, shares.indptr[:-1][filled])
    base = (scale or _SCALE) / smallest  # the total if the smallest count is one
    if totals is None:
        per_count = shares.data / np.repeat(smallest, n_values[filled])
        unit = _smallest_whole_unit(per_count, n_values[filled], base)
    else:
        unit = _unit_of_totals(base, np.asarray(totals, dtype=np.float64)[filled])
    size = _whole(unit * base, "total")
    shares.data = _whole(
        shares.data * np.repeat(size, n_values[filled]) / (scale or _SCALE), "count"
    )
    return shares


def _common_sum(shares: sp.csr_matrix, filled: npt.NDArray[np.bool_]) -> float | None:
    """What the cells were scaled to, when all of them still sum to it."""
    sums = np.asarray(shares.sum(axis=1)).ravel()[filled]
    scale = float(np.median(sums)) if sums.size > 1 else _SCALE
    return scale if np.allclose(sums, scale, rtol=1e-4, atol=0) else None


def _unit_of_totals(base: Floats, totals: Floats) -> Floats:
    """Smallest count of each cell: the largest whose implied total is not above the reported."""
    unit = np.floor(totals * (1 + _RELATIVE) / base)
    share = unit * base / totals
    other = ~(share >= _LOWEST_SHARE)
    if other.any():
        raise _refusal(
            f"{int(other.sum())} cells whose values imply another total than the file reports"
        )
    # A unit above one is the exception; were it the rule, any total could be met.
    if not np.median(base / totals) >= _LOWEST_SHARE:
        raise _refusal(
            f"values that imply {np.median(base):,.0f} counts in the median cell, where the file "
            f"reports {np.median(totals):,.0f}: they were normalised to another total"
        )
    return unit


def _smallest_whole_unit(
    per_count: Floats, n_values: npt.NDArray[np.int32], base: Floats
) -> Floats:
    """Smallest count of each cell that makes its total and all its counts whole."""
    unit = np.zeros(base.size)
    starts = np.cumsum(n_values) - n_values
    for candidate in range(1, _LARGEST_UNIT + 1):
        whole = np.logical_and.reduceat(_is_whole(per_count * candidate), starts)
        unit[(unit == 0) & whole & _is_whole(base * candidate)] = candidate
    if (unit == 0).any():
        raise _refusal(f"{int((unit == 0).sum())} cells without any whole solution")
    return unit


def _is_whole(values: Floats) -> npt.NDArray[np.bool_]:
    return np.abs(values - np.rint(values)) <= _ABSOLUTE + _RELATIVE * values


def _whole(values: Floats, thing: str) -> Floats:
    broken = ~_is_whole(values)
    if broken.any():
        raise _refusal(
            f"{int(broken.sum())} {thing}s that are not whole, such as {values[broken][0]:.4f}"
        )
    return np.rint(values)


def _refusal(found: str) -> InputError:
    return InputError(
        "The log-normalised values cannot be turned back into counts exactly.",
        f"{found}.",
        "Give the raw UMI counts; inversion needs log1p(counts · scale / total), unscaled and "
        "uncorrected, and for a gene panel the totals in obs (ncounts).",
    )

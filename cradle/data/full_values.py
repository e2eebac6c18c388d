"""What obs knows of the full transcriptome: library sizes, genes detected, percentages."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from cradle.data.columns import column, numeric_columns
from cradle.data.schema import FULL_GENES_DETECTED, LIBRARY_SIZE, row_sums
from cradle.errors import InputError

Floats = npt.NDArray[np.float64]

# The schema's own names come first: cells of a standard file may come back without its record.
TOTALS = (LIBRARY_SIZE, "ncounts", "n_counts", "total_counts", "UMI_count", "nCount_RNA")
GENES_DETECTED = (FULL_GENES_DETECTED, "ngenes", "n_genes", "n_genes_by_counts", "nFeature_RNA")
PERCENTS = {
    "full_mt_percent": (
        "full_mt_percent", "pct_counts_mt", "percent.mt", "percent_mt", "percent_mito",
        "percent.mito", "mitopercent", "mito_percent", "mt_percent",
    ),
    "full_ribo_percent": (
        "full_ribo_percent", "pct_counts_ribo", "percent.ribo", "percent_ribo", "ribopercent",
        "ribo_percent",
    ),
    "full_hb_percent": (
        "full_hb_percent", "pct_counts_hb", "percent.hb", "percent_hb", "hb_percent",
    ),
}  # fmt: skip

# The schema's, scanpy's and Seurat's own names: a percentage by definition, whatever its range.
_ALWAYS_PERCENT = ("full_", "pct_counts_", "percent.")


def reported_totals(obs: pd.DataFrame, name: str | None = None) -> list[tuple[str, Floats]]:
    """Columns that may hold the total counts of each cell, the most trusted first.

    Parameters
    ----------
    obs
        Table of the cells.
    name
        The user's choice, ``""`` for none; found by name when None.

    Raises
    ------
    InputError
        The named column is missing, or does not hold a number above 0 for every cell.
    """
    if name == "":
        return []
    if name is None:
        return numeric_columns(obs, TOTALS)
    found = numeric_columns(obs, [str(column(obs, name).name)])
    if not found or not (found[0][1] > 0).all():
        raise InputError(
            f"Column {name!r} does not hold the total counts of each cell.",
            f"type {obs[name].dtype}, such as {', '.join(map(str, obs[name].iloc[:3]))}.",
            "Name a column of numbers above 0, one for every cell.",
        )
    return found


def library_sizes(
    obs: pd.DataFrame,
    counts: sp.csr_matrix,
    totals: Floats | None = None,
    *,
    name: str | None = None,
    generated: bool = False,
) -> tuple[Floats, str]:
    """Total counts of each cell over the full transcriptome, and where they come from.

    Parameters
    ----------
    obs
        Table of the cells.
    counts
        (n_cells, n_genes), counts.
    totals
        (n_cells,), counts: sums over a larger matrix of the same file, where it has one.
    name
        Column of obs with the totals; see :func:`reported_totals`.
    generated
        Whether a model has drawn the cells: their counts scatter around ``library_size``, the
        size that they were drawn at, which then stands as it is.

    Returns
    -------
    (n_cells,), counts: a reported total that is nowhere below the cell's own sum, else the
    sums over the largest matrix; and ``obs:<column>``, ``sum over all genes of raw`` or
    ``sum over all genes of the file``.

    Raises
    ------
    InputError
        The named column cannot hold the totals.
    """
    sums = row_sums(counts)
    for place, reported in reported_totals(obs, name):
        if generated and place == LIBRARY_SIZE and (reported > 0).all():
            return reported, f"obs:{place}"
        below = reported < sums - 0.5
        if not below.any():
            return np.maximum(reported, sums), f"obs:{place}"
        if name is not None:
            cell = int(below.argmax())
            raise InputError(
                f"Column {name!r} does not hold the total counts of each cell.",
                f"{int(below.sum()):,} cells that count more than it says, the first of them "
                f"{sums[cell]:,.0f} where it says {reported[cell]:,.6g}.",
                "Name the column with totals over all genes that were counted, as counts.",
            )
    if totals is not None and (totals >= sums).all():
        return totals, "sum over all genes of raw"
    return sums, "sum over all genes of the file"


def full_values(
    obs: pd.DataFrame, counts: sp.csr_matrix, library_size: Floats
) -> tuple[dict[str, Floats], dict[str, str]]:
    """Quality values over the full transcriptome, where the matrix is a panel of it.

    Empty when the library sizes are the sums of the matrix: then the matrix is the full
    transcriptome and its own values are the authority.

    Parameters
    ----------
    obs
        Table of the cells.
    counts
        (n_cells, n_genes), counts.
    library_size
        (n_cells,), counts, as of :func:`library_sizes`.

    Returns
    -------
    Columns ``full_genes_detected`` (genes) and ``full_<class>_percent`` (0 to 100), each
    (n_cells,); and the obs column that each comes from.
    """
    if not (library_size > row_sums(counts) + 0.5).any():
        return {}, {}
    values, sources = {}, {}
    for name, detected in numeric_columns(obs, GENES_DETECTED):
        if (detected >= np.diff(counts.indptr)).all():
            values[FULL_GENES_DETECTED], sources[FULL_GENES_DETECTED] = detected, f"obs:{name}"
            break
    for target, names in PERCENTS.items():
        for name, reported in numeric_columns(obs, names):
            scale = 100.0 if is_fraction(name, reported) else 1.0
            percent = reported * scale
            if (percent >= 0).all() and (percent <= 100).all():
                values[target] = percent
                sources[target] = f"obs:{name}" + (" (a fraction) × 100" if scale > 1 else "")
                break
    return values, sources


def is_fraction(name: str, values: Floats) -> bool:
    """Whether a share is stored as 0 to 1 instead of 0 to 100.

    By its range, no cell above 1, unless the name is the schema's, scanpy's or Seurat's
    own for a percentage. Replogle's ``mitopercent`` is a fraction.
    """
    return not name.startswith(_ALWAYS_PERCENT) and bool(values.max(initial=0) <= 1)

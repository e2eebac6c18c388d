"""A file as it is met -> the standard dataset of ``schema.py``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from cradle.data.columns import (
    batch_column,
    column,
    label_texts,
    perturbation_column,
)
from cradle.data.count_matrix import Matrix, find_counts, raw_totals, read_matrix
from cradle.data.full_values import full_values, library_sizes, reported_totals
from cradle.data.gene_names import gene_names, unique_names
from cradle.data.inversion import invert_log1p
from cradle.data.labels import LabelParser, label_map
from cradle.data.schema import (
    BATCH,
    CONTROL,
    LIBRARY_SIZE,
    PERTURBATION,
    SCHEMA_VERSION,
    SPLIT,
    check,
    check_columns,
    is_generated,
    is_standard,
    row_sums,
)
from cradle.data.splits import split_of_file
from cradle.errors import InputError

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class InputSpec:
    """What a file means where its names do not tell. Every field may be left out.

    Attributes
    ----------
    perturbation
        Column of obs with the labels; ``""`` for none.
    control
        Labels that mean control beside the usual names; ``"nan"`` for missing ones.
    separator
        What joins the genes of a combination; ``"none"`` where labels are one gene each.
    counts
        ``"X"``, ``"raw"`` or the layer with the raw counts.
    batch
        Column of obs with the batch; ``""`` for none.
    symbols
        Column of var with the gene symbols; ``""`` for none.
    totals
        Column of obs with the total counts of each cell over the full transcriptome; ``""`` for
        none: then they are the sums of the largest matrix of counts.
    unassigned
        Labels of cells without a known perturbation, beside missing ones, ``""`` and ``"*"``.
    parse_label
        One label to its canonical form, or None for unassigned; replaces the general rules.
    invert_log1p
        Whether to turn ``log1p(scale · count / total)`` back into counts, exactly or not
        at all. ``counts`` then names the matrix to invert, ``X`` by default.
    rows
        Column of obs and the value that marks the cells to use.
    """

    perturbation: str | None = None
    control: str | tuple[str, ...] = ()
    separator: str | None = None
    counts: str | None = None
    batch: str | None = None
    symbols: str | None = None
    totals: str | None = None
    unassigned: tuple[str, ...] = ()
    parse_label: LabelParser | None = None
    invert_log1p: bool = False
    rows: tuple[str, str] | None = None

    @property
    def controls(self) -> tuple[str, ...]:
        """The chosen control labels as a tuple."""
        return (self.control,) if isinstance(self.control, str) else self.control

    @property
    def given(self) -> dict[str, Any]:
        """The fields that were not left out."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return {f.name: said[f.name] for f in fields(self) if said[f.name] != f.default}


def check_unread(spec: InputSpec | None) -> None:
    """Refuse (InputError) to be told how to read a file that is in standard form already."""
    if spec is not None and spec.given:
        raise InputError(
            "The file is in standard form already, so that it cannot be read in another way.",
            f"{', '.join(f'{name}={value!r}' for name, value in spec.given.items())}.",
            "Leave these options out, or give the file that the standard form was made from.",
        )


def standardize(
    raw: AnnData, spec: InputSpec | None = None, *, name: str, require_labels: bool = True
) -> AnnData:
    """Bring a dataset into standard form.

    Parameters
    ----------
    raw
        The dataset as read, in memory or backed; not changed.
    spec
        What its names do not tell.
    name
        What to call the dataset.
    require_labels
        Whether cells must carry perturbations and some of them the control. Without it,
        labels are used where they can be found.

    Returns
    -------
    A new AnnData that passes :func:`cradle.data.schema.validate`; a dataset that is in
    standard form already comes back as a checked copy.

    Raises
    ------
    InputError
        When the file cannot be read without guessing, or is in standard form and ``spec`` says
        how to read it.
    """
    if raw.isbacked:
        raw = raw.to_memory()
    if is_standard(raw):
        check_unread(spec)
        check(raw, require_labels)
        return raw.copy()
    check_columns(raw)
    spec = spec or InputSpec()
    rows = _rows(raw.obs, spec.rows)
    matrix = _counts(raw, spec, rows)
    obs = raw.obs.loc[rows]
    genes, genes_record = gene_names(matrix.var, spec.symbols)
    labels, labels_from = _labels(obs, spec, genes, require_labels)
    assigned = np.ones(len(obs), dtype=bool) if labels is None else labels.notna().to_numpy()
    filled = row_sums(matrix.values) > 0
    keep = assigned & filled
    if not keep.any():
        raise _no_cells(len(obs), assigned)
    totals = raw_totals(raw, matrix, rows)
    standard = _assemble(
        matrix.values if keep.all() else matrix.values[np.flatnonzero(keep)],
        obs.loc[keep],
        pd.DataFrame(index=genes),
        batch_column(obs, spec.batch),
        None if totals is None else totals[keep],
        total_column=spec.totals,
        generated=is_generated(raw),
    )
    if is_generated(raw):
        standard.uns["cradle"]["generated"] = raw.uns["cradle"]["generated"]
    if labels is not None:
        standard.obs.insert(0, PERTURBATION, _categorical(labels[keep]))
    inverted = ", inverted from log1p exactly" if spec.invert_log1p else ""
    standard.uns["cradle"] |= {
        "name": name,
        "provenance": {
            "source": name,
            "counts": matrix.source + inverted,
            "labels": labels_from,
            **genes_record,
        },
        "dropped": {
            "unassigned": int((~assigned).sum()),
            "zero_count": int((assigned & ~filled).sum()),
        },
    }
    check(standard, require_labels)
    return standard


def _rows(obs: pd.DataFrame, chosen: tuple[str, str] | None) -> Mask:
    if chosen is None:
        return np.ones(len(obs), dtype=bool)
    values = column(obs, chosen[0]).astype(str)
    rows = (values == chosen[1]).to_numpy(dtype=bool)
    if not rows.any():
        raise InputError(
            f"No cell has {chosen[1]!r} in column {chosen[0]!r}.",
            f"{', '.join(map(repr, values.unique()[:10]))}.",
            "Name one of these values.",
        )
    return rows


def _counts(raw: AnnData, spec: InputSpec, rows: Mask) -> Matrix:
    if not spec.invert_log1p:
        return find_counts(raw, rows, spec.counts)
    logged = read_matrix(raw, spec.counts or "X", rows)
    reported = reported_totals(raw.obs.loc[rows], spec.totals)
    totals = reported[0][1] if reported else None
    return Matrix(invert_log1p(logged.values, totals), logged.var, logged.source)


def _labels(
    obs: pd.DataFrame, spec: InputSpec, genes: pd.Index, require_labels: bool
) -> tuple[pd.Series | None, str]:
    """Canonical label of each cell, missing where unassigned, and where they come from."""
    try:
        found = perturbation_column(obs, spec.perturbation, spec.controls)
        texts = label_texts(obs[found])
        labels = label_map(
            texts.unique(),
            genes=genes,
            control=spec.controls,
            separator=spec.separator,
            unassigned=spec.unassigned,
            parse_label=spec.parse_label,
        )
    except InputError as error:
        if require_labels or spec.perturbation:
            raise
        return None, f"none: {error.what}"
    absent = [name for name in spec.controls if name not in labels]
    if absent or (require_labels and CONTROL not in labels.values()):
        raise InputError(
            "There are no control cells.",
            f"{', '.join(map(repr, absent)) or 'no usual name'} is not in column {found!r}, "
            f"which holds {len(labels)} labels such as "
            f"{', '.join(map(repr, list(labels)[:5]))}.",
            "Say which label is the control (control=...).",
        )
    return texts.map(labels), f"obs:{found}"


def _assemble(
    counts: sp.csr_matrix,
    obs: pd.DataFrame,
    var: pd.DataFrame,
    batch: str | None,
    totals: npt.NDArray[np.float64] | None,
    *,
    total_column: str | None,
    generated: bool,
) -> AnnData:
    """The dataset without its labels, of cells that are all kept."""
    # a run tells its cells by their names, so that one without gets one
    named = [name if str(name).strip() else "cell" for name in obs.index]
    cells, _ = unique_names(named)
    n_renamed = sum(str(before) != after for before, after in zip(obs.index, cells, strict=True))
    sizes, size_source = library_sizes(obs, counts, totals, name=total_column, generated=generated)
    # what stands beside generated cells was counted on the very same genes
    full, full_sources = ({}, {}) if generated else full_values(obs, counts, sizes)
    columns: dict[str, Any] = {LIBRARY_SIZE: sizes, **full}
    if batch is not None:
        columns[BATCH] = _categorical(obs[batch])
    split_record = {}
    if SPLIT in obs:
        columns[SPLIT], split_record["split_source"] = split_of_file(obs[SPLIT])
    record = {
        "schema_version": SCHEMA_VERSION,
        "simulated": False,
        "library_size_source": size_source,
        "full_values": full_sources,
        "n_cells_renamed": n_renamed,
        **split_record,
    }
    return AnnData(
        X=counts.astype(np.float32, copy=False),
        obs=pd.DataFrame(columns, index=cells),
        var=var,
        uns={"cradle": record},
    )


def _categorical(values: pd.Series) -> Any:
    """The values as text in sorted categories; missing ones stay missing."""
    return values.astype(object).map(str, na_action="ignore").astype("category").array


def _no_cells(n_cells: int, assigned: Mask) -> InputError:
    return InputError(
        "No cell is left.",
        f"{n_cells} cells, {int((~assigned).sum())} of them without a perturbation and the "
        "others without a single count.",
        "Check the perturbation column and the count matrix.",
    )

"""What a file holds and how it would be read, before it is: for people who say what is what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from cradle.data.columns import label_texts, numeric_columns, perturbation_column
from cradle.data.count_matrix import COUNT_LAYERS, find_counts
from cradle.data.dosage import CONTROL, is_control
from cradle.data.gene_names import gene_names
from cradle.data.labels import label_map
from cradle.data.schema import Violation
from cradle.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.data.standardize import InputSpec

T = TypeVar("T")

#: Cells whose counts are looked at for a preview; reading the file looks at all.
SAMPLE = 1_000
_MAX_LABELS = 20_000


@dataclass(frozen=True)
class Contents:
    """What can be chosen from in a file.

    Attributes
    ----------
    n_cells, n_genes
        Size of ``X``.
    columns
        Text columns of obs with fewer labels than cells: those that can hold perturbations.
    batches
        Columns of obs that group the cells.
    symbols
        Text columns of var.
    totals
        Columns of obs with a number above 0 for every cell.
    matrices
        ``X``, ``raw`` and layers -> None where the sampled values are counts, else why not.
    perturbation
        The column that is found by its name, if one is.
    """

    n_cells: int
    n_genes: int
    columns: tuple[str, ...]
    batches: tuple[str, ...]
    symbols: tuple[str, ...]
    totals: tuple[str, ...]
    matrices: dict[str, str | None]
    perturbation: str | None


@dataclass(frozen=True)
class Preview:
    """How a file would be read.

    Attributes
    ----------
    labels
        in_file, read_as, kind (control, single, combination, unassigned), n_cells; the most
        frequent first. Empty where the labels cannot be read.
    problems
        What keeps the file, or a part of the app, from working, each with what to do.
    has_counts
        Whether the sampled values are counts; without labels there is still quality control.
    """

    labels: pd.DataFrame
    problems: tuple[Violation, ...]
    has_counts: bool


def contents(raw: AnnData) -> Contents:
    """What there is to choose from in a file that the gate has let pass."""
    texts = tuple(str(c) for c in raw.obs if _is_text(raw.obs[c]))
    groups = tuple(str(c) for c in raw.obs if raw.obs[c].nunique() <= max(raw.n_obs // 10, 2))
    numbers = numeric_columns(raw.obs, [str(c) for c in raw.obs])
    places = [*(["X"] if raw.X is not None else []), *(["raw"] if raw.raw else []), *raw.layers]
    places.sort(key=lambda place: (place not in COUNT_LAYERS, place not in ("X", "raw")))
    try:
        guess = perturbation_column(raw.obs)
    except InputError:
        guess = None
    return Contents(
        raw.n_obs, raw.n_vars,
        tuple(c for c in texts if raw.obs[c].nunique() <= min(raw.n_obs - 1, _MAX_LABELS)),
        groups, tuple(str(c) for c in raw.var if _is_text(raw.var[c])),
        tuple(name for name, of_cell in numbers if (of_cell > 0).all()),
        {place: _fault(raw, place) for place in places}, guess,
    )  # fmt: skip


def labels_of(raw: AnnData, column: str) -> pd.Series[int]:
    """Labels of a column as the file spells them, with their cells, the most frequent first."""
    return label_texts(raw.obs[column]).value_counts()


def usual_control(labels: pd.Series[int]) -> str | None:
    """The most frequent label that is one of the usual names of the control."""
    return next((str(label) for label in labels.index if is_control(str(label))), None)


def preview(raw: AnnData, spec: InputSpec) -> Preview:
    """How the file would be read, with all problems at once."""
    problems: list[Violation] = []
    if not spec.invert_log1p:  # which is exact or refused, but only on all values
        _attempt(problems, lambda: find_counts(raw, _sample(raw), spec.counts))
    has_counts = not problems
    table = _attempt(problems, lambda: _labels(raw, spec))
    if table is None:
        table = pd.DataFrame(columns=["in_file", "read_as", "kind", "n_cells"])
    elif "control" not in set(table["kind"]):
        problems.append(
            Violation(
                "There are no control cells.",
                f"{len(table)} labels, none of them read as control.",
                "Say which label the unperturbed cells carry.",
            )
        )
    return Preview(table, tuple(problems), has_counts)


def _labels(raw: AnnData, spec: InputSpec) -> pd.DataFrame:
    names, _ = gene_names(raw.var, spec.symbols)
    found = labels_of(raw, perturbation_column(raw.obs, spec.perturbation, spec.controls))
    read = label_map(
        map(str, found.index), genes=set(names), control=spec.controls, separator=spec.separator,
        unassigned=spec.unassigned,
    )  # fmt: skip
    table = pd.DataFrame({"in_file": [str(label) for label in found.index],
                          "n_cells": found.to_numpy()})  # fmt: skip
    table["read_as"] = [read[label] for label in table["in_file"]]
    table["kind"] = table["read_as"].map(_kind, na_action=None)
    return table[["in_file", "read_as", "kind", "n_cells"]]


def _kind(label: str | None) -> str:
    if label is None:
        return "unassigned"
    if label == CONTROL:
        return "control"
    return "combination" if "+" in label else "single"


def _attempt(problems: list[Violation], read: Callable[[], T]) -> T | None:
    try:
        return read()
    except InputError as error:
        problems.append(Violation(error.what, error.found, error.do))
        return None


def _fault(raw: AnnData, place: str) -> str | None:
    try:
        find_counts(raw, _sample(raw), place)
    except InputError as error:
        return f"{error.what} {error.found}"
    return None


def _sample(raw: AnnData) -> npt.NDArray[np.bool_]:
    """Cells spread over the file, (n_cells,) boolean."""
    chosen = np.zeros(raw.n_obs, dtype=bool)
    chosen[np.linspace(0, raw.n_obs - 1, min(SAMPLE, raw.n_obs)).astype(int)] = True
    return chosen


def _is_text(values: pd.Series) -> bool:
    kinds = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else values
    return pd.api.types.is_string_dtype(kinds) or pd.api.types.is_object_dtype(kinds)

"""Which columns of a file hold what: found by name, refused when it takes a guess."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from cradle.data.dosage import is_control
from cradle.data.schema import PERTURBATION
from cradle.errors import InputError

PERTURBATION_COLUMNS = (
    PERTURBATION, "perturbations", "perturbation_name", "condition", "gene", "target_gene",
    "gene_target", "guide_target", "target", "perturbed_gene", "guide_identity", "guide", "guides",
)  # fmt: skip
BATCH_COLUMNS = ("batch", "gemgroup", "gem_group")
SYMBOL_COLUMNS = (
    "gene_symbols", "gene_symbol", "gene_names", "gene_name", "symbols", "symbol",
    "feature_name", "gene_short_name", "name",
)  # fmt: skip

NO_COLUMN = "No column is known to hold the perturbation."
_ENSEMBL = r"ENS[A-Z]*G\d{6,}(\.\d+)?"


def column(table: pd.DataFrame, name: str, where: str = "obs") -> pd.Series:
    """A column that the user named.

    Raises
    ------
    InputError
        When it is missing; the available ones are listed.
    """
    if name not in table:
        raise InputError(
            f"Missing column {where}[{name!r}].",
            f"the columns {', '.join(map(str, table.columns)) or '(none)'}.",
            "Name one of the available columns.",
        )
    return table[name]


def perturbation_column(
    obs: pd.DataFrame, name: str | None = None, control: Collection[str] = ()
) -> str:
    """Column of ``obs`` that holds the perturbations.

    Parameters
    ----------
    obs
        Table of the cells.
    name
        The user's choice, ``""`` for none; found by name and by holding a control when None.
    control
        Labels that mean control beside the usual names.

    Raises
    ------
    InputError
        When the named column is missing, when no column fits or none shall, or when several
        columns fit and they group the cells differently.
    """
    if name == "":
        raise InputError(
            NO_COLUMN, "the choice that none does.", "Choose one where labels are needed."
        )
    if name is not None:
        column(obs, name)
        return name
    named = [name for name in PERTURBATION_COLUMNS if name in obs and _is_text(obs[name])]
    fitting = [name for name in named if _holds_control(obs[name], control)]
    if not fitting:
        raise _no_perturbation(obs, named, control)
    if PERTURBATION in fitting or all(_same_groups(obs, fitting[0], other) for other in fitting):
        return fitting[0]
    raise InputError(
        "More than one column may hold the perturbation.",
        f"{', '.join(map(repr, fitting))}.",
        f"Say which one, for example perturbation={fitting[0]!r}.",
    )


def label_texts(labels: pd.Series) -> pd.Series:
    """Labels as text, a missing one as ``"nan"``.

    Raises
    ------
    InputError
        When the labels are numbers.
    """
    if not _is_text(labels):
        raise InputError(
            "The perturbation labels are not text.",
            f"column {labels.name!r} of type {labels.dtype}.",
            "Name a column with gene names.",
        )
    return labels.astype(object).where(labels.notna(), "nan").astype(str)


def coded_texts(values: pd.Series) -> pd.Categorical:
    """A column as text by small codes; the texts that occur are its categories, in their order.

    ``astype(str)`` would make a text of its own for every cell.
    """
    codes, found = pd.factorize(values, use_na_sentinel=False)
    texts, place = np.unique(found.astype(str).astype(object), return_inverse=True)
    return pd.Categorical.from_codes(place[codes], pd.Index(texts))


def batch_column(obs: pd.DataFrame, name: str | None = None) -> str | None:
    """Column of ``obs`` that holds the batch; an empty ``name`` means that none does."""
    if name is not None:
        return str(column(obs, name).name) if name else None
    return next((found for found in BATCH_COLUMNS if found in obs), None)


def symbol_column(var: pd.DataFrame, name: str | None = None) -> str | None:
    """Column of ``var`` with gene symbols, None where the index holds them already."""
    if name is not None:
        return str(column(var, name, "var").name) if name else None
    if not is_ensembl(var.index):
        return None
    fitting = [found for found in SYMBOL_COLUMNS if found in var and _is_text(var[found])]
    return next((found for found in fitting if not is_ensembl(var[found])), None)


def is_ensembl(names: pd.Index | pd.Series) -> bool:
    """Whether most names are Ensembl gene ids."""
    matches = np.asarray(pd.Index(names).astype(str).str.fullmatch(_ENSEMBL), dtype=bool)
    return bool(matches.size) and bool(matches.mean() > 0.5)


def numeric_columns(obs: pd.DataFrame, names: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """Those of the named columns that hold a finite number for every cell, in that order."""
    found = []
    for name in names:
        if name in obs and pd.api.types.is_numeric_dtype(obs[name]):
            values = obs[name].to_numpy(dtype=np.float64, na_value=np.nan)
            if np.isfinite(values).all():
                found.append((name, values))
    return found


def _is_text(labels: pd.Series) -> bool:
    values = labels.cat.categories if isinstance(labels.dtype, pd.CategoricalDtype) else labels
    return pd.api.types.is_string_dtype(values) or pd.api.types.is_object_dtype(values)


def _holds_control(labels: pd.Series, control: Collection[str]) -> bool:
    texts = label_texts(labels).str.strip().unique()
    return any(text in control or is_control(text) for text in texts)


def _same_groups(obs: pd.DataFrame, first: str, second: str) -> bool:
    """Whether two columns group the cells alike, whatever they call the groups."""
    codes, others = (label_texts(obs[name]).factorize()[0] for name in (first, second))
    return bool(np.array_equal(codes, others))


def _no_perturbation(
    obs: pd.DataFrame, named: Sequence[str], control: Collection[str]
) -> InputError:
    if not named:
        return InputError(
            NO_COLUMN,
            f"columns {', '.join(map(str, obs.columns)) or 'none'}.",
            f"Say which column holds it, or call it {PERTURBATION!r}.",
        )
    labels = label_texts(obs[named[0]]).unique()
    wanted = ", ".join(map(repr, control)) or "control, ctrl, non-targeting, NT, negctrl"
    return InputError(
        "There are no control cells.",
        f"none of {wanted} in {', '.join(map(repr, named))}; {named[0]!r} holds "
        f"{len(labels)} labels such as {', '.join(map(repr, labels[:5]))}.",
        "Say which label is the control (control=...), or name another column.",
    )

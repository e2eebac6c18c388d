"""Gene symbols of a file, each one unique."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from cradle.data.columns import symbol_column


def gene_names(var: pd.DataFrame, symbols: str | None = None) -> tuple[pd.Index, dict[str, object]]:
    """Unique names of the genes, and a record of how they came about.

    Parameters
    ----------
    var
        Table of the genes.
    symbols
        Column with the symbols; found by name when None and the index holds Ensembl ids.

    Returns
    -------
    Names, (n_genes,); a gene without a symbol keeps the name of the index. The record holds
    ``gene_names`` (where they come from) and ``n_genes_renamed`` (repeated names).
    """
    column = symbol_column(var, symbols)
    names = [str(name) for name in var.index]
    if column is not None:
        texts = var[column].astype(object).where(var[column].notna(), "").astype(str).str.strip()
        names = [text or name for text, name in zip(texts, names, strict=True)]
    unique, n_renamed = unique_names(names)
    source = "var index" if column is None else f"var:{column}"
    return unique, {"gene_names": source, "n_genes_renamed": n_renamed}


def unique_names(names: Iterable[object]) -> tuple[pd.Index, int]:
    """Names as text with ``-1``, ``-2`` … after repetitions, and how many were changed."""
    texts = [str(name) for name in names]
    reserved, seen, result = set(texts), set[str](), []
    for text in texts:
        name, number = text, 0
        while name in seen or (number and name in reserved):
            number += 1
            name = f"{text}-{number}"
        seen.add(name)
        result.append(name)
    n_renamed = sum(before != after for before, after in zip(texts, result, strict=True))
    return pd.Index(result, dtype=object), n_renamed

"""Beside one query: up to four combinations together, and the bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from cradle.bundle import asked, bundle
from cradle.data.dosage import canonical
from cradle.data.schema import CONTROL
from cradle.plots.heatmap import effect_heatmap
from cradle.ui import generation, store, surprise
from cradle.ui.figures import figure_with_table, plotted, slug
from cradle.ui.labels import GLOSSARY, SUPPORT, safe_label, safe_labels

if TYPE_CHECKING:
    from cradle.runs import Run
    from cradle.ui.generate_form import Query

MAX_COMPARED = 4
N_GENES = 20
CHANGED = 0.5  # log2 units
_MAX_OPTIONS = 3_000


def save(run: Run, query: Query, cells: pd.DataFrame, name: str) -> None:
    """Download of the bundle."""

    def make() -> bytes:
        path = str(run.path)
        tables = {"cells": cells}
        if query.label != CONTROL:
            tables["effects"] = generation.effects(path, query.label, query.seed).to_frame()
        cells_file = generation.h5ad(path, *query)
        return bundle(run, store.fingerprint(path), asked(*query), cells_file, tables)

    st.download_button(
        "Reproducible bundle (.zip)", make, f"{name}.zip", "application/zip",
        icon=":material/folder_zip:", on_click="ignore",
        help="Query, seed, hash of the run, versions, cells, tables and the command that makes "
        "the same cells again.",
    )  # fmt: skip


def compare(run: Run, query: Query) -> None:
    """Predicted effects of up to four combinations side by side."""
    chosen = st.multiselect(
        "Compare with", _options(run, query.label), key="compared", bind="query-params",
        max_selections=MAX_COMPARED - 1, format_func=safe_label, accept_new_options=True,
        placeholder="Other perturbations, or type one: A+B",
        help="Any combination of the genes that training cells carry, three at most.",
    )  # fmt: skip
    known, left_out = _known(run, chosen)
    if left_out:
        st.warning(f"Left out, because this run does not know a gene of it: {', '.join(left_out)}.")
    labels = [name for name in dict.fromkeys([query.label, *known]) if name != CONTROL]
    if not labels:
        st.info("Control cells have no effect. Choose perturbations to compare.")
        return
    effects = {name: generation.effects(str(run.path), name, query.seed) for name in labels}
    genes = next(iter(effects.values())).genes
    table = pd.DataFrame({name: e.mean[0] for name, e in effects.items()}, index=list(genes))
    order = table.abs().max(axis=1).sort_values(ascending=False, kind="stable").index[:N_GENES]
    shown = table.loc[order]
    _rows(run, effects)
    names = {name: safe_label(name) for name in labels}
    heads = shown.rename(columns=names).set_axis(safe_labels(pd.Series(shown.index)), axis=0)
    whom = "any of them" if len(labels) > 1 else safe_label(labels[0])
    title = f"The {len(heads)} genes that {whom} changes most"
    figure_with_table(
        plotted(effect_heatmap, heads, title=title),
        shown.rename_axis("gene").reset_index(), f"compared_{slug('_'.join(labels))}",
        alt=f"Predicted effect of {', '.join(names.values())} on the genes that change most.",
    )  # fmt: skip
    st.caption(f"{GLOSSARY['effect']} Predicted with the artifact off, seed {query.seed}.")


def _rows(run: Run, effects: dict[str, Any]) -> None:
    rows = []
    for name, found in effects.items():
        kind = run.support(name)
        mean = found.mean[0]
        top = np.argsort(-np.abs(mean), kind="stable")[:5]
        rows.append(
            {
                "perturbation": safe_label(name),
                "support": kind,
                "size": float(np.linalg.norm(mean)),
                "changed": int((np.abs(mean) > CHANGED).sum()),
                "top genes": ", ".join(
                    f"{safe_label(found.genes[i])} {'▲' if mean[i] > 0 else '▼'}" for i in top
                ),
            }
        )
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, key="compared_rows",
        column_config={
            "support": st.column_config.TextColumn(help=" ".join(
                f"{kind}: {words}" for kind, (_, _, words) in SUPPORT.items())),
            "size": st.column_config.NumberColumn(
                "total over all genes (log2 units)", format="%.2f",
                help="Length of the vector of effects: the root of their summed squares, over all "
                "modelled genes."),
            "changed": st.column_config.NumberColumn(
                f"genes beyond ±{CHANGED:g}", help="Predicted effect, log2 units."
            ),
        },
    )  # fmt: skip


def _options(run: Run, label: str) -> list[str]:
    measured = [str(p) for p in run.perturbations["perturbation"] if p not in (CONTROL, label)]
    pairs = surprise.unmeasured_pairs(run)
    return [*measured, *(p for p in pairs if p != label)][:_MAX_OPTIONS]


def _known(run: Run, chosen: list[str]) -> tuple[list[str], list[str]]:
    """Canonical labels of what was chosen or typed; and what has a gene that the run lacks."""
    known, left_out = [], []
    for text in chosen:
        parts = [part.strip() for part in text.split("+")]
        if set(parts) <= set(run.perturbed_genes):
            known.append(canonical(parts))
        else:
            left_out.append(safe_label(text))
    return known, left_out

"""Parts of the data page."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cradle.data.catalogue import DatasetSpec
from cradle.data.schema import CONTROL
from cradle.jobs import queue
from cradle.jobs.job import ACTIVE
from cradle.plots.bars import stacked_bars
from cradle.ui import jobs_view, store
from cradle.ui.errors import guard
from cradle.ui.figures import figure_with_table, plotted
from cradle.ui.glance import cells_table
from cradle.ui.kept import once
from cradle.ui.labels import GLOSSARY, safe_label, safe_labels, safe_text
from cradle.ui.quality_view import missing_cells
from cradle.ui.sidebar import Choices
from cradle.ui.summaries import rows_shown, shown_words

MAX_ROWS = 40
HASH_PIXELS = 600
_TABLES = {"obs": "table of cells", "var": "table of genes"}
#: Values of a record in words.
VALUES = {
    "True": "yes",
    "False": "no",
    "X": "the main matrix of the file (X)",
    "raw": "the raw matrix of the file (raw)",
    "var index": "the names of the genes in the file",
}
#: Items of a dataset's and a run's record, nested ones with a comma.
ITEMS = {
    "data, hash": "hash of its data",
    "data, n_cells": "cells",
    "data, n_genes": "genes",
    "data, name": "trained on",
    "data, simulated": "simulated",
    "data, split": "split",
    "dropped, unassigned": "cells left out: without a perturbation",
    "dropped, zero_count": "cells left out: without any count",
    "finished": "finished at",
    "full_values, full_genes_detected": "genes detected, over all genes, from",
    "full_values, full_hb_percent": "hemoglobin share, over all genes, from",
    "full_values, full_mt_percent": "mitochondrial share, over all genes, from",
    "full_values, full_ribo_percent": "ribosomal share, over all genes, from",
    "library_size_source": "library size from",
    "n_cells_renamed": "cells renamed, for two had one name",
    "name": "name of the dataset",
    "provenance, counts": "counts from",
    "provenance, file": "file",
    "provenance, gene_names": "gene symbols from",
    "provenance, labels": "perturbations from",
    "provenance, n_genes_renamed": "genes renamed, for two had one name",
    "provenance, notes": "note",
    "provenance, sha256": "SHA-256 of the file",
    "provenance, source": "source",
    "schema_version": "version of the form in which Cradle keeps data",
    "seconds": "seconds of the fit",
    "simulated": "simulated",
}


def composition(choices: Choices) -> None:
    """Cells per perturbation, kind, split and batch."""
    adata = store.cells(choices)
    if adata is None:
        missing_cells(choices, "single cells and batches")
    elif "perturbation" not in adata.obs:
        st.info(f"{adata.n_obs:,} cells without perturbation labels; see page Quality control.")
        return
    table = _safe(cells_table(choices))
    names = list(dict.fromkeys(table["perturbation"]))
    rows = rows_shown(len(names), MAX_ROWS)
    shown = table[table["perturbation"].isin(names[:rows])]
    words = shown_words(names, rows, "largest")
    left, right = st.columns([3, 2], gap="large")
    with left:
        figure_with_table(
            plotted(stacked_bars, shown, category="perturbation", part="split",
                    title=f"Cells per perturbation{words}"),
            table, "cells_per_perturbation",
            alt="Bars of cells per perturbation, stacked by split.",
        )  # fmt: skip
    with right:
        kinds = table.groupby(["kind", "split"], sort=False)["n_cells"].sum().reset_index()
        figure_with_table(
            plotted(stacked_bars, kinds, category="kind", part="split",
                    title="Cells by kind and split"),
            kinds, "cells_per_kind", alt="Bars of cells per kind of perturbation and split.",
        )  # fmt: skip
        st.caption(GLOSSARY["split"])
        small = table.groupby("perturbation")["n_cells"].sum()
        small = small[small < 30]
        if len(small):
            st.warning(
                f"{len(small)} groups have fewer than 30 cells, so their effects are uncertain: "
                f"{', '.join(small.index[:8])}.",
                icon=":material/warning:",
            )
        if adata is not None and "batch" in adata.obs:
            _batches(adata.obs)


@once
def _safe(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(perturbation=safe_labels(table["perturbation"]))


@once
def _by_batch(obs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cells per batch, control and perturbed: a row each batch, and in long form."""
    kind = obs["perturbation"].astype(str).eq(CONTROL).map({True: CONTROL, False: "perturbed"})
    names = safe_labels(obs["batch"].astype(str))
    table = pd.crosstab(names, kind).rename_axis("batch").reset_index()
    return table, table.melt("batch", var_name="kind", value_name="n_cells")


def _batches(obs: pd.DataFrame) -> None:
    table, long = _by_batch(obs)
    figure_with_table(
        plotted(stacked_bars, long, category="batch", part="kind", title="Cells per batch"),
        table, "cells_per_batch", alt="Bars of cells per batch, control and perturbed.",
    )  # fmt: skip


def provenance(choices: Choices) -> None:
    """Where the data come from and how they were read."""
    adata, run = store.cells(choices), store.run(choices)
    record = dict(adata.uns.get("cradle", {})) if adata is not None else {}
    rows = {item_words(key): value for key, value in _flat(record)}
    if run is not None:
        rows |= {f"run: {item_words(key)}": value for key, value in _flat(run.provenance)}
    st.subheader("Provenance")
    if choices.dataset.simulated:
        st.caption("Simulated: no cell of this dataset was ever measured.")
    table = pd.DataFrame(
        {"item": list(map(safe_label, rows)),
         "value": [safe_text(value_words(v)) for v in rows.values()]}
    )  # fmt: skip
    st.dataframe(
        table, hide_index=True, key="provenance",
        # a hash has 64 characters and no place to break
        column_config={"value": st.column_config.TextColumn(width=HASH_PIXELS)},
    )  # fmt: skip


def item_words(key: str) -> str:
    """An item of the record in words; keys that nobody has named keep their own."""
    return ITEMS.get(key, key.removeprefix("provenance, ").replace("_", " "))


def value_words(value: object) -> str:
    """A value of the record in words: where in the file something was found, and plain truths."""
    text = str(value)
    place, colon, name = text.partition(":")
    if colon and place in _TABLES:
        return f"column {name} of the {_TABLES[place]}"
    return VALUES.get(text, text)


def _flat(record: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    for key, value in record.items():
        if key in ("truth", "thresholds"):
            continue
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{key}, ")
        else:
            pairs.append((f"{prefix}{key}", value))
    return pairs


def _download_words(spec: DatasetSpec) -> str:
    """The button of a download, with its size where that is known."""
    size = spec.download.size if spec.download else ""
    return f"Download ({size})" if size else "Download"


def catalogue() -> None:
    """Published datasets, with a download for each that is not here."""
    from cradle.data.catalogue import datasets

    jobs = queue.all_jobs()
    at_work = {job.subject for job in jobs if job.kind == "fetch" and job.state in ACTIVE}
    if any(job.kind == "fetch" for job in jobs):
        jobs_view.queue_view("fetch")
    st.caption("Numbers of cells are those of the papers; the copies differ a little.")
    for available in datasets():
        spec = available.dataset
        with st.container(border=True):
            st.markdown(f"**{spec.title}** · `{spec.name}` · {spec.modality}")
            st.caption("  \n".join([spec.published, *spec.notes, spec.citation]))
            if available.state == "local":
                st.badge("on this machine", icon=":material/check:", color="green")
            elif available.state == "downloadable":
                if spec.name in at_work:
                    st.badge("downloading", icon=":material/downloading:", color="blue")
                elif st.button(
                    _download_words(spec), key=f"fetch_{spec.name}", icon=":material/download:"
                ):
                    with guard():
                        queue.submit("fetch", spec.title, ["fetch", spec.name], spec.name)
                        st.rerun()
            else:
                st.caption(f"Not on this machine. To get it: {spec.by_hand}")

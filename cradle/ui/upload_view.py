"""One's own file: upload, what is what in it, a preview, and the dataset that comes out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from cradle.data.columns import NO_COLUMN
from cradle.data.count_matrix import COUNT_LAYERS
from cradle.data.schema import PERTURBATION, validate
from cradle.errors import InputError
from cradle.ui import library, store, uploads
from cradle.ui.errors import guard, problem
from cradle.ui.labels import dataset_label, safe_label, safe_labels, safe_text

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.data.mapping import Contents, Preview
    from cradle.data.standardize import InputSpec

AUTO, NONE, SUMMED = "found by name", "none", "sum over the genes"
_SEPARATORS = {
    "found from labels": None, "+": "+", "_": "_", ",": ",", "|": "|", "one gene a label": "none",
}  # fmt: skip


def upload() -> None:
    """Take an ``.h5ad`` file, let the reader say what is what, and offer it in the sidebar."""
    st.markdown(
        "Raw UMI counts as `.h5ad`. The file needs one column with the perturbation of each cell, "
        "such as `KLF1+MAP2K6`, and control cells, such as `control` or `non-targeting`; without "
        "these, quality control alone works. It stays on this machine."
    )
    file = st.file_uploader("File", type="h5ad", key="upload", label_visibility="collapsed")
    if file is None:
        st.caption(
            "A Zarr store is a folder, which cannot be uploaded: "
            "`python -m cradle validate STORE --out FILE.h5ad` makes a file of it."
        )
        return
    with guard():
        digest, raw = uploads.opened(file.file_id, file)
        spec, shown = _mapping(raw)
        for found in shown.problems:
            problem(found.what, found.found, found.do)
        if _pressed(shown):
            with st.spinner("Reading the cells …"):
                name = uploads.keep(raw, digest, Path(file.name).stem[:80], spec)
            library.add_upload(name, file.name)
            st.session_state["accepted"] = (file.file_id, name)
            st.session_state["next_dataset"] = name
            st.rerun()  # the sidebar was drawn before the file was accepted
        accepted, name = st.session_state.get("accepted", ("", ""))
        if accepted == file.file_id:
            _report(name)


def _mapping(raw: AnnData) -> tuple[InputSpec, Preview]:
    """Widgets that say what is what, filled with what the names tell, and how it would be read."""
    from cradle.data.mapping import contents, preview

    there = contents(raw)
    st.success(
        f"The file is safe to read: {there.n_cells:,} cells × {there.n_genes:,} genes.",
        icon=":material/verified_user:",
    )
    st.markdown("**What is what in this file?** What its names tell is filled in.")
    left, right = st.columns([2, 3], gap="large")
    with left:
        spec = _spec(raw, there)
    with right:
        shown = preview(raw, spec)
        # the box on the left says so already
        told = [found for found in shown.problems if found.what != NO_COLUMN]
        shown = replace(shown, problems=tuple(told))
        _preview(shown)
    return spec, shown


def _spec(raw: AnnData, there: Contents) -> InputSpec:
    from cradle.data.mapping import labels_of, usual_control
    from cradle.data.standardize import InputSpec

    columns = [NONE, *there.columns]
    guess = columns.index(there.perturbation) if there.perturbation in columns else 0
    column = st.selectbox(
        "Column with the perturbation", columns, index=guess, key="map_column",
        format_func=safe_label, help="One label a cell, such as KLF1 or KLF1+MAP2K6.",
    )  # fmt: skip
    control: tuple[str, ...] = ()
    separator = None
    if column != NONE:
        labels = labels_of(raw, column)
        usual = usual_control(labels)
        names = list(map(str, labels.index))
        chosen = st.multiselect(
            "Label of the control cells", names, default=[] if usual is None else [usual],
            key=f"map_control_{column}", format_func=safe_label,
            help="The unperturbed cells. Usual names, such as non-targeting, count as well.",
        )  # fmt: skip
        control = tuple(label for label in chosen if label != usual)
        mark = st.selectbox(
            "What joins the genes of a pair", list(_SEPARATORS), key="map_separator",
            help="One mark in the whole file; it must not be a part of gene names.",
        )  # fmt: skip
        separator = _SEPARATORS[mark]
    places = [AUTO, *there.matrices]
    counts = st.selectbox(
        "Raw counts", places, index=places.index(_likely(there)), key="map_counts",
        format_func=lambda place: _place(place, there),
        help="Whole numbers, as counted. Normalised values are refused.",
    )  # fmt: skip
    batch = st.selectbox("Batch", [AUTO, NONE, *there.batches], key="map_batch",
                         format_func=safe_label)  # fmt: skip
    symbols = st.selectbox("Gene symbols", [AUTO, "var_names", *there.symbols],
                           key="map_symbols", format_func=safe_label)  # fmt: skip
    totals = st.selectbox(
        "Total counts of each cell", [AUTO, SUMMED, *there.totals], key="map_totals",
        format_func=safe_label,
        help="Over all genes that were counted, where the file holds a part of them.",
    )  # fmt: skip
    logged = [place for place, fault in there.matrices.items() if fault and "log-norm" in fault]
    invert = bool(logged) and all(there.matrices.values()) and st.checkbox(
        "Turn log-normalised values back into counts", key="map_invert",
        help="Exactly, or not at all: it is refused when a count does not come back whole.",
    )  # fmt: skip
    return InputSpec(
        perturbation={NONE: "", there.perturbation: None}.get(column, column),
        control=control,
        separator=separator,
        counts=None if counts == AUTO else counts,
        batch={AUTO: None, NONE: ""}.get(batch, batch),
        symbols={AUTO: None, "var_names": ""}.get(symbols, symbols),
        totals={AUTO: None, SUMMED: ""}.get(totals, totals),
        invert_log1p=invert,
    )


def _likely(there: Contents) -> str:
    """Where the counts are when the usual places hold none and another one does."""
    if any(there.matrices.get(place, "no") is None for place in ("X", "raw", *COUNT_LAYERS)):
        return AUTO
    return next((place for place, fault in there.matrices.items() if fault is None), AUTO)


def _place(place: str, there: Contents) -> str:
    if place == AUTO:
        return place
    fault = there.matrices[place]
    return f"{safe_label(place)} · {'counts' if fault is None else 'no counts'}"


def _preview(shown: Preview) -> None:
    table = shown.labels
    kinds = table.groupby("kind")["n_cells"].agg(["size", "sum"])
    words = ", ".join(
        f"{row['size']:,} {kind} label{'' if row['size'] == 1 else 's'} ({row['sum']:,} cells)"
        for kind, row in kinds.iterrows()
    )
    st.markdown("**How the labels would be read**")
    if table.empty:
        st.caption(
            "No labels. If a column says which perturbation each cell carries, choose it; else go "
            "on without: quality control works, the other pages need labels."
        )
        return
    safe = {name: safe_labels(table[name].fillna("–")) for name in ("in_file", "read_as")}
    order = table.assign(**safe).sort_values(
        ["kind", "n_cells"], key=lambda c: c if c.name == "n_cells" else c != "control",
        ascending=[True, False], kind="stable",
    )  # fmt: skip
    st.dataframe(
        order, hide_index=True, height=290, key="map_preview",
        column_config={"in_file": "in the file", "read_as": "read as", "n_cells": "cells"},
    )  # fmt: skip
    st.caption(f"{words}. Unassigned cells are left out and counted.")


def _pressed(shown: Preview) -> bool:
    return st.button(
        "Use this dataset", type="primary", icon=":material/check:",
        disabled=not shown.has_counts,
        help="Reads all cells, checks them, and selects the dataset in the sidebar.",
    )  # fmt: skip


def _report(name: str) -> None:
    """What has become of the file, and everything that keeps a page from working on it."""
    path = library.upload_path(name)
    if not path.is_file():
        raise InputError("The dataset is gone.", f"no file for {name}.", "Upload it again.")
    adata, title = store.cells_of(str(path)), dataset_label(library.datasets()[name])
    record = adata.uns["cradle"]
    labelled = PERTURBATION in adata.obs
    violations = validate(adata, require_labels=labelled)
    left_out = record.get("dropped", {}).items()
    dropped = ", ".join(f"{int(n):,} {safe_text(why.replace('_', ' '))}" for why, n in left_out)
    st.success(
        f"**{title}** is the dataset of every page now; it stands in the sidebar and in the link.",
        icon=":material/check_circle:",
    )
    st.markdown(
        f"- {adata.n_obs:,} cells × {adata.n_vars:,} genes\n- cells dropped: {dropped or 'none'}\n"
        f"- library size from: {safe_text(str(record.get('library_size_source', 'the file')))}"
    )
    if not labelled:
        st.info("These cells carry no perturbation labels: quality control works on them, the "
                "other pages need labels.", icon=":material/label_off:")  # fmt: skip
    if violations:
        st.markdown("Quality control works on these cells. The other pages need more:")
    for violation in violations:
        problem(violation.what, violation.found, violation.do)

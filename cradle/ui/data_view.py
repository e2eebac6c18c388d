"""Parts of the data page."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import streamlit as st

from cradle.data.schema import CONTROL, validate
from cradle.plots.bars import stacked_bars
from cradle.ui import library, store
from cradle.ui.errors import guard, problem
from cradle.ui.figures import figure_with_table
from cradle.ui.glance import cells_table
from cradle.ui.labels import GLOSSARY, safe_label, safe_labels, safe_text
from cradle.ui.quality_view import missing_cells
from cradle.ui.sidebar import Choices

MAX_ROWS = 40


def composition(choices: Choices) -> None:
    """Cells per perturbation, kind, split and batch."""
    adata = store.cells(choices)
    if adata is None:
        missing_cells(choices, "single cells and batches")
    elif "perturbation" not in adata.obs:
        st.info(f"{adata.n_obs:,} cells without perturbation labels; see page Quality control.")
        return
    table = cells_table(choices)
    table["perturbation"] = safe_labels(table["perturbation"])
    names = list(dict.fromkeys(table["perturbation"]))
    shown = table[table["perturbation"].isin(names[:MAX_ROWS])]
    words = "" if len(names) <= MAX_ROWS else f", the {MAX_ROWS} largest of {len(names)}"
    left, right = st.columns([3, 2], gap="large")
    with left:
        figure_with_table(
            stacked_bars(shown, category="perturbation", part="split",
                         title=f"Cells per perturbation{words}"),
            table, "cells_per_perturbation",
            alt="Bars of cells per perturbation, stacked by split.",
        )  # fmt: skip
    with right:
        kinds = table.groupby(["kind", "split"], sort=False)["n_cells"].sum().reset_index()
        figure_with_table(
            stacked_bars(kinds, category="kind", part="split", title="Cells by kind and split"),
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


def _batches(obs: pd.DataFrame) -> None:
    kind = obs["perturbation"].astype(str).eq(CONTROL).map({True: CONTROL, False: "perturbed"})
    names = safe_labels(obs["batch"].astype(str))
    table = pd.crosstab(names, kind).rename_axis("batch").reset_index()
    long = table.melt("batch", var_name="kind", value_name="n_cells")
    figure_with_table(
        stacked_bars(long, category="batch", part="kind", title="Cells per batch"),
        table, "cells_per_batch", alt="Bars of cells per batch, control and perturbed.",
    )  # fmt: skip


def provenance(choices: Choices) -> None:
    """Where the data come from and how they were read."""
    adata, run = store.cells(choices), store.run(choices)
    record = dict(adata.uns.get("cradle", {})) if adata is not None else {}
    rows = {f"{k}": v for k, v in _flat(record) if k not in ("thresholds",)}
    if run is not None:
        rows |= {f"run: {key}": value for key, value in _flat(run.provenance)}
    st.subheader("Provenance")
    if choices.dataset.simulated:
        st.caption("Simulated: no cell of this dataset was ever measured.")
    table = pd.DataFrame(
        {"item": list(map(safe_label, rows)), "value": [safe_text(str(v)) for v in rows.values()]}
    )
    st.dataframe(table, hide_index=True, key="provenance")


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


def catalogue() -> None:
    """Published datasets, with a download for each that is not here."""
    from cradle.data.catalogue import datasets

    st.caption("Numbers of cells are those of the papers; the copies differ a little.")
    for available in datasets():
        spec = available.dataset
        with st.container(border=True):
            st.markdown(f"**{spec.title}** · `{spec.name}` · {spec.modality}")
            st.caption("  \n".join([spec.published, *spec.notes, spec.citation]))
            if available.state == "local":
                st.badge("on this machine", icon=":material/check:", color="green")
            elif available.state == "downloadable":
                if st.button("Download", key=f"fetch_{spec.name}", icon=":material/download:"):
                    with guard():
                        _fetch(spec.name)
            else:
                st.caption(f"Not on this machine. To get it: {spec.by_hand}")


def _fetch(name: str) -> None:
    from cradle.data.download import fetch

    bar = st.progress(0.0, text=f"Downloading {name} …")

    def report(done: int, total: int | None) -> None:
        of_all = f" of {total / 1e6:,.1f}" if total else ""
        share = min(done / total, 1.0) if total else 0.0
        bar.progress(share, text=f"{done / 1e6:,.1f}{of_all} MB")

    fetch(name, progress=report)
    st.rerun()


def upload() -> None:
    """Take an ``.h5ad`` file, check it, report on it, and offer it in the sidebar."""
    st.markdown(
        "Raw UMI counts as `.h5ad`. The file needs one column with the perturbation of each cell, "
        "such as `KLF1+MAP2K6`, and control cells, such as `control` or `non-targeting`. It stays "
        "on this machine."
    )
    file = st.file_uploader("File", type="h5ad", key="upload", label_visibility="collapsed")
    if file is None:
        return
    with guard():
        with st.spinner("Checking the file …"):
            name = accept(file.getvalue(), Path(file.name).stem)
        library.add_upload(name, file.name)
        if st.session_state.get("announced") != name:
            st.session_state["announced"] = name
            st.rerun()  # the sidebar was drawn before the file was accepted
        _report(name)


def _report(name: str) -> None:
    adata = store.cells_of(str(library.upload_path(name)))
    record = adata.uns["cradle"]
    st.success(f"Choose **{name}** as dataset in the sidebar.", icon=":material/check_circle:")
    left_out = record.get("dropped", {}).items()
    dropped = ", ".join(f"{int(n):,} {safe_text(why.replace('_', ' '))}" for why, n in left_out)
    st.markdown(
        f"- {adata.n_obs:,} cells × {adata.n_vars:,} genes\n- cells dropped: {dropped or 'none'}\n"
        f"- library size from: {safe_text(str(record.get('library_size_source', 'the file')))}"
    )
    violations = validate(adata)
    if violations:
        st.markdown("Quality control works on these cells. The other pages need more:")
    for violation in violations:
        problem(violation.what, violation.found, violation.do)


def accept(content: bytes, title: str) -> str:
    """Keep an uploaded file in standard form, under a name made here.

    Parameters
    ----------
    content
        Bytes of the file; nothing of it is read before the gate has checked it.
    title
        What the dataset is called in its record.

    Returns
    -------
    str
        Id of the dataset, made from its content.

    Raises
    ------
    InputError
        The file is unsafe, damaged, or cannot be brought to the standard form.
    """
    from cradle.data.gate import open_safely
    from cradle.data.standardize import standardize
    from cradle.files import atomic_path, write_h5ad

    name = f"upload-{hashlib.sha256(content).hexdigest()[:12]}"
    path = library.upload_path(name)
    if not path.is_file():
        with atomic_path(path.with_suffix(".raw.h5ad")) as raw:
            raw.write_bytes(content)
            adata = standardize(open_safely(raw), name=title, require_labels=False)
        write_h5ad(path, adata)
        path.with_suffix(".raw.h5ad").unlink()
    return name

"""The chosen dataset and run in a few numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from cradle.data.schema import CONTROL
from cradle.evaluation.metrics import METRICS
from cradle.ui import quality, store
from cradle.ui.labels import GLOSSARY, criterion_label, safe_label
from cradle.ui.sidebar import Choices
from cradle.ui.summaries import composition, stored_composition

if TYPE_CHECKING:
    import pandas as pd

    from cradle.runs import Run

SHOWN = ("ate_rho", "ate_r2", "jaccard_50", "sign_accuracy")
SPLIT_NAMES = {"test": "held-out (test)", "val": "val", "train": "train", "all": "all"}


def cells_table(choices: Choices) -> pd.DataFrame:
    """Cells per perturbation and split: from the cells, else from the run."""
    adata, run = store.cells(choices), store.run(choices)
    if adata is None:
        assert run is not None
        return stored_composition(run.perturbations)
    label = adata.obs["perturbation"]
    if run is not None:
        split = run.split.reindex(adata.obs_names).fillna("unused")
    elif "split" in adata.obs:
        split = adata.obs["split"]
    else:
        split = label.astype(str).map(lambda _: "all cells")
    return composition(label, split)


def dataset(choices: Choices) -> None:
    """Cells, genes, perturbations and QC pass rate of the dataset."""
    st.subheader(f"Dataset: {safe_label(choices.dataset.name)}")
    table = cells_table(choices)
    adata, run = store.cells(choices), store.run(choices)
    kinds = table.drop_duplicates("perturbation")["kind"].value_counts()
    n_genes = adata.n_vars if adata is not None else len(run.genes) if run is not None else 0
    top, bottom = st.columns(2), st.columns(2)
    top[0].metric("Cells", f"{table['n_cells'].sum():,}", border=True)
    top[1].metric("Genes measured" if adata is not None else "Genes modelled", f"{n_genes:,}",
                  border=True)  # fmt: skip
    bottom[0].metric(
        "Perturbations", f"{kinds.drop(CONTROL, errors='ignore').sum():,}", border=True,
        help=f"{kinds.get('single', 0)} single genes and {kinds.get('combination', 0)} "
        "combinations, control not counted.",
    )  # fmt: skip
    with bottom[1]:
        pass_rate(choices)


def pass_rate(choices: Choices) -> None:
    """QC pass rate at the sidebar's threshold; the stored one where cells are missing."""
    found = quality.flags(choices)
    if found is not None:
        rate = f"{100 * (1 - found['qc_fail'].mean()):.1f} %"
        label = f"Pass quality control (k = {choices.mad:g})"
        words = ", ".join(criterion_label(c) for c in quality.thresholds(choices).judged)
        note = f"{GLOSSARY['qc_pass_rate']} Judged here: {words or 'none'}."
    else:
        run = store.run(choices)
        assert run is not None
        failed = run.perturbations["n_fail_train"].sum() / run.perturbations["n_train"].sum()
        rate = f"{100 * (1 - failed):.1f} %"
        label = f"Pass quality control (k = {run.config['mad']:g}, stored)"
        note = "Of the training cells, at the threshold of training; the cells are not here."
    st.metric(label, rate, border=True, help=note)


def run(choices: Choices, chosen: Run | None) -> None:
    """Held-out scores of the run beside the best simple rule and the ceiling."""
    if chosen is None:
        st.subheader("No trained model yet")
        st.info(
            "Choose the dataset **demo** in the sidebar to see one, or train one on these cells "
            f"from the command line: `python -m cradle fit {safe_label(choices.dataset.name)} "
            f"--model cradle_vae --out runs/{safe_label(choices.dataset.name)}`.",
            icon=":material/arrow_forward:",
        )
        return
    st.subheader(f"Run: {safe_label(chosen.name)}")
    scores = chosen.metrics
    if scores is None:
        st.info("This run has not been scored yet: `python -m cradle evaluate RUN_DIR`.")
        return
    split = next((s for s in ("test", "val", "train") if scores.get(s)), "all")
    columns = [*st.columns(2), *st.columns(2)]
    for column, name in zip(columns, SHOWN, strict=True):
        rule = score(scores.get("floor", {}).get("additive", {}).get(split), name)
        ceiling = score(scores.get("ceiling", {}).get(split), name)
        column.metric(
            f"{METRICS[name].label}, {SPLIT_NAMES[split]}", score(scores.get(split), name),
            delta=f"additive rule {rule}, ceiling {ceiling}", delta_color="off",
            delta_arrow="off", help=METRICS[name].explanation, border=True,
        )  # fmt: skip
    st.caption(
        f"{safe_label(chosen.spec.label)}, seed {chosen.config['seed']}, trained at "
        f"k = {chosen.config['mad']:g} MAD; scored on all cells of the split {split}."
    )


def score(values: Mapping[str, Any] | None, name: str) -> str:
    """One score as text; a dash where there is none."""
    value = (values or {}).get(name)
    return f"{value:.2f}" if isinstance(value, int | float) else "–"

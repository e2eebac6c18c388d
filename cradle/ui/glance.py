"""The chosen dataset and run in a few numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from cradle.data.schema import CONTROL
from cradle.evaluation.metrics import METRICS
from cradle.ui import quality, store
from cradle.ui.effects_scores import CLEAR
from cradle.ui.labels import GLOSSARY, by_criteria, dataset_label, safe_label, split_name
from cradle.ui.navigation import link
from cradle.ui.sidebar import Choices
from cradle.ui.summaries import composition, stored_composition, unseen

if TYPE_CHECKING:
    import pandas as pd

    from cradle.runs import Run

CARD = 165  # pixels; two beside each other on a phone
_RULE = {True: "sum of the effects of single genes", False: "the effect of the same gene"}
SHOWN = ("ate_rho", "ate_r2", "jaccard_50", "sign_accuracy")


def cells_table(choices: Choices) -> pd.DataFrame:
    """Cells per perturbation and split: from the cells, else from the run; not to be changed."""
    run = choices.run
    return _cells_table(choices.dataset.source, None if run is None else str(run.path))


@st.cache_resource(max_entries=16, show_spinner=False)
def _cells_table(source: str | None, run_path: str | None) -> pd.DataFrame:
    adata = None if source is None else store.cells_of(source)
    run = None if run_path is None else store.run_at(run_path)
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
    st.subheader(f"Dataset: {dataset_label(choices.dataset)}")
    adata, run = store.cells(choices), store.run(choices)
    n_genes = adata.n_vars if adata is not None else len(run.genes) if run is not None else 0
    n_cells = adata.n_obs if adata is not None else int(cells_table(choices)["n_cells"].sum())
    with st.container(horizontal=True, gap="small"):
        st.metric("Cells", f"{n_cells:,}", border=True, width=CARD)
        st.metric("Genes measured" if adata is not None else "Genes modelled", f"{n_genes:,}",
                  border=True, width=CARD)  # fmt: skip
        if store.labelled(choices):
            _perturbations(cells_table(choices))
        note = pass_rate(choices)
    bare = " These cells carry no perturbation labels." * (not store.labelled(choices))
    st.caption(note + bare)


def _perturbations(table: pd.DataFrame) -> None:
    kinds = table.drop_duplicates("perturbation")["kind"].value_counts()
    st.metric(
        "Perturbations", f"{kinds.drop(CONTROL, errors='ignore').sum():,}", border=True,
        width=CARD, help=f"{kinds.get('single', 0)} single genes and "
        f"{kinds.get('combination', 0)} combinations, control not counted.",
    )  # fmt: skip


def pass_rate(choices: Choices) -> str:
    """QC pass rate at the sidebar's threshold, the stored one where cells are missing; returns of
    what it is."""
    found = quality.flags(choices)
    if found is not None:
        rate = f"{100 * (1 - found['qc_fail'].mean()):.1f} %"
        label = f"Pass QC (k = {choices.mad:g})"
        counted = quality.judged(found, quality.thresholds(choices))
        note = f"Pass QC: of all observed cells, by {by_criteria(counted)} over all genes."
    else:
        run = store.run(choices)
        assert run is not None
        failed = run.perturbations["n_fail_train"].sum() / run.perturbations["n_train"].sum()
        rate = f"{100 * (1 - failed):.1f} %"
        label = f"Pass QC (k = {run.config['mad']:g}, stored)"
        note = f"Pass QC: of the training cells, by {by_criteria(run.thresholds.judged)}, at the "
        note += "threshold of training; the cells are not here."
    st.metric(label, rate, border=True, width=CARD, help=GLOSSARY["qc_pass_rate"])
    return note


def run(choices: Choices, chosen: Run | None) -> None:
    """Held-out scores of the run beside the best simple rule and the ceiling."""
    if chosen is None:
        trainable = store.labelled(choices)
        st.subheader("No trained model yet")
        st.info(
            "Choose the dataset **demo** in the sidebar to see one"
            + (", or train one on these cells: it runs in the background." if trainable
               else ". None can be trained on these cells, which carry no perturbation labels."),
            icon=":material/arrow_forward:",
        )  # fmt: skip
        if trainable:
            link("train")
        return
    st.subheader(f"Run: {safe_label(chosen.name)}")
    scores = chosen.metrics
    if scores is None:
        st.info("This run has not been scored yet: `python -m cradle evaluate RUN_DIR`.")
        return
    split = next((s for s in ("test", "val", "train") if scores.get(s)), "all")
    new = unseen(chosen.perturbations)
    pairs = _with_pairs(chosen.perturbations, split)
    st.markdown(in_words(scores, split, new, pairs=pairs))
    columns = [*st.columns(2), *st.columns(2)]  # in this order on a phone too
    for column, name in zip(columns, SHOWN, strict=True):
        rule = score(scores.get("floor", {}).get("additive", {}).get(split), name)
        best = (scores.get("ceiling", {}).get(split) or {}).get(name)
        ceiling = "" if best is None else f", ceiling {best:.2f}"
        column.metric(
                f"{METRICS[name].label} ({split})", score(scores.get(split), name), border=True,
                delta=f"additive {rule}{ceiling}", delta_color="off", delta_arrow="off",
                help=METRICS[name].explanation,
            )  # fmt: skip
    st.caption(
        f"{safe_label(chosen.spec.label)}, seed {chosen.config['seed']}, trained at "
        f"k = {chosen.config['mad']:g} MAD. Scores: all cells of the split "
        f"{split_name(split, new)}, effects against control. Additive rule: {_RULE[pairs]} in the "
        "training cells; ceiling: what the true means would score."
    )


def _with_pairs(perturbations: pd.DataFrame, split: str) -> bool:
    """Whether a combination is among the scored perturbations, so that there is a sum."""
    column = f"n_{split}"
    rows = perturbations[perturbations[column] > 0] if column in perturbations else perturbations
    return bool(rows["perturbation"].str.contains("+", regex=False).any())


def in_words(scores: Mapping[str, Any], split: str, new: bool, *, pairs: bool = True) -> str:
    """The correlation of the run's effects with the observed ones, as a sentence.

    Parameters
    ----------
    scores
        Of the run.
    split
        Which of them.
    new
        Whether the model never saw the perturbations of the test split.
    pairs
        Whether there are combinations among them; of a single gene the additive rule is the effect
        of the same gene.
    """
    found = scores[split]
    whom = {
        "test": " that it never saw" if new else " that it was trained on, in cells kept apart",
        "val": " that it was trained on, in cells that decided when training stopped",
        "train": " that it was trained on, in the same cells",
    }.get(split, "")
    text = (
        f"For {found['n_perturbations']} perturbations{whom}, its predicted effects "
        f"correlate with the observed ones at **{score(found, 'ate_rho')}**."
    )
    rule = scores.get("floor", {}).get("additive", {}).get(split)
    if score(rule, "ate_rho") == "–":
        return text
    ceiling = score(scores.get("ceiling", {}).get(split), "ate_rho")
    text += (
        " Adding up the effects that the single genes have in the training cells "
        if pairs
        else " Taking the effect that the same gene has in the training cells, without a model, "
    )
    text += _does(rule, found)
    text += f"; the noise of the cells allows {ceiling}." if ceiling != "–" else "."
    return text + _undecided(scores, split)


def _undecided(scores: Mapping[str, Any], split: str) -> str:
    """Says where the model and the best rule cannot be told apart on these cells."""
    found = (scores.get("beside_rule") or {}).get(split) or {}
    error, both = found.get("standard_error"), found.get("everything")
    if error is None or both is None or abs(both["model"] - both["rule"]) > CLEAR * error:
        return ""
    return (
        f" In ATE-R² ({both['model']:.2f}, the best simple rule {both['rule']:.2f}) so few cells "
        "cannot tell them apart."
    )


def _does(rule: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """How a rule does beside the run, to the digits that are shown."""
    theirs, mine = (round(values.get("ate_rho") or 0, 2) for values in (rule, found))
    does = "does better" if theirs > mine else "does as well" if theirs == mine else "reaches less"
    return f"{does}: {theirs:.2f}"


def score(values: Mapping[str, Any] | None, name: str) -> str:
    """One score as text; a dash where there is none."""
    value = (values or {}).get(name)
    return f"{value:.2f}" if isinstance(value, int | float) else "–"

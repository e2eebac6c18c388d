"""Which perturbation to generate, and what stands behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cradle.data.dosage import JOIN, genes_of
from cradle.data.schema import CONTROL
from cradle.errors import InputError
from cradle.evaluation.moments import MIN_CELLS
from cradle.ui.labels import GLOSSARY, SUPPORT, safe_label

if TYPE_CHECKING:
    from cradle.runs import Run


def label(run: Run) -> str:
    """The perturbation to generate: genes to combine, or one of the treatments known as wholes."""
    if not run.design.additive:
        treatment = st.selectbox(
            "Treatment", run.design.columns, index=None, key="treatment", bind="query-params",
            format_func=safe_label, placeholder="One measured treatment",
            help=f"{run.spec.label} knows each treatment as a whole, so only those that training "
            "cells carry can be asked for; unseen combinations are not applicable.",
        )  # fmt: skip
        return str(treatment) if treatment else CONTROL
    genes = st.multiselect(
        "Genes to perturb", run.perturbed_genes, key="genes", bind="query-params",
        format_func=safe_label, max_selections=5, placeholder="One gene, or a combination",
        accept_new_options=True,  # so that any other gene is told why it cannot be had
        help="Every gene that training cells carry; any combination of them can be asked for.",
    )  # fmt: skip
    return _of_genes(run, genes) if genes else CONTROL


def _of_genes(run: Run, genes: list[str]) -> str:
    try:
        return run.design.parse(JOIN.join(genes))
    except InputError as error:
        known = run.perturbed_genes
        measured = {gene.casefold(): gene for gene in set(run.genes) - set(known)}
        never = [measured[g.casefold()] for g in genes if g.casefold() in measured]
        if not never:
            raise
        raise InputError(
            "What a perturbation does is learned from cells that carry it, and none does here.",
            f"{', '.join(never)}: measured, but perturbed in no training cell.",
            f"Choose among the {len(known)} genes that are: {', '.join(known[:8])}"
            + (" …" if len(known) > 8 else "."),
        ) from error


def badge(run: Run, label: str) -> str:
    """What stands behind a perturbation, as a badge; returns the words for it."""
    if label == CONTROL:
        words = "Nothing is perturbed; such cells were in training."
        st.badge("control cells", icon=":material/radio_button_unchecked:", color="gray",
                 help=words)  # fmt: skip
        return words
    kind = run.support(label)
    color, icon, words = SUPPORT[kind]
    st.badge(kind, icon=icon, color=color, help=f"{words} {GLOSSARY['support']}")
    return words


def support(run: Run, label: str, note: str = "") -> None:
    """What the training data say about the query; a warning note stands in the line of its badge,
    where it comes and goes without moving what is below."""
    table = run.perturbations.set_index("perturbation")
    st.subheader(f"Perturbation: {safe_label(label)}")
    with st.container(horizontal=True, vertical_alignment="center"):
        words = badge(run, label)
        if note:
            st.markdown(f":orange-background[:material/update: {note}]", width="content")
    behind = {
        gene: int(sum(n for p, n in table["n_train"].items() if gene in genes_of(str(p))))
        for gene in genes_of(label)
    }
    cells = ", ".join(f"{safe_label(gene)} {n:,}" for gene, n in behind.items())
    own = int(table["n_train"].get(label, 0))  # without any, the badge says so
    alone = f", exactly this perturbation {own:,}" * (own > 0 and behind.get(label) != own)
    st.caption(words + (f" Training cells that carry each gene: {cells}{alone}." if cells else ""))
    most = max(len(genes_of(str(p))) for p in table.index[table["n_train"] > 0])
    if len(behind) > most:
        st.warning(
            f"**Nothing like it was ever seen**: no training cell carries more than {most} "
            f"perturbed gene{'s' * (most != 1)}, so that nothing could check what the model says "
            f"of {len(behind)}."
        )
    groups = {"control": int(table["n_train"].get(CONTROL, 0)), **behind}
    groups |= {f"exactly {label}": own} if alone else {}
    few = [f"{safe_label(name)} ({n})" for name, n in groups.items() if n < MIN_CELLS]
    if few:
        st.warning(f"Fewer than {MIN_CELLS} training cells behind: {', '.join(few)}.")

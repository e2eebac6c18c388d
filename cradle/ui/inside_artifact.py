"""The artifact on the page inside the model: its kinds, what each does to genes, its vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
import streamlit as st

from cradle.plots.effects import top_genes
from cradle.plots.latents import vector
from cradle.plots.palette import ARTIFACT_ON
from cradle.ui import inside
from cradle.ui.failed import failed_marks
from cradle.ui.figures import figure_with_table, plotted
from cradle.ui.kept import once
from cradle.ui.labels import GLOSSARY, criterion_label, safe_label, safe_labels
from cradle.ui.sidebar import Choices

if TYPE_CHECKING:
    from cradle.runs import Run

N_GENES = 20
MAX_CELLS = 2_000
CHANGED = 0.25  # log2 units, about a fifth


def artifact(choices: Choices, run: Run) -> None:
    """The artifact in latent space, what it does to genes, and which criteria its cells fail."""
    st.subheader("What has the model learned as artifact?", help=GLOSSARY["artifact"])
    if not run.learned_artifact:
        st.info(why_no_artifact(run), icon=":material/info:")
        return
    path = str(run.path)
    every, changes = inside.artifact_vector(path), inside.artifact_genes(path)
    whole = _parts(changes)[0]
    st.markdown(artifact_words(whole.strong, len(whole.genes)))
    kind = picked_kind(every, changes)
    if every["kind"].max() > 1 and choices.dataset.source is not None:
        _criteria_of(choices, run, kind)
    components, part = _components(every)[kind], _parts(changes)[kind]
    genes = part.genes
    name = "the artifact" if components["share"].iloc[0] == 1 else f"kind {kind}"
    left, right = st.columns(2, gap="large")
    with left:
        top = part.top
        figure_with_table(
            plotted(
                top_genes,
                top,
                title=f"The {len(top)} genes that {name} changes most",
                names=("artifact on − off", ""), x="artifact on minus off (log2 units)",
                style=ARTIFACT_ON,
            ),
            _named(changes), f"artifact_genes_{run.name}",
            alt="Change of each gene when the artifact is switched on, with intervals.",
        )  # fmt: skip
        st.caption(
            "Control cells, generated with the artifact on minus off, all else equal: mean of "
            "log2(1 + 10,000 · x / library size). 1 means about twice the expression. Bars: "
            f"{GLOSSARY['posterior']} The CSV holds all {len(genes):,} modelled genes of "
            "every kind; kind 0 is all kinds together, as common as among failed cells."
        )
    with right:
        figure_with_table(
            plotted(vector, components,
                    title=f"{name.capitalize()}, a vector of {len(components)} latents"),
            every, f"artifact_vector_{run.name}",
            alt=f"Posterior mean and interval of {len(components)} components of the artifact.",
        )  # fmt: skip
        st.caption(_vector_words(components, acts=not part.strong.empty))


class _Part(NamedTuple):
    """Genes of one kind of artifact, those that change strongly, and those that are drawn."""

    genes: pd.DataFrame
    strong: pd.DataFrame
    top: pd.DataFrame


@once
def _parts(changes: pd.DataFrame) -> dict[int, _Part]:
    """The genes of each kind; kind 0 is all kinds together."""
    parts = {}
    for kind in changes["kind"].unique().tolist():
        genes = changes[changes["kind"] == kind]
        top = genes.head(N_GENES).rename(columns={"change": "predicted"})
        top = top.assign(gene=safe_labels(top["gene"]))
        parts[kind] = _Part(genes, strongly_changed(genes), top)
    return parts


@once
def _components(every: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """The vector of each kind of artifact."""
    return {kind: every[every["kind"] == kind] for kind in every["kind"].unique().tolist()}


@once
def _named(changes: pd.DataFrame) -> pd.DataFrame:
    return changes.assign(gene=safe_labels(changes["gene"]))


def picked_kind(components: pd.DataFrame, changes: pd.DataFrame) -> int:
    """The kind of artifact to look at, from 1; nothing to pick where there is but one."""
    shares = [float(own["share"].iloc[0]) for own in _components(components).values()]
    if len(shares) == 1:
        return 1
    st.markdown(
        "Failed cells are not all alike: each is taken to be of one kind of artifact, which the "
        "model has told apart. Kinds have no names: look at their genes, and at what their cells "
        "fail."
    )
    names = {
        kind: f"kind {kind}, learned share {100 * share:.0f} %: {_top_genes(changes, kind)}"
        for kind, share in enumerate(shares, start=1)
    }
    return st.selectbox(
        "Kind of artifact", list(names), format_func=lambda kind: names[kind],
        key="artifact_kind", bind="query-params",
        help="Learned share: how common the model takes the kind to be among failed training "
        "cells.",
    )  # fmt: skip


def _criteria_of(choices: Choices, run: Run, kind: int) -> None:
    """Which quality criteria the observed cells of a kind fail, beside all failed cells."""
    failed = failed_marks(choices, run)
    marks = _drawn(failed)
    if marks.empty:
        return
    kinds = inside.kinds(marks, str(run.path), str(choices.dataset.source))
    st.markdown(kind_words(kinds, marks, kind))
    drawn = "" if len(marks) == len(failed) else f"{len(marks):,} drawn at random of "
    st.caption(
        f"Of {drawn}{len(failed):,} observed cells of all splits that fail at the run's own "
        f"threshold, k = {run.config['mad']:g} MAD. Each is of the kind that the model finds most "
        "likely by its counts; training starts a kind at cells that fail one criterion, and the "
        "counts decide what becomes of it. The learned share differs from this count: it is of the "
        "training cells, and a cell that could be of several kinds counts for each in part."
    )


@once
def _drawn(failed: pd.DataFrame) -> pd.DataFrame:
    return failed.sample(min(MAX_CELLS, len(failed)), random_state=0)


def kind_words(kinds: pd.Series[int], marks: pd.DataFrame, kind: int) -> str:
    """What the cells of a kind fail, in a sentence.

    Parameters
    ----------
    kinds
        Kind of each failed cell.
    marks
        Cells × criteria, whether the cell fails it.
    """
    own = marks[kinds == kind]
    if own.empty:
        return f"No failed cell of this dataset is most likely of kind {kind}."
    share, everywhere = 100 * own.mean(), 100 * marks.mean()
    # what sets the kind apart comes first
    order = (share - everywhere).sort_values(ascending=False).index
    parts = [
        f"{criterion_label(name)} in {share[name]:.0f} % ({everywhere[name]:.0f} %)"
        for name in order
        if share[name] >= 1 or everywhere[name] >= 1
    ]
    return (
        f"**{len(own):,} of {len(marks):,} failed cells ({100 * len(own) / len(marks):.0f} %) are "
        f"most likely of kind {kind}**. They fail, in brackets all failed cells: "
        f"{', '.join(parts)}."
    )


def _top_genes(changes: pd.DataFrame, kind: int, n: int = 3) -> str:
    return _with_arrows(_parts(changes)[kind].strong, n) or "changes no gene with certainty"


def _with_arrows(genes: pd.DataFrame, n: int) -> str:
    """First genes of a table with the direction of their change."""
    return ", ".join(
        f"{safe_label(gene)} {'▲' if direction == 'up' else '▼'}"
        for gene, direction in zip(genes["gene"][:n], genes["direction"][:n], strict=True)
    )


def strongly_changed(genes: pd.DataFrame) -> pd.DataFrame:
    """Genes that change by at least ``CHANGED`` and whose interval leaves out 0."""
    certain = (genes["lower"] > 0) | (genes["upper"] < 0)
    return genes[certain & (genes["change"].abs() >= CHANGED)]


def artifact_words(strong: pd.DataFrame, n_genes: int) -> str:
    """What the artifact does to genes, in a sentence or two."""
    if strong.empty:
        return (
            f"Switched on, it changes none of {n_genes:,} genes by {CHANGED:g} log2 units or more "
            "with certainty: **this run has hardly learned an artifact**."
        )
    return (
        f"Switched on, it changes **{len(strong):,} of {n_genes:,} genes** by {CHANGED:g} log2 "
        f"units or more with an interval that leaves out 0, most of all {_with_arrows(strong, 5)}."
    )


def _vector_words(components: pd.DataFrame, *, acts: bool) -> str:
    if (components["sd"] == 0).all():
        return ("Learned as a plain vector, without uncertainty (ablation w/o Causal). A unit is "
                "the standard deviation of the basal state.")  # fmt: skip
    certain = int((components["lower"] * components["upper"] > 0).sum())
    words = (
        "Posterior mean and 95 % interval of each component; a unit is the standard deviation of "
        f"the basal state. The interval of {certain} of {len(components)} components leaves out 0."
    )
    if acts and certain < len(components) / 20:
        words += (
            " No latent stands for the artifact alone: it acts through many of them together, so "
            "read it by its genes."
        )
    return words


def why_no_artifact(run: Run) -> str:
    """Why there is no artifact to look at, in plain words."""
    if not run.spec.artifact:
        return (
            f"{run.spec.label} has no artifact: it does not tell technical flaws from biology. "
            "Choose the run of a CRADLE-VAE to see one."
        )
    return (
        "This run has not learned an artifact: no cell that failed quality control was in its "
        "training, because it was trained on passing cells only or none fails at its threshold."
    )

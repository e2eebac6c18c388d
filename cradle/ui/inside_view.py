"""Parts of the page inside the model: masks, artifact, counterparts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import pandas as pd
import streamlit as st

from cradle.evaluation.masks import OFF, ON, Decided, clustered, decided
from cradle.plots.effects import top_genes
from cradle.plots.latents import count_bars, mask_map, vector
from cradle.plots.palette import ARTIFACT_ON
from cradle.ui import inside
from cradle.ui.figures import figure_with_table
from cradle.ui.generation import has_artifact
from cradle.ui.labels import GLOSSARY, safe_label, safe_labels

if TYPE_CHECKING:
    from cradle.runs import Run

N_GENES = 20
MAX_BARS = 40
CHANGED = 0.25  # log2 units, about a fifth


def nothing_inside(run: Run) -> None:
    """A rule without a network."""
    st.info(
        f"**{run.spec.label}** is a simple rule: {run.spec.summary} There is nothing learned "
        "inside it to look at. Choose the run of another model in the sidebar.",
        icon=":material/info:",
    )


def headline(run: Run) -> None:
    """What a latent is, and which parts this model has."""
    n_latent = run.config["settings"].get("n_latent")
    st.markdown(
        f"**{run.spec.label}** describes each cell by {n_latent} hidden numbers, the *latents*. "
        "Perturbing a gene shifts some of them"
        + (", and so does a technical flaw, the *artifact*." if run.spec.artifact else ".")
        + " This page opens the model and shows these shifts. Latents have no names, and their "
        "order and sign mean nothing: what they do shows in the genes."
    )


def masks(run: Run) -> None:
    """Which latents each perturbed gene moves."""
    st.subheader("Which latents does each gene move?", help=GLOSSARY["mask"])
    table = inside.masks(str(run.path))
    if table.empty:
        st.info(f"{run.spec.label} has no masks: every perturbation may move every latent.",
                icon=":material/info:")  # fmt: skip
        return
    kind: Literal["probability", "shift"] = "probability"
    if st.segmented_control(
        "Colour", ("probability", "shift"), default="probability", required=True, key="mask_colour",
        bind="query-params", help="Probability: is the mask on? Shift: how far, and which way, the "
        "gene moves the latent (mask × embedding).",
    ) == "shift":  # fmt: skip
        kind = "shift"
    wide = table.set_index(["perturbation", "latent"])[kind].unstack()  # noqa: PD010
    wide = wide.iloc[clustered(wide.to_numpy()), clustered(wide.to_numpy().T)]
    found = decided(table["probability"].to_numpy())
    shown = wide.set_axis(safe_labels(pd.Series(wide.index.astype(str))), axis=0)
    figure_with_table(
        mask_map(shown, title=_title(found) if kind == "probability" else
                 "How far each gene moves each latent", kind=kind),
        in_order(table, wide), f"mask_{kind}_{run.name}",
        alt=f"Map of {found.total} masks: {found.on} on, {found.off} off, {found.undecided} "
        "undecided.",
    )  # fmt: skip
    settings = run.config["settings"]
    start = 1 / (1 + math.exp(-settings["mask_init"]))
    st.markdown(reading(found, len(wide), wide.shape[1], settings["mask_prior"], start))
    what = (
        "Posterior probability that the mask is on"
        if kind == "probability"
        else "Mean of mask × embedding over 32 posterior draws; a unit is the standard deviation "
        "of the basal state"
    )
    st.caption(
        f"{what}. Rows: {len(wide)} {'genes' if run.design.additive else 'treatments'} that "
        "training cells carry. Rows and columns are clustered (average linkage, Euclidean "
        "distance), so that alike ones stand side by side."
    )


def in_order(table: pd.DataFrame, wide: pd.DataFrame) -> pd.DataFrame:
    """The masks in the order of the map, row by row."""
    keys = ["perturbation", "latent"]
    order = pd.MultiIndex.from_product([wide.index, wide.columns], names=keys)
    ordered = table.set_index(keys).loc[order].reset_index()
    return ordered.assign(perturbation=safe_labels(ordered["perturbation"].astype(str)))


def _title(found: Decided) -> str:
    if found.undecided > found.total / 2:
        return f"{_share(found.undecided, found.total)} of the masks are undecided"
    return f"{_share(found.on, found.total)} of the masks are on"


def _share(part: int, total: int) -> str:
    return f"{100 * part / total:.0f} %"


def reading(found: Decided, n_rows: int, n_latent: int, prior: float, start: float) -> str:
    """How many masks are decided, and what follows, in words.

    Parameters
    ----------
    prior, start
        Share of masks that the prior expects to be on; probability that training starts from.
    """
    shares = {name: _share(getattr(found, name), found.total) for name in found._fields}
    text = (
        f"Of {found.total:,} masks ({n_rows} rows × {n_latent} latents), "
        f"**{found.on:,} ({shares['on']}) are on** (probability above {ON:g}), "
        f"**{found.off:,} ({shares['off']}) are off** (below {OFF:g}) and "
        f"**{found.undecided:,} ({shares['undecided']}) are undecided**. The prior expects "
        f"{100 * prior:.3g} % to be on; training starts every mask at {start:.2f}. "
    )
    if found.off >= found.total / 2:
        verdict = (
            f"The model is sparse: a row moves {found.on / n_rows:.0f} of {n_latent} latents on "
            "average."
        )
    elif found.undecided >= found.total / 2:
        verdict = (
            "The model is **not sparse**: for most masks the cells do not tell whether the gene "
            "moves the latent. Read no single field as a finding."
        )
    elif found.on >= found.total / 2:
        verdict = (
            "The model is **not sparse**: most genes may move most latents, and a mask near "
            f"{start:.2f} has hardly left the value it started from. Read no single field as a "
            "finding."
        )
    else:
        verdict = "Some genes move few latents, others many: read row by row."
    return text + verdict


def artifact(run: Run) -> None:
    """The artifact in latent space, and what it does to genes."""
    st.subheader("What has the model learned as artifact?", help=GLOSSARY["artifact"])
    if not has_artifact(run):
        st.info(why_no_artifact(run), icon=":material/info:")
        return
    path = str(run.path)
    components, genes = inside.artifact_vector(path), inside.artifact_genes(path)
    strong = strongly_changed(genes)
    st.markdown(artifact_words(strong, len(genes)))
    left, right = st.columns(2, gap="large")
    with left:
        top = genes.head(N_GENES).rename(columns={"change": "predicted"})
        figure_with_table(
            top_genes(
                top.assign(gene=safe_labels(top["gene"])),
                title=f"The {len(top)} genes that the artifact changes most",
                names=("artifact on − off", ""), x="artifact on minus off (log2 units)",
                style=ARTIFACT_ON,
            ),
            genes.assign(gene=safe_labels(genes["gene"])), f"artifact_genes_{run.name}",
            alt="Change of each gene when the artifact is switched on, with intervals.",
        )  # fmt: skip
        st.caption(
            "Control cells, generated with the artifact on minus off, all else equal: mean of "
            "log2(1 + 10,000 · x / library size). 1 means about twice the expression. Bars: "
            f"{GLOSSARY['interval']} The CSV holds all {len(genes):,} modelled genes."
        )
    with right:
        figure_with_table(
            vector(components, title=f"The artifact as a vector of {len(components)} latents"),
            components, f"artifact_vector_{run.name}",
            alt=f"Posterior mean and interval of {len(components)} components of the artifact.",
        )  # fmt: skip
        st.caption(_vector_words(components, acts=len(strong) > 0))


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
    named = ", ".join(
        f"{safe_label(gene)} {'▲' if direction == 'up' else '▼'}"
        for gene, direction in zip(strong["gene"][:5], strong["direction"][:5], strict=True)
    )
    return (
        f"Switched on, it changes **{len(strong):,} of {n_genes:,} genes** by {CHANGED:g} log2 "
        f"units or more with an interval that leaves out 0, most of all {named}."
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


def counterparts(run: Run) -> None:
    """How many QC-failed training cells each perturbation has beside its passing ones."""
    st.subheader(
        "How many failed counterparts has each perturbation?", help=GLOSSARY["counterpart"]
    )
    columns = ["perturbation", "n_train", "n_fail_train", "n_counterparts"]
    table = run.perturbations.loc[run.perturbations["n_train"] > 0, columns]
    table = table.sort_values("n_counterparts", ascending=False, kind="stable")
    table["perturbation"] = safe_labels(table["perturbation"].astype(str))
    if table["n_counterparts"].sum() == 0:
        st.info("No QC-failed cell stands beside passing cells of its perturbation in training.",
                icon=":material/info:")  # fmt: skip
        return
    st.markdown(counterpart_words(run, table["n_counterparts"]))
    shown = table if len(table) <= MAX_BARS else pd.concat(
        [table.head(MAX_BARS // 2), table.tail(MAX_BARS // 2)]
    )  # fmt: skip
    figure_with_table(
        count_bars(shown, category="perturbation", n="n_counterparts", x="QC-failed training cells",
                   title="QC-failed counterparts of each perturbation"),
        table, f"counterparts_{run.name}",
        alt=f"Number of QC-failed counterparts of {len(shown)} perturbations.",
    )  # fmt: skip
    left_out = len(table) - len(shown)
    st.caption(
        f"Split train, quality control at the run's own threshold, k = {run.config['mad']:g} MAD. "
        + (f"The {MAX_BARS // 2} largest and smallest; {left_out} between them are in the CSV."
           if left_out else "")
    )  # fmt: skip


def counterpart_words(run: Run, counts: pd.Series) -> str:
    """What the counts mean for this model."""
    none = int((counts == 0).sum())
    text = (
        f"{int(counts.sum()):,} QC-failed cells in training; of {len(counts)} perturbations "
        f"(control included), **{'none is' if not none else f'{none:,} are'} without a failed "
        f"cell**, and half have {counts.median():.0f} or more. "
    )
    settings = run.config["settings"]
    if not run.spec.artifact:
        return text + f"{run.spec.label} makes no use of them: it has no counterfactual term."
    if settings["counterfactual_weight"] == 0:
        return text + "This run makes no use of them: its counterfactual term is switched off."
    return text + (
        "The counterfactual term compares each passing cell, encoded as if it had failed, with the "
        "median failed cell of its perturbation (of at most "
        f"{settings['max_counterparts']} drawn anew in each epoch). Where there are few, that "
        "median is noise."
    )

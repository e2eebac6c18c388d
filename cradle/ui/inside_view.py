"""Parts of the page inside the model: masks, artifact, counterparts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import pandas as pd
import streamlit as st

from cradle.data.dosage import perturbed_genes
from cradle.evaluation.masks import OFF, ON, Decided, clustered, decided
from cradle.plots.latents import count_bars, mask_map
from cradle.ui import inside
from cradle.ui.figures import figure_with_table, plotted
from cradle.ui.kept import once
from cradle.ui.labels import GLOSSARY, safe_labels

if TYPE_CHECKING:
    from cradle.data.dosage import Design
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
    """Which latents each perturbed gene moves, and each combination beyond its genes."""
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
    (shown, ordered), found = _maps(table)[kind], decided(table["probability"].to_numpy())
    figure_with_table(
        plotted(mask_map, shown, title=_title(found) if kind == "probability" else
                "How far each gene moves each latent", kind=kind),
        ordered, f"mask_{kind}_{run.name}",
        alt=f"Map of {found.total} masks: {found.on} on, {found.off} off, {found.undecided} "
        "undecided.",
    )  # fmt: skip
    settings = run.config["settings"]
    start = 1 / (1 + math.exp(-settings["mask_init"]))
    st.markdown(reading(found, len(shown), shown.shape[1], settings["mask_prior"], start))
    what = (
        "Posterior probability that the mask is on"
        if kind == "probability"
        else "Mean of mask × embedding over 32 posterior draws; a unit is the standard deviation "
        "of the basal state"
    )
    st.caption(
        f"{what}. Rows: {_rows(run.design)} that training cells carry. Rows and columns are "
        "clustered (average linkage, Euclidean distance), so that alike ones stand side by side."
    )


def _rows(design: Design) -> str:
    """What the rows of the masks are, in words."""
    if not design.additive:
        return f"{len(design.columns)} treatments"
    genes = len(perturbed_genes(design.columns))
    if genes == len(design.columns):
        return f"{genes} genes"
    own = len(design.columns) - genes
    return f"{genes} genes, and what {own} combinations do beyond their genes,"


@once
def _maps(table: pd.DataFrame) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """The masks as a map, alike ones side by side, and as a table in its order."""
    maps = {}
    for kind in ("probability", "shift"):
        wide = table.set_index(["perturbation", "latent"])[kind].unstack()  # noqa: PD010
        wide = wide.iloc[clustered(wide.to_numpy()), clustered(wide.to_numpy().T)]
        shown = wide.set_axis(safe_labels(pd.Series(wide.index.astype(str))), axis=0)
        maps[kind] = shown, in_order(table, wide)
    return maps


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


def counterparts(run: Run) -> None:
    """How many QC-failed training cells each perturbation has beside its passing ones."""
    st.subheader(
        "How many failed counterparts has each perturbation?", help=GLOSSARY["counterpart"]
    )
    table, shown = _counterparts(run.perturbations)
    if table["n_counterparts"].sum() == 0:
        st.info("No QC-failed cell stands beside passing cells of its perturbation in training.",
                icon=":material/info:")  # fmt: skip
        return
    st.markdown(counterpart_words(run, table["n_counterparts"]))
    figure_with_table(
        plotted(count_bars, shown, category="perturbation", n="n_counterparts",
                x="QC-failed training cells",
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


@once
def _counterparts(perturbations: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Perturbations in training by their counterparts, and those of them that are drawn."""
    columns = ["perturbation", "n_train", "n_fail_train", "n_counterparts"]
    table = perturbations.loc[perturbations["n_train"] > 0, columns]
    table = table.sort_values("n_counterparts", ascending=False, kind="stable")
    table["perturbation"] = safe_labels(table["perturbation"].astype(str))
    if len(table) <= MAX_BARS:
        return table, table
    return table, pd.concat([table.head(MAX_BARS // 2), table.tail(MAX_BARS // 2)])


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

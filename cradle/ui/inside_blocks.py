"""Parts of the page inside the model for runs with an invariant and a responsive block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cradle.data.schema import CONTROL
from cradle.plots.blocks import MAX_EDGES, latent_graph
from cradle.plots.effects import top_genes
from cradle.plots.latents import mask_map
from cradle.ui import inside
from cradle.ui.figures import figure_with_table, plotted
from cradle.ui.labels import GLOSSARY, safe_label, safe_labels

if TYPE_CHECKING:
    from cradle.runs import Run

N_GENES, N_NAMED = 20, 5
_ONE = "one standard deviation of the latent in control cells"


def headline(run: Run) -> None:
    """What the two blocks are."""
    settings = run.config["settings"]
    st.markdown(
        f"**{run.spec.label}** describes each cell by two blocks of hidden numbers, the *latents*. "
        f"{settings['n_invariant']} *invariant* ones stand for the background, which a "
        f"perturbation should leave alone; {settings['n_responsive']} *responsive* ones stand for "
        "what it changes, and may drive each other. Latents have no names, and their sign means "
        "nothing: what they do shows in the genes."
    )


def shifts(run: Run) -> None:
    """How far each perturbed gene moves each responsive latent."""
    st.subheader("Which responsive latents does each gene move?", help=GLOSSARY["responsive"])
    table = inside.shifts(str(run.path))
    if table.empty:
        st.info("The training cells carry no perturbation.", icon=":material/info:")
        return
    shown = table.set_axis(safe_labels(pd.Series(table.index.astype(str))), axis=0)
    long = shown.rename_axis("perturbation").reset_index()
    long = long.melt("perturbation", var_name="latent", value_name="shift")
    figure_with_table(
        plotted(mask_map, shown,
                title="How far each gene moves each responsive latent", kind="shift",
                x="responsive latent (number)"),
        long, f"responsive_shifts_{run.name}",
        alt=f"Map of the shift of {table.shape[1]} latents by {len(table)} genes.",
    )  # fmt: skip
    strong = int((table.abs().max(axis=1) >= 1).sum())
    st.caption(
        f"Mean of the responsive latents in predicted cells minus that in predicted control cells; "
        f"1 is {_ONE}. What one latent passes on to others is included. {strong} of {len(table)} "
        "genes move some latent by 1 or more."
    )


def graph(run: Run) -> None:
    """The learned graph among the responsive latents."""
    st.subheader("Which responsive latents drive each other?", help=GLOSSARY["latent_graph"])
    if not run.config["settings"]["causal_structure"]:
        st.info("This run was trained without structure (an ablation): its latents cannot drive "
                "each other.", icon=":material/info:")  # fmt: skip
        return
    left, right = st.columns(2)
    label = left.selectbox(
        "Graph of cells with", [CONTROL, *run.design.columns], key="graph_of", bind="query-params",
        format_func=lambda name: "no perturbation" if name == CONTROL else safe_label(name),
        help="A perturbation may change the strength of every edge.",
    )  # fmt: skip
    limit = right.slider("Least strength of an edge", 0.05, 1.0, 0.25, 0.05, key="graph_limit",
                         bind="query-params")  # fmt: skip
    edges, nodes = inside.edges(str(run.path), str(label)), named(inside.shifts(str(run.path)))
    kept = edges[edges["weight"].abs() >= limit]
    table = with_genes(kept, nodes)
    st.markdown(graph_words(edges, kept, float(limit)))
    if len(kept):
        joined = nodes[nodes["latent"].isin({*kept["source"], *kept["target"]})]
        figure_with_table(
            plotted(latent_graph, joined, kept,
                    title=f"{len(kept)} edges of strength {limit:g} or more"),
            table, f"graph_{run.name}",
            alt=f"Graph of {len(joined)} latents with {len(kept)} edges; all are in the table.",
        )  # fmt: skip
    st.caption(
        "Number: the latent; beside it the gene whose perturbation moves it most. Strength: change "
        "of the target for one unit of the source"
        + (f"; the {MAX_EDGES} strongest are drawn. " if len(kept) > MAX_EDGES else ". ")
        + "Arrows lead from lower to higher numbers because the model allows no others: **which of "
        "two latents drives the other was fixed before training and is no finding**. The scale of "
        "a latent is free, so strengths compare roughly at best."
    )


def named(shifts: pd.DataFrame) -> pd.DataFrame:
    """Latents with the gene that moves each most (``cradle.inside_blocks.strongest``), safe."""
    from cradle.inside_blocks import strongest

    nodes = strongest(shifts)
    return nodes.assign(gene=safe_labels(nodes["gene"].astype(str)))


def with_genes(edges: pd.DataFrame, nodes: pd.DataFrame) -> pd.DataFrame:
    """Edges as a table: source, its gene, target, its gene, weight."""
    gene = nodes.set_index("latent")["gene"]
    return pd.DataFrame(
        {"source": edges["source"], "source_gene": edges["source"].map(gene),
         "target": edges["target"], "target_gene": edges["target"].map(gene),
         "weight": edges["weight"]}
    )  # fmt: skip


def graph_words(edges: pd.DataFrame, kept: pd.DataFrame, limit: float) -> str:
    """How much of a graph there is, in words."""
    largest = float(edges["weight"].abs().max()) if len(edges) else 0.0
    if kept.empty:
        return (
            f"**No edge is as strong as {limit:g}**: the strongest is {largest:.2f}. The model has "
            "hardly learned that one latent drives another. Lower the limit to see weaker edges."
        )
    return (
        f"**{len(kept)} of {len(edges)} possible edges** are at least {limit:g} strong, the "
        f"strongest {largest:.2f}."
    )


def programs(run: Run) -> None:
    """What each responsive latent does to the genes."""
    st.subheader("Which genes does each latent change?", help=GLOSSARY["program"])
    path = str(run.path)
    table, nodes = inside.programs(path), named(inside.shifts(path))
    table = table.assign(gene=safe_labels(table["gene"]))
    overview = program_overview(table, nodes)
    st.dataframe(
        overview, hide_index=True, key=f"programs_{run.name}", height=280,
        column_config={
            "latent": st.column_config.NumberColumn("latent", pinned=True),
            "gene": "moved most by",
            "shift": st.column_config.NumberColumn("shift (sd)", format="%+.2f"),
            "up": "genes up", "down": "genes down",
            "largest": st.column_config.NumberColumn("largest change (log2)", format="%.2f"),
        },
    )  # fmt: skip
    latent = st.selectbox(
        "Latent", overview["latent"].tolist(), key="program_latent", bind="query-params",
        format_func=lambda k: f"{k}, moved most by {_gene_of(nodes, k)}",
    )  # fmt: skip
    own = table[table["latent"] == latent]
    top = own.head(N_GENES).rename(columns={"change": "predicted"})
    figure_with_table(
        plotted(top_genes, top, title=f"The {len(top)} genes that latent {latent} changes most",
                names=("one step up", ""), x="change for one step up (log2 units)"),
        table, f"programs_{run.name}",
        alt=f"Change of each gene when latent {latent} is one standard deviation higher.",
    )  # fmt: skip
    st.caption(
        f"Decoded with the latent {_ONE} higher, all else equal, mean over 512 predicted control "
        "cells: log2(1 + 10,000 · x / library size); 1 means about twice the expression. What the "
        "latent passes on to other latents is left out. The sign of a latent means nothing: up and "
        "down may change places, together. Read it with the sign of its shift. The CSV holds all "
        f"{len(own):,} modelled genes of every latent."
    )


def program_overview(table: pd.DataFrame, nodes: pd.DataFrame) -> pd.DataFrame:
    """One row a latent, the strongest program first.

    Returns
    -------
    DataFrame
        latent, gene, shift (of that gene), up, down (the ``N_NAMED`` genes that change most, in
        words), largest (absolute change, log2 units).
    """

    def names(own: pd.DataFrame) -> str:
        return ", ".join(own["gene"].head(N_NAMED))

    rows = [
        {"latent": latent, "up": names(own[own["change"] > 0]),
         "down": names(own[own["change"] < 0]), "largest": float(own["change"].abs().max())}
        for latent, own in table.groupby("latent", sort=True)
    ]  # fmt: skip
    found = nodes.merge(pd.DataFrame(rows), on="latent")
    return found.sort_values("largest", ascending=False, kind="stable", ignore_index=True)


def _gene_of(nodes: pd.DataFrame, latent: int) -> str:
    return str(nodes.set_index("latent")["gene"][latent])

"""What the blocks of observed cells tell of the perturbation: probes and a map, on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from cradle.data.schema import CONTROL
from cradle.plots.blocks import probe_dots
from cradle.plots.scatter import cell_map
from cradle.ui import inside, store
from cradle.ui.embedding_view import few
from cradle.ui.figures import figure_with_table
from cradle.ui.labels import GLOSSARY, safe_labels
from cradle.ui.sidebar import Choices

if TYPE_CHECKING:
    from cradle.runs import Run

BLOCKS = {
    "invariant": "invariant (z_ι)",
    "unlabelled": "responsive, label hidden",
    "responsive": "responsive, label given (z_ν)",
    "components": "principal components",
}
#: A block knows the perturbation when it tells this share of what principal components tell.
KNOWS = 0.25


def background(choices: Choices, run: Run) -> None:
    """Whether the invariant block is free of the perturbation: button, probes, map."""
    st.subheader("Is the background free of the perturbation?", help=GLOSSARY["probe"])
    source = choices.dataset.source
    if source is None:
        st.info(
            "The observed cells are not on this machine, so there is nothing to probe. Fetch or "
            "upload the dataset on the page Data; the parts above need no cells.",
            icon=":material/info:",
        )
        return
    path, asked = str(run.path), f"probes_{store.fingerprint(str(run.path))}"
    if not st.session_state.get(asked):
        st.markdown(
            "Reads both blocks of observed cells, asks how well a straight line tells the "
            "perturbation from each, and draws a map of the invariant block. It takes up to a "
            "minute."
        )
        if not st.button("Probe the blocks", type="primary", icon=":material/play_arrow:"):
            return
        st.session_state[asked] = True
    cells = inside.probed(path, source)
    if cells.labels.nunique() < 2:
        st.info("Fewer than two perturbations have 10 cells, so there is nothing to tell apart.",
                icon=":material/info:")  # fmt: skip
        return
    _probes(run, source, cells)
    _map(run, source, cells)


def _probes(run: Run, source: str, cells: inside.Probed) -> None:
    table = probe_rows(str(run.path), source)
    chance = 100 / cells.labels.nunique()
    st.markdown(probe_words(table, chance, cells.kl))
    figure_with_table(
        probe_dots(table, chance=chance, title="How well each block tells the perturbation"),
        table, f"probes_{run.name}",
        alt="Accuracy of linear probes for the perturbation: "
        + ", ".join(f"{b} {a:.0f} %" for b, a in zip(table["block"], table["accuracy"],
                                                     strict=True)),
    )  # fmt: skip
    st.caption(
        f"Logistic regression fitted on half of {len(cells.labels):,} cells of "
        f"{cells.labels.nunique()} perturbations (control included; at most 100 cells of each, "
        "all splits) and scored on the other half, each perturbation counting once; dot and bar: "
        "mean and range of three halvings. The network computes z_ν **from the cell and its "
        "label**, so that it tells the label is no finding; with the label hidden, every cell is "
        "declared a control. Principal "
        "components: as many as both blocks have latents, of the same cells. depth_r2 in the "
        "table: how well the block tells the library size, which a background should."
    )


def probe_rows(path: str, source: str) -> pd.DataFrame:
    """One row a block: block, n_features, accuracy, low, high, shuffled (percent), depth_r2."""
    rows, bar = [], st.progress(0.0, "Probing the blocks …")
    for i, (name, words) in enumerate(BLOCKS.items()):
        bar.progress(i / len(BLOCKS), f"Probing: {words}")
        rows.append({"block": words} | inside.probe(path, source, name))
    bar.empty()
    return pd.DataFrame(rows)


def probe_words(table: pd.DataFrame, chance: float, kl: np.ndarray) -> str:
    """What the probes say of the invariant block, in words.

    Parameters
    ----------
    table
        Of ``probe_rows``.
    chance
        Percent.
    kl
        Mean KL of each invariant latent, nats.
    """
    from cradle.inside_blocks import IN_USE

    accuracy = dict(zip(table["block"], table["accuracy"].tolist(), strict=True))
    depth = dict(zip(table["block"], table["depth_r2"].tolist(), strict=True))
    found, top = accuracy[BLOCKS["invariant"]], accuracy[BLOCKS["components"]]
    used = int((kl > IN_USE).sum())
    says = (
        f"From the invariant block a straight line tells the perturbation of **{found:.0f} %** of "
        f"the cells; guessing gives {chance:.0f} %, principal components {top:.0f} %. "
    )
    if used == 0:
        verdict = (
            "**The block is nearly empty**: each of its latents moves by less than its own noise, "
            "so the background of a cell is lost, and what a straight line still finds plays no "
            "part in predicted cells."
        )
    elif found - chance > KNOWS * (top - chance):
        verdict = "**The background is not free of the perturbation.**"
    else:
        verdict = "The background is nearly free of the perturbation."
    return says + verdict + (
        f" {used} of its {len(kl)} latents are in use (mean KL above {IN_USE:g} nats); they tell "
        f"{100 * max(depth[BLOCKS['invariant']], 0):.0f} % of the variance of the library size."
    )  # fmt: skip


def _map(run: Run, source: str, cells: inside.Probed) -> None:
    by = st.segmented_control(
        "Colour the map by", ("perturbation", "perturbed or not", "library size"),
        default="perturbation", required=True, key="background_colour", bind="query-params",
    )  # fmt: skip
    positions = inside.background_map(str(run.path), source)
    points = map_points(cells, positions, str(by))
    fig = cell_map(
        points, title="Map of the invariant block",
        axes=("t-SNE 1", "t-SNE 2"), color="color", numeric=by == "library size",
        unit="log10 counts",
    )  # fmt: skip
    # on a phone the names take many rows
    fig.update_layout(dragmode=False, legend={"y": -0.1, "yanchor": "top"})
    figure_with_table(
        fig, points.drop(columns="row"), f"invariant_map_{run.name}",
        alt=f"Map of the invariant block of {len(points)} cells, coloured by {by}.",
    )  # fmt: skip
    st.caption(
        f"Posterior means of all invariant latents of the {len(points):,} probed cells → t-SNE "
        "(perplexity 30, seed 0). Where the background is free of the perturbation the colours lie "
        "mixed. **Distances and sizes on this map are not evidence**; the probe above is."
    )


def map_points(cells: inside.Probed, positions: np.ndarray, by: str) -> pd.DataFrame:
    """Cells on the map: x, y, row, label, color."""
    label = cells.labels.astype(str)
    color: pd.Series
    if by == "library size":
        color = pd.Series(np.log10(cells.library_size))
    elif by == "perturbed or not":
        color = label.eq(CONTROL).map({True: CONTROL, False: "perturbed"})
    else:
        color = few(safe_labels(label))
    return pd.DataFrame(
        {"x": positions[:, 0], "y": positions[:, 1], "row": range(len(label)),
         "label": safe_labels(label).to_numpy(), "color": color.to_numpy()}
    )  # fmt: skip

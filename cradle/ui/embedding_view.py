"""Parts of the embeddings page."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
import streamlit as st

from cradle.data.schema import CONTROL
from cradle.embedding import N_COMPONENTS, N_NEIGHBOURS, Method
from cradle.errors import InputError
from cradle.plots.scatter import MAX_POINTS, cell_map
from cradle.ui import embedding, programs, selection, store
from cradle.ui.embedding import Basis, CellMap, MapRequest
from cradle.ui.figures import figure_with_table, plotted
from cradle.ui.labels import CRITERIA, safe_label, safe_labels
from cradle.ui.sidebar import Choices

MAX_CLASSES = 8
MAX_PERTURBATIONS = 12
BASES: dict[Basis, str] = {
    "all cells": "computed jointly",
    "observed cells": "fitted on the observed cells, generated ones projected",
}
_TWINS = (
    "Each generated cell is there twice, with the artifact off and on; such twins can lie on each "
    "other, and their colours then mix. "
)
N_SHOWN, N_OBSERVED, N_GENERATED = 6, 2000, 100  # what the form starts with


def ask(choices: Choices) -> MapRequest | None:
    """The form; returns the request to draw: the last one, or one whose map is at hand."""
    run = store.run(choices)
    generates = run is not None and run.spec.generates
    if choices.dataset.source is None and not generates:
        raise InputError("There are no cells to show.", "neither observed nor generated ones.",
                         "Fetch the dataset on the page Data, or choose another run.")  # fmt: skip
    if run is None and not store.labelled(choices):
        raise InputError(
            "A map is of the cells of chosen perturbations, and these cells carry none.",
            "a file without a column that says which perturbation each cell carries.",
            "Look at them on the page Quality control, or give a file with such a column.",
        )
    counts = _counts(choices)
    source = choices.dataset.source
    has_artifact = run is not None and run.learned_artifact
    # no st.form: that keeps a change to itself, and the page could not say that its map is old
    with st.container(border=True):
        method = st.segmented_control("Method", ("PCA", "UMAP", "t-SNE"), default="UMAP",
                                      required=True, key="method", bind="query-params")  # fmt: skip
        shown = st.multiselect(
            "Perturbations", list(counts.index), default=list(counts.index[:N_SHOWN]), key="shown",
            bind="query-params", format_func=safe_label, max_selections=MAX_PERTURBATIONS,
        )  # fmt: skip
        first, second, third, fourth = st.columns(4, vertical_alignment="bottom")
        n_observed = first.number_input(
            "Observed cells, at most", 0, MAX_POINTS, N_OBSERVED, 500, key="n_observed",
            bind="query-params", disabled=source is None,
        )  # fmt: skip
        n_generated = second.number_input(
            "Generated, per perturbation", 0, 1000, N_GENERATED, 50, key="n_generated",
            bind="query-params", disabled=not generates,
        )  # fmt: skip
        seed = third.number_input("Seed", 0, 9999, 0, key="map_seed", bind="query-params")
        artifact = fourth.toggle(
            "Artifact on too", value=True, key="map_artifact", bind="query-params",
            disabled=not has_artifact,
            help="Generate each cell twice, with the artifact off and on.",
        )  # fmt: skip
        basis = st.segmented_control(
            "Map fitted on", ("all cells", "observed cells"), default="all cells", required=True,
            key="basis", bind="query-params", disabled=source is None or not generates,
            help="All cells: observed and generated ones share one map. Observed cells: these "
            "alone make the map, and generated ones are projected onto it (UMAP and PCA).",
        )  # fmt: skip
        with st.container(horizontal=True, vertical_alignment="center"):
            pressed = st.button("Compute the map", type="primary", icon=":material/play_arrow:")
            note = st.empty()
    asked = compose(
        choices, list(shown), int(n_observed), int(n_generated), bool(artifact),
        cast("Method", method), int(seed), cast("Basis", basis),
    )  # fmt: skip
    if asked.n_generated < n_generated and generates:
        st.caption(
            f"A map holds {MAX_POINTS:,} cells at most, so that cells can be selected on it: "
            f"{asked.n_observed:,} observed cells and {asked.n_generated:,} generated ones per "
            "perturbation and artifact state are drawn."
        )
    if pressed and not shown:
        raise InputError("No perturbation is chosen.", "an empty list.", "Choose at least one.")
    if pressed or (shown and embedding.at_hand(asked)):
        st.session_state["map_request"] = asked
    last: MapRequest | None = st.session_state.get("map_request")
    if last is None or last[:2] != asked[:2]:
        return None
    if last != asked:
        note.markdown(f":orange-background[:material/update: {_outdated(last)}]", width="content")
    return last


def _outdated(last: MapRequest) -> str:
    return f"Below is still the {last.method} asked for before. Press Compute the map to update."


def compose(
    choices: Choices,
    shown: list[str],
    n_observed: int = N_OBSERVED,
    n_generated: int = N_GENERATED,
    artifact: bool = True,
    method: Method = "UMAP",
    seed: int = 0,
    basis: Basis = "all cells",
) -> MapRequest:
    """What the form asks for, reduced to what a map can hold."""
    run, source = store.run(choices), choices.dataset.source
    generates = run is not None and run.spec.generates
    twins = (
        artifact
        and run is not None
        and run.spec.artifact
        and bool(run.perturbations["n_fail_train"].sum())
    )
    here = 0 if source is None else min(n_observed, int(_counts(choices).reindex(shown).sum()))
    most = embedding.within_limit(
        here, n_generated if generates else 0, len(shown) * (2 if twins else 1)
    )
    path = str(run.path) if generates and run is not None else None
    return MapRequest(source, path, tuple(shown), *most, twins, method, seed, basis)


def default_request(choices: Choices) -> MapRequest:
    """What the form asks for when nobody has touched it."""
    return compose(choices, list(_counts(choices).index[:N_SHOWN]))


def _counts(choices: Choices) -> pd.Series[int]:
    """Cells of each perturbation, control first, then the largest."""
    run, adata = store.run(choices), store.cells(choices)
    if run is not None:
        table = run.perturbations
        counts = table.set_index("perturbation")[["n_train", "n_val", "n_test"]].sum(axis=1)
    else:
        assert adata is not None
        counts = adata.obs["perturbation"].astype(str).value_counts()
    counts = counts.sort_values(ascending=False, kind="stable")
    return counts.loc[sorted(counts.index, key=lambda name: name != CONTROL)]


def compute(request: MapRequest) -> CellMap:
    """The map, kept from before or computed with its progress; leaving the page stops it."""
    embedding.check_basis(request)
    if not embedding.at_hand(request):
        bar = st.progress(0.0, "Loading the model …")
        embedding.prepare(request, lambda share, words: bar.progress(share, f"{words} …"))
        bar.empty()
    return embedding.cell_map(request)


def draw(choices: Choices, request: MapRequest, drawn: CellMap) -> list[int]:
    """The map in the chosen colours; returns the selected rows."""
    left, right = st.columns(2)
    options = _colourings(drawn)
    by = left.selectbox("Colour by", options, key="colour", bind="query-params",
                        format_func=lambda name: options_label(str(name)))  # fmt: skip
    gene = None
    if by == "gene":
        gene = right.selectbox("Gene", embedding.genes(drawn.request), key="map_gene",
                               bind="query-params", format_func=safe_label)  # fmt: skip
    points = points_of(drawn, str(by), None if gene is None else str(gene))
    numeric = pd.api.types.is_numeric_dtype(points["color"])
    marked = selection.to_draw(request, (by, gene))
    n = drawn.obs["source"].value_counts()
    fig = plotted(
        cell_map,
        points, title=f"{request.method} of {len(points):,} cells by {options_label(by)}",
        axes=drawn.axes, color="color", numeric=numeric,
        unit=options_label(by) if gene is None else f"{safe_label(gene)}, log2 units",
        selected=marked or None,
    )  # fmt: skip
    chosen = figure_with_table(
        fig, points.drop(columns="row"), f"map_{request.method}", select=["lasso", "box"],
        again=selection.times_cleared(),
        alt=f"Map of {len(points)} cells; {', '.join(f'{v} {k}' for k, v in n.items())}.",
    )  # fmt: skip
    st.caption(
        f"{', '.join(f'{v:,} {k}' for k, v in n.items())} cells{_of_all(request, n)}; "
        f"{BASES[request.basis]}: "
        f"log2(1 + 10,000 · x / library size) of {len(embedding.genes(request)):,} genes → "
        f"{N_COMPONENTS} principal components → {request.method}"
        f"{_settings(request.method)}; seed {request.seed}. "
        f"{_TWINS if request.artifact and request.n_generated else ''}"
        "**Distances and sizes on this map are not evidence.**"
    )
    return selection.take(chosen)


def _of_all(request: MapRequest, n: pd.Series[int]) -> str:
    """How many observed cells are left out, where some are."""
    drawn, there = int(n.get("observed", 0)), embedding.n_available(request)
    if drawn == there:
        return ""
    return f" (of {there:,} observed ones, every perturbation in proportion)"


def _settings(method: str) -> str:
    return {"UMAP": f" ({N_NEIGHBOURS} neighbours)", "t-SNE": " (perplexity 30)"}.get(method, "")


def _colourings(drawn: CellMap) -> list[str]:
    obs = drawn.obs
    names = ["source"] * (len(set(obs["source"])) > 1) + ["perturbation"]
    names += ["program"] if programs.known(obs["perturbation"].astype(str)) else []
    names += [c for c in ("split", "qc_fail", "true_artifact") if c in obs]
    names += [c for c in CRITERIA if c in obs and obs[c].notna().any()]
    return [*names, "gene"]


def options_label(name: str) -> str:
    """Words for a colouring."""
    words = {
        "source": "observed or generated", "qc_fail": "quality control (run's threshold)",
        "program": "gene program (Norman 2019)", "true_artifact": "true artifact (simulated)",
        "gene": "expression of a gene",
    }  # fmt: skip
    return words.get(name) or (CRITERIA[name][1] if name in CRITERIA else name)


def points_of(drawn: CellMap, by: str, gene: str | None) -> pd.DataFrame:
    obs = drawn.obs
    label = obs["perturbation"].astype(str)
    if gene is not None:
        color = pd.Series(_column(drawn.request, gene), index=obs.index)
    elif by == "program":
        color = label.map(programs.program_of)
    elif by == "qc_fail":
        color = obs["qc_fail"].astype(bool).map({True: "fails", False: "passes"})
    elif by in CRITERIA:
        color = obs[by]
    else:
        color = few(safe_labels(obs[by].astype(str)))
    return pd.DataFrame(
        {"x": drawn.positions[:, 0], "y": drawn.positions[:, 1], "row": range(len(obs)),
         "label": safe_labels(label) + ", " + obs["source"].astype(str),
         "color": color.to_numpy()}
    )  # fmt: skip


def _column(request: MapRequest, gene: str) -> np.ndarray:
    return np.asarray(embedding.expression(request)[:, [gene]].X.toarray()).ravel()


def few(values: pd.Series) -> pd.Series:
    """Names of which the rarer ones are ``other``, so that each can have a colour."""
    kept = values.value_counts().index[: MAX_CLASSES - 1]
    return values if values.nunique() <= MAX_CLASSES else values.where(values.isin(kept), "other")


def evidence(drawn: CellMap) -> None:
    """A number in PCA space."""
    if drawn.mixing is None:
        st.caption("Observed and artifact-off cells are needed together for the mixing number.")
        return
    st.metric(
        "Mixing of observed and artifact-off cells", f"{drawn.mixing:.2f}", border=True,
        width=360,
        help="Of the 15 nearest neighbours in 50 principal components, the share from the other "
        "source, divided by the share expected if both were mixed at random. 1: mixed; 0: apart.",
    )  # fmt: skip

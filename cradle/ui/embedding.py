"""Maps of observed and generated cells: log1p CP10k, PCA, then t-SNE or UMAP; and a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from cradle.data.qc import CRITERIA, judge_generated
from cradle.embedding import (
    N_NEIGHBOURS,
    Method,
    positions,
    principal_components,
)
from cradle.errors import InputError
from cradle.evaluation.moments import log2_expression
from cradle.plots.scatter import MAX_POINTS, thin
from cradle.ui import generation, map_store, observed_metrics, store
from cradle.ui.map_numbers import neighbour_mixing

if TYPE_CHECKING:
    from anndata import AnnData

Basis = Literal["all cells", "observed cells"]
Tell = Callable[[float, str], object]  # share done, and what comes now
COLUMNS = ("perturbation", "source", "split", "true_artifact", "qc_fail", "library_size", *CRITERIA)


class MapRequest(NamedTuple):
    """Everything that a map depends on; equal requests give equal maps.

    Parameters
    ----------
    source
        Dataset; None leaves observed cells out.
    run_path
        Run; None leaves generated cells out.
    perturbations
        Shown, observed and generated alike.
    n_observed
        Cap on observed cells, kept in proportion to the perturbations.
    n_generated
        Generated cells per perturbation and artifact state.
    artifact
        Whether cells with the artifact on are generated too.
    method, seed
        Of the map; the seed is that of generation too.
    basis
        Cells that components and map are fitted on; generated ones are projected onto those of the
        observed cells, or take part.
    """

    source: str | None
    run_path: str | None
    perturbations: tuple[str, ...]
    n_observed: int
    n_generated: int
    artifact: bool
    method: Method
    seed: int
    basis: Basis = "all cells"


@dataclass(frozen=True)
class CellMap:
    """Cells on a map.

    Parameters
    ----------
    request
        What the map is of; ``expression`` gives the same cells in the same order.
    obs
        One row a cell: perturbation, source, split, QC values and verdict.
    positions
        (n_cells, 2).
    mixing
        ``neighbour_mixing`` of observed and artifact-off cells; None where one is missing.
    explained
        Of PCA, the share of variance along each axis, (2,).
    """

    request: MapRequest
    obs: pd.DataFrame
    positions: npt.NDArray[np.float32]
    mixing: float | None
    explained: npt.NDArray[np.float32] | None = None

    @property
    def axes(self) -> tuple[str, str]:
        """Titles of the axes."""
        method, shares = self.request.method, self.explained
        told = (
            ("", "") if shares is None else [f" ({100 * s:.1f} % of the variance)" for s in shares]
        )
        return f"{method} 1{told[0]}", f"{method} 2{told[1]}"


def at_hand(request: MapRequest) -> bool:
    """Whether the map was computed before, so that showing it takes no time."""
    return map_store.find(map_name(request)) is not None


def map_name(request: MapRequest) -> str:
    """Name of the map of a request: its settings, and the content of its dataset and run."""
    source, run_path = request.source, request.run_path
    return map_store.key(
        request[2:],
        None if source is None else store.hash_of(source),
        None if run_path is None else store.fingerprint(run_path),
    )


@st.cache_resource(max_entries=6, show_spinner="Computing the map …", show_time=True)
def cell_map(request: MapRequest) -> CellMap:
    """Cells of a request on two axes, jointly for observed and generated cells."""
    name = map_name(request)
    stored = map_store.read(name)
    if stored is None:
        stored = computed(request)
        map_store.write(name, stored)
    return CellMap(request, *stored)


def prepare(request: MapRequest, tell: Tell) -> None:
    """Compute and keep a map, saying how far it is; ``cell_map`` then finds it."""
    map_store.write(map_name(request), computed(request, tell))


def computed(request: MapRequest, tell: Tell = lambda _share, _words: None) -> map_store.Stored:
    """The map of a request, computed now."""
    for number, label in enumerate(asked := _asked(request)):
        tell(0.4 * number / len(asked), f"Generating cells: {number + 1} of {len(asked)}")
        _cells_with(request, label)
    tell(0.4, "Reading the cells")
    adata = expression(request)
    source = adata.obs["source"].astype(str).to_numpy()
    fitted_on = source == "observed" if request.basis == "observed cells" else source != ""
    tell(0.5, f"Principal components of {adata.n_obs:,} cells")
    components, shares = principal_components(adata.X, request.seed, fitted_on)
    tell(0.6, f"{request.method} of {adata.n_obs:,} cells, from seconds to a minute")
    placed = positions(
        components, request.method, request.seed,
        fitted_on=fitted_on, numba_cache=map_store.folder() / "numba",
    )  # fmt: skip
    tell(0.9, "How well observed and generated cells mix")
    pair = np.isin(source, ["observed", "artifact off"])
    mixing = neighbour_mixing(components[pair], source[pair])
    explained = shares[:2] if request.method == "PCA" else None
    return map_store.Stored(adata.obs.reset_index(drop=True), placed, mixing, explained)


def check_basis(request: MapRequest) -> None:
    """Refuse a map that cannot be made (InputError)."""
    if request.basis == "all cells":
        return
    if request.method == "t-SNE":
        raise InputError(
            "t-SNE cannot place further cells on a map.",
            "a map fitted on observed cells, with generated ones to project.",
            "Choose UMAP or PCA, or fit the map on all cells.",
        )
    if request.source is None or request.n_observed < 2 * N_NEIGHBOURS:
        raise InputError(
            "There are too few observed cells to fit a map on.",
            f"{request.n_observed} of at least {2 * N_NEIGHBOURS}.",
            "Show more observed cells, or fit the map on all cells.",
        )


@st.cache_resource(max_entries=2, show_spinner="Reading and generating the cells …")
def expression(request: MapRequest) -> AnnData:
    """The cells of a map; X holds log2(1 + 1e4·x/library size), CSR."""
    return _expression(_gathered(request))


def genes(request: MapRequest) -> list[str]:
    """Genes of the cells of a map."""
    if request.run_path is not None:
        return list(store.run_at(request.run_path).genes)
    return [str(gene) for gene in store.cells_of(str(request.source)).var_names]


def observed_names(request: MapRequest) -> pd.Index:
    """Names of the observed cells of a map, which are its first rows."""
    if request.source is None or request.n_observed == 0:
        return pd.Index([])
    names: pd.Index = store.cells_of(request.source).obs_names
    return names[_observed_rows(request)]


def n_available(request: MapRequest) -> int:
    """Observed cells of the perturbations of a map, drawn or not."""
    if request.source is None:
        return 0
    return int(_labels(request).isin(request.perturbations).sum())


def within_limit(
    n_observed: int, n_generated: int, n_groups: int, limit: int = MAX_POINTS
) -> tuple[int, int]:
    """Numbers of cells that fit on a map, both sides reduced alike where they do not.

    Parameters
    ----------
    n_observed
        Observed cells, in all.
    n_generated
        Generated cells of each of the ``n_groups`` perturbations and artifact states.
    n_groups
        Groups of generated cells.
    limit
        Most points of a map: a lasso sends each of them back to the server.

    Returns
    -------
    n_observed, n_generated
    """
    share = min(1.0, limit / max(1, n_observed + n_generated * n_groups))
    return int(n_observed * share), int(n_generated * share)


def _gathered(request: MapRequest) -> AnnData:
    import anndata as ad

    parts = [part for part in (_observed(request), *_generated(request)) if part is not None]
    if "true_artifact" in parts[0].obs:
        for part in parts[1:]:
            part.obs["true_artifact"] = "generated"
    return ad.concat(
        parts, join="inner", index_unique="-", keys=[str(i) for i in range(len(parts))]
    )


def _labels(request: MapRequest) -> pd.Series:
    return pd.Series(store.cells_of(str(request.source)).obs["perturbation"].astype(str))


def _observed_rows(request: MapRequest) -> pd.Index:
    """Row numbers of the observed cells, every perturbation in proportion."""
    labels = _labels(request).to_numpy()
    chosen = np.flatnonzero(np.isin(labels, request.perturbations))
    return thin(pd.DataFrame({"label": labels[chosen]}, index=chosen), "label",
                request.n_observed).index  # fmt: skip


def _observed(request: MapRequest) -> AnnData | None:
    if request.source is None or request.n_observed == 0:
        return None
    adata = store.cells_of(request.source)
    rows = _observed_rows(request)
    if request.run_path is None:
        part = adata[rows].copy()
        values = observed_metrics.of(request.source, None).values.iloc[rows]
    else:
        run = store.run_at(request.run_path)
        part = adata[rows, list(run.genes)].copy()
        values = judge_generated(part, run.thresholds)
        part.obs["split"] = run.split.reindex(part.obs_names).to_numpy()
    part.obs[values.columns] = values
    part.obs["source"] = "observed"
    return part


def _asked(request: MapRequest) -> list[str]:
    """Perturbations that cells are generated of."""
    if request.run_path is None or request.n_generated == 0:
        return []
    return list(filter(store.run_at(request.run_path).design.expresses, request.perturbations))


def _cells_with(request: MapRequest, label: str) -> AnnData:
    switch: generation.Switch = "twins" if request.artifact else "off"
    return generation.cells(
        str(request.run_path), label, request.n_generated, switch, request.seed, None
    )


def _generated(request: MapRequest) -> list[AnnData]:
    parts = []
    for label in _asked(request):
        part = _cells_with(request, label).copy()
        part.obs["source"] = part.obs["artifact"].astype(str).map(generation.SOURCES)
        part.obs["split"] = "generated"
        parts.append(part)
    return parts


def _expression(adata: AnnData) -> AnnData:
    sizes = adata.obs["library_size"].to_numpy(np.float64)
    adata.X = log2_expression(adata.X, sizes).astype(np.float32)
    adata.layers.clear()
    adata.obs = adata.obs[[c for c in COLUMNS if c in adata.obs]]
    return adata

"""Doublet calls by Scrublet, for one batch and one group of cells at a time.

The `scrublet` package is used, not `scanpy.pp.scrublet`: the two agree on calls but hardly on
scores (rank correlation 0.49), so one has to be chosen for everything. This one needs no numba
compilation (up to a minute at the first call), does not depend on the version of pynndescent,
keeps every cell, and normalises by the totals that it is given, here the full-transcriptome
library size. Neighbours are searched exactly: as fast up to `MAX_CELLS`, and the approximate
search depends on the number of processor cores.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from cradle.data.cell_source import take_rows

if TYPE_CHECKING:
    from anndata import AnnData

MIN_GENES = 50
MAX_COMPONENTS = 30
# One droplet lane holds about as many cells. Scrublet needs 1 GB for them, and grows linearly.
MAX_CELLS = 10_000
# Smoothing finds a "minimum" in many a score that has one mode: in its far tail (0.1 % of the
# simulated doublets beyond it, Papalexi's panel), or, in alike cells, where as many observed cells
# as simulated doublets lie beyond it (up to 85 % of 100 cells called, of one simulated type).
MIN_MODE_SHARE = 0.01
# Starting a process takes as long as scoring about this many cells.
MIN_CELLS_APART = 2_000
MAX_DOUBLET_RATE = 0.5


_Block = tuple[sparse.csc_matrix, NDArray[np.float64], int]
_Scored = tuple[NDArray[np.float64], float | None, int, str]


@dataclass(frozen=True)
class DoubletRun:
    """One run of Scrublet.

    Attributes
    ----------
    cells
        Which cells, in words.
    reference
        Whether these cells are training and validation cells.
    n_cells, n_genes
        Cells, and genes that Scrublet kept.
    threshold
        Automatic threshold of the doublet score, or None where it is not measurable.
    reason
        Why it is not measurable, a sentence; empty where it is.
    """

    cells: str
    reference: bool
    n_cells: int
    n_genes: int
    threshold: float | None
    reason: str = ""


@dataclass(frozen=True)
class DoubletCalls:
    """Doublet calls of all cells.

    Attributes
    ----------
    values
        Indexed by cell: `doublet_score` (0 to 1) and `doublet` (0 or 1), NaN where not measurable.
    runs
        One entry per run of Scrublet.
    """

    values: pd.DataFrame
    runs: tuple[DoubletRun, ...]

    @property
    def deciding(self) -> tuple[DoubletRun, ...]:
        """The runs of the reference cells; all runs where there are none."""
        return tuple(run for run in self.runs if run.reference) or self.runs

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Score thresholds of the deciding runs."""
        return tuple(run.threshold for run in self.deciding if run.threshold is not None)

    @property
    def reason(self) -> str:
        """Why no deciding cell could be judged; empty where some could."""
        if self.thresholds:
            return ""
        if not self.runs:
            return "There are no cells."
        first, *others = self.deciding
        if not others:
            return first.reason
        return f"{first.cells}: {first.reason} The other {len(others)} runs failed likewise."

    @property
    def source(self) -> str:
        """How the calls were made, and for which cells they could not be made."""
        scores = ", ".join(f"{score:.3g}" for score in self.thresholds)
        text = f"Scrublet's automatic call, score above {scores}"
        failed = [run for run in self.runs if run.threshold is None]
        if not failed:
            return text
        example = f"{failed[0].cells}: {failed[0].reason}"
        return f"{text}; {len(failed)} of {len(self.runs)} runs not measurable ({example})"


def call_doublets(
    adata: AnnData, *, seed: int = 0, reference_cells: NDArray[np.bool_] | None = None
) -> DoubletCalls:
    """Call doublets with Scrublet, batch by batch.

    Training and validation cells run together, the cells of every other split apart from them, so
    that no test cell influences a training cell. Cells are put in the order of their names first:
    the order in the file does not matter. Batches above `MAX_CELLS` are cut at random into equal
    parts.

    Parameters
    ----------
    adata
        Standard form: counts in `X`, `obs` with `library_size`, optionally `batch` and `split`.
    seed
        For the simulated doublets, the principal components and the parts of large batches.
    reference_cells
        Mask of the cells that run together as training and validation cells, (n_cells,).
        Default: from `obs["split"]`, else all cells.

    Returns
    -------
    DoubletCalls
        Not measurable, with the reason, where fewer than 50 genes are usable, the cells are too
        few, or the scores of simulated doublets have no two modes.
    """
    values = pd.DataFrame(np.nan, index=adata.obs_names, columns=["doublet_score", "doublet"])
    counts = adata.X.tocsr() if sparse.issparse(adata.X) else adata.X
    totals = adata.obs["library_size"].to_numpy(dtype=np.float64)
    runs, groups = [], list(_groups(adata, reference_cells, seed))
    blocks = ((sparse.csc_matrix(take_rows(counts, rows), dtype=np.float64), totals[rows], seed)
              for _, _, rows in groups)  # fmt: skip
    scored = _side_by_side(blocks, [len(rows) for _, _, rows in groups])
    for (name, reference, rows), found in zip(groups, scored, strict=True):
        scores, threshold, n_genes, reason = found
        runs.append(DoubletRun(name, reference, len(rows), n_genes, threshold, reason))
        if threshold is not None:
            values.iloc[rows, 0] = scores
            values.iloc[rows, 1] = (scores > threshold).astype(np.float64)
    return DoubletCalls(values, tuple(runs))


def _side_by_side(blocks: Iterator[_Block], sizes: Sequence[int]) -> Iterator[_Scored]:
    """Score the runs in order, several at a time where that pays for starting processes.

    In processes: Scrublet seeds the one random generator that all threads share.
    """
    n_processes = min(_cores(), sum(size >= MIN_CELLS_APART for size in sizes))
    if n_processes < 2:
        return (_scrublet(*block) for block in blocks)
    from joblib import Parallel, delayed

    several = Parallel(n_jobs=n_processes, pre_dispatch=n_processes, return_as="generator")
    return iter(several(delayed(_scrublet)(*block) for block in blocks))


def _cores() -> int:
    """Cores that this process may use: a cluster grants it fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups(
    adata: AnnData, reference_cells: NDArray[np.bool_] | None, seed: int
) -> Iterator[tuple[str, bool, NDArray[np.intp]]]:
    """Yield (name, whether reference, cell positions) of each run."""
    name, reference = _apart(adata.obs, reference_cells)
    in_order = np.argsort(adata.obs_names.to_numpy(dtype=str), kind="stable")
    groups = pd.DataFrame({"name": name, "reference": reference}, index=adata.obs_names)
    if "batch" in adata.obs:
        groups["name"] += ", batch " + adata.obs["batch"].astype(str)
    for label in sorted(set(groups["name"])):
        chosen = (groups["name"] == label).to_numpy()
        rows = in_order[chosen[in_order]]
        n_parts = -(-len(rows) // MAX_CELLS)
        part = np.random.default_rng(seed).permutation(np.arange(len(rows)) % n_parts)
        for i in range(n_parts):
            suffix = f", part {i + 1} of {n_parts}" if n_parts > 1 else ""
            yield label + suffix, bool(groups["reference"].to_numpy()[chosen][0]), rows[part == i]


def _apart(
    obs: pd.DataFrame, reference_cells: NDArray[np.bool_] | None
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Name the group of each cell, and mark the reference cells."""
    if reference_cells is None and "split" not in obs:
        return np.full(len(obs), "all cells", dtype=object), np.ones(len(obs), dtype=bool)
    if "split" in obs:
        names = (obs["split"].astype(str) + " cells").to_numpy(dtype=object)
        reference = obs["split"].isin(["train", "val"]).to_numpy()
    else:
        names = np.full(len(obs), "other cells", dtype=object)
    if reference_cells is not None:
        reference = np.asarray(reference_cells, dtype=bool)
    names[reference] = "training and validation cells"
    return names, reference


def _scrublet(counts: sparse.csc_matrix, totals: NDArray[np.float64], seed: int) -> _Scored:
    """Score the cells of one run: (scores, threshold or None, genes kept, reason)."""
    random_state = np.random.get_state()  # noqa: NPY002  Scrublet seeds the global generator
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own, on deprecated matrix types
            import scrublet

            scrub = scrublet.Scrublet(counts, total_counts=totals, random_state=seed)
            n_genes = _usable_genes(scrub)
            n_components = min(MAX_COMPONENTS, n_genes - 1)
            reason = _too_small(n_genes, counts.shape[0], n_components)
            if reason:
                return np.empty(0), None, n_genes, reason
            scrub.scrub_doublets(
                n_prin_comps=n_components, use_approx_neighbors=False, verbose=False
            )
    finally:
        np.random.set_state(random_state)  # noqa: NPY002
    threshold, reason = _automatic_threshold(scrub)
    return scrub.doublet_scores_obs_, threshold, n_genes, reason


def _usable_genes(scrub: Any) -> int:
    """Count the genes that Scrublet's own filter keeps."""
    from scrublet import helper_functions as steps

    steps.pipeline_normalize(scrub)
    expressed = np.asarray((scrub._E_obs_norm >= 3).sum(axis=0)).ravel() >= 3
    if expressed.sum() < MIN_GENES:  # too few for its fit of the mean-variance trend
        return int(expressed.sum())
    steps.pipeline_get_gene_filter(scrub)
    return len(scrub._gene_filter)


def _too_small(n_genes: int, n_cells: int, n_components: int) -> str:
    if n_genes < MIN_GENES:
        return f"Only {n_genes} genes are usable for Scrublet; at least {MIN_GENES} are needed."
    if n_cells <= n_components:
        return f"Only {n_cells} cells; Scrublet needs more than {n_components}."
    return ""


def _automatic_threshold(scrub: Any) -> tuple[float | None, str]:
    """Scrublet's own threshold, unless what it separates cannot be single cells and doublets."""
    if scrub.predicted_doublets_ is None:
        return None, "The scores of simulated doublets have no two modes: no automatic threshold."
    threshold = float(scrub.threshold_)
    detectable = float(scrub.detectable_doublet_fraction_)
    if not MIN_MODE_SHARE <= detectable <= 1 - MIN_MODE_SHARE:
        return None, (
            "The scores of simulated doublets have no two modes: "
            f"{detectable:.2%} of them lie above the automatic threshold."
        )
    if scrub.overall_doublet_rate_ > MAX_DOUBLET_RATE:
        return None, (
            "The scores do not tell doublets from single cells: "
            f"{scrub.detected_doublet_rate_:.0%} of the cells and {detectable:.0%} of the "
            "simulated doublets lie above the automatic threshold."
        )
    return threshold, ""

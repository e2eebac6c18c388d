"""Sufficient statistics of expression per group of cells, and the effects observed in them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from cradle.data.schema import CONTROL
from cradle.errors import InputError
from cradle.evaluation import shared_noise
from cradle.evaluation.cell_groups import add_by_group, cell_keys
from cradle.evaluation.effects import Effects, variance_with_control
from cradle.evaluation.pooling import GroupIndex, Pooled, pool_groups
from cradle.evaluation.strata import Batches, batch_offsets, batches_of, merged

if TYPE_CHECKING:
    from anndata import AnnData

SCORED_SPLITS = ("train", "val", "test")
MIN_CELLS = 30
SCALE = 1e4
GROUP_KEYS = ["perturbation", "split", "half", "qc_fail"]
#: Of the groups; the keys of cells are small codes.
_TYPES = {"perturbation": str, "split": str, "half": np.int64, "batch": str}

Side = Literal["all", "passing"]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Moments of log2(1 + 1e4·x/library size) in disjoint groups of cells.

    Parameters
    ----------
    groups
        One row a group: perturbation, split, half (0 or 1, random), qc_fail, n_cells.
    genes
        Symbols of the columns.
    mean, m2
        Mean and sum of squared deviations per group, (n_groups, n_genes), float32.
    batches
        Those whose own controls cells were compared with; None where there are none.
    residuals
        Of some cells from the mean of their perturbation, `standardized`, (n_cells, n_genes); None
        in files of earlier versions.
    """

    groups: pd.DataFrame
    genes: tuple[str, ...]
    mean: npt.NDArray[np.float32]
    m2: npt.NDArray[np.float32]
    batches: Batches | None = None
    residuals: shared_noise.Residuals | None = None

    def noise(self, n: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Noise of means of cells, in standard errors, (n, n_genes)."""
        return shared_noise.draws(self.residuals, n, len(self.genes), rng)

    def pool(
        self, splits: Collection[str] | None = None, halves: Collection[int] | None = None,
        passing_only: bool = False, labels: Collection[str] | None = None,
    ) -> Pooled:  # fmt: skip
        """Moments per perturbation over the chosen groups (None: train, val and test; both halves).

        Exact: the pooled moments are those of the cells themselves (Chan et al. 1979).
        """
        rows = self._rows(splits, halves, passing_only, labels)
        return pool_groups(self.mean, self.m2, self._index, rows)

    def n_cells(
        self, splits: Collection[str], passing_only: bool, labels: Collection[str] | None = None
    ) -> dict[str, int]:
        """Cells per perturbation in the chosen groups, in the order of ``pool``."""
        rows = self._rows(splits, None, passing_only, labels)
        _, found, n = self._index.labelled(rows)
        return dict(zip(found, n.tolist(), strict=True))

    def batch_shares(
        self, splits: Collection[str], halves: Collection[int] | None, passing_only: bool,
        labels: Collection[str] | None = None,
    ) -> FloatArray:  # fmt: skip
        """Share of the cells of each label of ``pool`` in each of ``batches``."""
        assert self.batches is not None
        rows = self._rows(splits, halves, passing_only, labels)
        codes, found, n = self._index.labelled(rows)
        cells = np.zeros((len(found), self.batches.cells.shape[1]))
        np.add.at(cells, codes, self.batches.cells[rows])
        return np.asarray(cells / n[:, None])

    def _rows(
        self, splits: Collection[str] | None, halves: Collection[int] | None, passing_only: bool,
        labels: Collection[str] | None,
    ) -> npt.NDArray[np.intp]:  # fmt: skip
        wanted = SCORED_SPLITS if splits is None else splits
        return self._index.rows(wanted, halves, passing_only, labels)

    @cached_property
    def _index(self) -> GroupIndex:
        return GroupIndex(self.groups)

    def save(self, path: Path) -> None:
        """Write one safetensors file; the groups and genes travel in its JSON header."""
        from cradle.evaluation.storage import save_moments

        save_moments(self, path)

    @classmethod
    def load(cls, path: Path) -> Moments:
        """Read what `save` wrote (InputError when the file is not such a file)."""
        from cradle.evaluation.storage import load_moments

        return load_moments(path)


def compute_moments(adata: AnnData, *, seed: int = 0, chunk_size: int = 4096) -> Moments:
    """Moments of every (perturbation, split, half, qc_fail) group of a standard dataset.

    In a screen with batches each cell is first compared with the training controls of its own
    batch (`batch_offsets`), so that every effect is stratified by batch (SPEC 7).

    Parameters
    ----------
    adata
        Counts in X (CSR or dense, read `chunk_size` rows at a time), obs perturbation, split,
        qc_fail and library_size (counts per cell over the full transcriptome).
    seed
        Of the halves, which are balanced within each perturbation, split and QC flag, and do
        not depend on the order of the cells.
    """
    keys = cell_keys(adata, seed)
    grouped = keys.groupby([*GROUP_KEYS, "batch"], observed=True, sort=True)
    group = grouped.ngroup().to_numpy()
    groups = grouped.size().rename("n_cells").reset_index().astype(_TYPES)
    del keys, grouped
    totals, squares = np.zeros((2, len(groups), adata.n_vars))
    some, kept = shared_noise.sampled_cells(adata.obs_names.to_numpy(), seed), []
    library_size = adata.obs["library_size"].to_numpy(np.float64)
    for start in range(0, adata.n_obs, chunk_size):
        rows = slice(start, start + chunk_size)
        expression = log2_expression(adata.X[rows], library_size[rows])
        add_by_group(totals, expression, group[rows])
        add_by_group(squares, expression.multiply(expression), group[rows])
        kept.append(expression[some[(some >= start) & (some < rows.stop)] - start].toarray())
    n = groups["n_cells"].to_numpy()[:, None]
    # in place: each of these arrays has a number for every group and gene
    mean, m2 = np.divide(totals, n, out=totals), squares
    m2 -= n * mean**2
    np.maximum(m2, 0.0, out=m2)
    batches = batches_of(groups, GROUP_KEYS, mean, m2, CONTROL)
    offsets = batch_offsets(groups, mean, CONTROL)
    mean -= offsets
    kept_of = group[some].astype(np.intp)
    own = shared_noise.mean_of_perturbation(groups, mean, kept_of)
    residuals = shared_noise.standardized(np.concatenate(kept) - offsets[kept_of] - own)
    groups, mean, m2 = merged(groups, GROUP_KEYS, mean, m2)
    genes = tuple(str(gene) for gene in adata.var_names)
    means = mean.astype(np.float32), m2.astype(np.float32)
    return Moments(groups, genes, *means, batches, residuals)


def log2_expression(counts: object, library_size: FloatArray) -> sp.csr_matrix:
    """log2(1 + 1e4·x/library size) of a block of cells, (n_cells, n_genes), sparse float64."""
    block = sp.csr_matrix(counts, dtype=np.float64, copy=True)
    per_entry = np.repeat(SCALE / library_size, np.diff(block.indptr))
    block.data = np.log2(1.0 + block.data * per_entry)
    return block


def observed_effects(
    moments: Moments,
    split: str = "all",
    side: Side = "all",
    control_half: int | None = None,
    treated_half: int | None = None,
    pooled_variance: bool = False,
) -> Effects:
    """Mean of each perturbation minus the mean of control, with its standard error.

    Parameters
    ----------
    split
        "train", "val", "test", or "all" for the three together.
    side
        Every cell, or the QC-passing ones.
    control_half, treated_half
        Only one random half of the control (treated) cells.
    pooled_variance
        Whether standard errors are those of `variance_with_control`, for what is judged by them
        one by one; sums of their squares need the unbiased ones.

    Notes
    -----
    Control is that of the split when it has at least 30 cells, else every control cell
    (`control_splits`). se² = var_t/n_t + var_c/n_c, SPEC 7; with batches also the error of their
    own controls, as far as treated and control cells lie in other batches: Σ_b (share of t − share
    of c)² var_b/n_b.
    """
    passing = side == "passing"
    pooled = moments.pool(_splits(split), _half(treated_half), passing)
    control = pooled_control(moments, split, side, control_half)
    treated = [i for i, label in enumerate(pooled.labels) if label != CONTROL]
    n = pooled.n[treated]
    spread = pooled.var[treated]
    if pooled_variance:
        spread = variance_with_control(spread, n, control.var, control.n)
    variance = spread / n[:, None] + control.var / control.n
    if moments.batches is not None:
        shares = moments.batch_shares(_splits(split), _half(treated_half), passing)[treated]
        theirs = control_splits(moments, split, side)
        own = moments.batch_shares(theirs, _half(control_half), passing, [CONTROL])
        variance += (shares - own) ** 2 @ moments.batches.error
    return Effects(
        perturbations=tuple(pooled.labels[i] for i in treated),
        genes=moments.genes,
        mean=pooled.mean[treated] - control.mean,
        se=np.sqrt(variance),
        n_cells=n,
    )


def control_splits(moments: Moments, split: str, side: Side = "all") -> tuple[str, ...]:
    """Splits whose control cells stand against this split's perturbations (the rule of 30)."""
    own = _splits(split)
    n_control = moments.n_cells(own, side == "passing", [CONTROL]).get(CONTROL, 0)
    return own if n_control >= MIN_CELLS else SCORED_SPLITS


def pooled_control(
    moments: Moments, split: str, side: Side = "all", half: int | None = None
) -> Pooled:
    """The control group of a split as one row (InputError when there is no control cell)."""
    splits = control_splits(moments, split, side)
    control = moments.pool(splits, _half(half), side == "passing", [CONTROL])
    if not control.labels:
        raise InputError(
            "There is no control cell to compare with.",
            f"{int(moments.groups['n_cells'].sum())} cells, side={side}, none labelled control.",
            "Label the unperturbed cells `control`, or score all cells.",
        )
    return control


def _splits(split: str) -> tuple[str, ...]:
    return SCORED_SPLITS if split == "all" else (split,)


def _half(half: int | None) -> tuple[int, ...] | None:
    return None if half is None else (half,)

"""Counterparts: cells of the same perturbation and split in the opposite QC state."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from cradle.data.cell_source import SomeRows

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CounterfactualIndex:
    """Which training cells are the counterfactual reference of which.

    Parameters
    ----------
    members
        Cells of each group, a group being one perturbation in one QC state.
    label, artifact
        Perturbation code and QC state (1 = failed) of each group, ``(n_groups,)``.
    row
        Group that each training cell is compared with, ``(n_cells,)``; -1 = none.
    """

    members: tuple[IntArray, ...]
    label: IntArray
    artifact: npt.NDArray[np.float32]
    row: IntArray

    @property
    def weight(self) -> float:
        """Training cells per cell with a counterpart; fixed before training starts."""
        n_eligible = int((self.row >= 0).sum())
        return len(self.row) / n_eligible if n_eligible else 0.0

    def medians(
        self, counts: sp.csr_matrix | SomeRows, *, max_cells: int, generator: np.random.Generator
    ) -> sp.csr_matrix:
        """Per-gene median profile of every group, ``(n_groups, n_genes)``, counts.

        Parameters
        ----------
        counts
            Training cells, ``(n_cells, n_genes)``.
        max_cells
            Groups with more cells are represented by as many, drawn by ``generator``.
        """
        profiles = []
        for cells in self.members:
            if len(cells) > max_cells:
                cells = np.sort(generator.choice(cells, max_cells, replace=False))
            profiles.append(_median(counts[cells]))
        return sp.vstack(profiles, format="csr", dtype=np.float32)


def build_index(
    label: IntArray, artifact: npt.NDArray[np.float32], *, both_directions: bool = False
) -> CounterfactualIndex:
    """Index over training cells (Baek 2025, "Artifact disentanglement").

    Parameters
    ----------
    label
        Perturbation code of each training cell, ``(n_cells,)``.
    artifact
        QC state of each training cell, ``(n_cells,)``, 1 = failed.
    both_directions
        Also give QC-failed cells a counterpart, as the published code does.
    """
    failed = artifact > 0
    row = np.full(len(label), -1, dtype=np.int64)
    members: list[IntArray] = []
    labels: list[int] = []
    states: list[int] = []
    # one sort brings the cells of a label together, passing ones first, each in their order
    order = np.lexsort((failed, label))
    codes, n_cells = np.unique(label, return_counts=True)
    for code, end, n in zip(codes, n_cells.cumsum(), n_cells, strict=True):
        cells = order[end - n : end]
        of_state = np.split(cells, [n - failed[cells].sum()])
        for state in (1, 0) if both_directions else (1,):
            there, here = of_state[state], of_state[1 - state]
            if len(there) and len(here):
                row[here] = len(members)
                members.append(there)
                labels.append(int(code))
                states.append(state)
    return CounterfactualIndex(
        tuple(members), np.array(labels, np.int64), np.array(states, np.float32), row
    )


def _median(counts: sp.csr_matrix) -> sp.csr_matrix:
    """Median of each column, one sparse row.

    Only a gene that is non-zero in at least half of the cells can have a median above
    zero, so only those columns are ever made dense.
    """
    n_cells, n_genes = counts.shape
    frequent = np.flatnonzero(2 * counts.getnnz(axis=0) >= n_cells)
    profile = np.zeros(n_genes, dtype=np.float32)
    profile[frequent] = np.median(counts[:, frequent].toarray(), axis=0)
    return sp.csr_matrix(profile)

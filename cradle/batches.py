"""What passes between data and models: minibatches and the sizes that networks are built from.

Shapes: ``n`` cells, ``m`` groups of counterparts, ``G`` genes, ``T`` perturbed genes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


class Conditions(NamedTuple):
    """What is known of a cell apart from its counts."""

    dosage: Tensor  # (n, T), 1 where the gene is perturbed; rows of controls are zero
    artifact: Tensor  # (n, 1), 1 = QC-failed
    library_size: Tensor  # (n, 1), counts over the full transcriptome
    group: Tensor | None = None  # (n,), below n; cells of one group have equal dosages

    def at(self, rows: Tensor) -> Conditions:
        """The same of some cells, which may be in another order."""
        group = None if self.group is None else self.group[rows]
        return Conditions(self.dosage[rows], self.artifact[rows], self.library_size[rows], group)

    def by_group(self) -> tuple[Tensor, Tensor] | None:
        """Dosages that occur, ``(m, T)``, and which of them each cell has, ``(n,)``; None where
        groups are not known."""
        if self.group is None:
            return None
        m = int(self.group.max()) + 1 if len(self.group) else 0
        # equal rows are written over each other
        dosage = self.dosage.new_zeros(m, self.dosage.shape[1])
        return dosage.index_copy(0, self.group, self.dosage), self.group


class Counterparts(NamedTuple):
    """Median profiles of the cells of the opposite QC state, one row a group in the batch."""

    counts: Tensor  # (m, G), counts
    dosage: Tensor  # (m, T)
    artifact: Tensor  # (m, 1), QC state of the cells behind the profile
    row: Tensor  # (n,), row of each cell's counterpart; -1 = the cell has none
    weight: float  # training cells per cell with a counterpart


class CellBatch(NamedTuple):
    """A minibatch."""

    counts: Tensor  # (n, G)
    conditions: Conditions
    counterparts: Counterparts | None = None


@dataclass(frozen=True)
class DataShape:
    """Sizes and statistics of the training cells that a network is built from."""

    n_genes: int
    n_perturbations: int
    log1p_mean: Tensor  # (G,), mean of log(1 + counts)
    log1p_sd: Tensor  # (G,)
    mean_profile: Tensor  # (G,), mean share of the library; sums to less than 1 on a panel
    #: (1 + kinds, G + 1), counts of QC-passing cells and of failed ones by what they fail; the
    #: last column is the rest of the transcriptome. Where training starts, not kept with a run.
    counts_by_quality: Tensor | None = None
    #: (T,), share of the training cells in which each gene is perturbed; not kept either.
    perturbed_share: Tensor | None = None

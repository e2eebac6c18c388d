"""From a standard dataset to minibatches; counts stay sparse until a batch is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytorch_lightning as lightning
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cradle.batches import CellBatch, Conditions, Counterparts, DataShape
from cradle.data.cell_source import CellSource, SomeRows, cell_source, row_blocks
from cradle.data.counterfactuals import CounterfactualIndex, build_index
from cradle.data.dosage import Design
from cradle.data.failed_kinds import failed_kinds
from cradle.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData


#: Cells of the validation ELBO, whose cost then does not grow with the screen.
MAX_VALIDATION = 4096


@dataclass(frozen=True)
class Cells:
    """Arrays of one set of cells, in the order of the dataset."""

    counts: sp.csr_matrix | SomeRows  # (n_cells, n_genes), float32
    label: npt.NDArray[np.int64]  # (n_cells,), code of the perturbation
    artifact: npt.NDArray[np.float32]  # (n_cells,), 1 = QC-failed
    library_size: npt.NDArray[np.float32]  # (n_cells,), counts
    dosage: Tensor  # (n_labels, n_columns of the design), one row a label
    kind: npt.NDArray[np.int64] | None = None  # (n_cells,), of `failed_kinds`, where it is known

    @classmethod
    def from_anndata(
        cls,
        adata: AnnData,
        labels: Sequence[str],
        design: Design,
        *,
        rows: npt.NDArray[np.integer[Any]] | None = None,
        source: CellSource | None = None,
    ) -> Cells:
        """Cells of a standard dataset with ``qc_fail``; their counts are not copied.

        Parameters
        ----------
        labels
            Give the codes of the perturbations.
        rows
            Which cells, and in which order; all by default.
        source
            Of the counts, where it is open already.
        """
        rows = np.arange(adata.n_obs) if rows is None else rows
        code = {label: i for i, label in enumerate(labels)}
        obs = adata.obs
        return cls(
            SomeRows(cell_source(adata) if source is None else source, rows),
            obs["perturbation"].iloc[rows].map(code).to_numpy(np.int64),
            obs["qc_fail"].iloc[rows].to_numpy(np.float32),
            obs["library_size"].iloc[rows].to_numpy(np.float32),
            torch.from_numpy(design.rows(labels)),
            failed_kinds(obs, rows),
        )

    def __len__(self) -> int:
        return len(self.label)

    def at(self, index: npt.NDArray[np.int64]) -> Cells:
        """Some of the cells, their counts in memory."""
        return replace(
            self,
            counts=self.counts[index],
            label=self.label[index],
            artifact=self.artifact[index],
            library_size=self.library_size[index],
            kind=None if self.kind is None else self.kind[index],
        )

    def conditions(self, index: npt.NDArray[np.int64]) -> Conditions:
        """What is known of these cells."""
        labels, group = np.unique(self.label[index], return_inverse=True)
        return Conditions(
            self.dosage[torch.from_numpy(labels[group])],
            torch.from_numpy(self.artifact[index, None]),
            torch.from_numpy(self.library_size[index, None]),
            torch.from_numpy(group),
        )

    def shape(self) -> DataShape:
        """Statistics that networks are built from, over these cells."""
        n = len(self)
        total, square = np.zeros((2, self.counts.shape[1]))
        kind = self.artifact.astype(np.int64) if self.kind is None else self.kind
        by_kind = np.zeros((kind.max(initial=0) + 1, self.counts.shape[1]))
        for rows, block in row_blocks(self.counts):
            of_kind = kind[rows] == np.arange(len(by_kind))[:, None]
            by_kind += (sp.csr_matrix(of_kind, dtype=np.float64) @ block).toarray()
            log1p = block.astype(np.float64).log1p()
            total += np.asarray(log1p.sum(axis=0)).ravel()
            square += np.asarray(log1p.power(2).sum(axis=0)).ravel()
        mean = total / n
        sd = np.sqrt(np.clip(square / n - mean**2, 0, None) * n / max(n - 1, 1))
        # a gene that never varies in training carries no information; leave it at zero
        sd[sd < 1e-3] = 1.0
        sizes = np.bincount(kind, self.library_size, len(by_kind))
        share = by_kind.sum(axis=0) / sizes.sum()
        rest = np.clip(sizes - by_kind.sum(axis=1), 0, None)
        found = (mean, sd, share, np.column_stack([by_kind, rest]))
        of_label = np.bincount(self.label, minlength=len(self.dosage)).astype(np.float32)
        perturbed = of_label @ self.dosage.numpy() / n
        as_tensor = [torch.from_numpy(a.astype(np.float32)) for a in (*found, perturbed)]
        return DataShape(self.counts.shape[1], self.dosage.shape[1], *as_tensor)


class CellDataset(Dataset[CellBatch]):
    """Indexed by a whole batch of cells at once; one sparse read, one dense copy."""

    def __init__(self, cells: Cells, index: CounterfactualIndex | None = None):
        self.cells = cells
        self.index = index
        self.profiles: sp.csr_matrix | None = None

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, batch: npt.NDArray[np.int64]) -> CellBatch:
        return CellBatch(
            dense(self.cells.counts[batch]),
            self.cells.conditions(batch),
            self._counterparts(batch) if self.profiles is not None else None,
        )

    def draw_profiles(self, max_cells: int, generator: np.random.Generator) -> None:
        """Draw the median profiles of an epoch; they hold until the next draw."""
        if self.index is not None and self.index.members:
            self.profiles = self.index.medians(
                self.cells.counts, max_cells=max_cells, generator=generator
            )

    def controls(self, max_cells: int, seed: int) -> CellBatch | None:
        """At most ``max_cells`` unperturbed cells in random order; None without one."""
        unperturbed = (self.cells.dosage == 0).all(dim=1).numpy()
        rows = np.flatnonzero(unperturbed[self.cells.label])
        rows = np.random.default_rng([seed, 2]).permutation(rows)[:max_cells]
        if len(rows) == 0:
            return None
        return CellBatch(dense(self.cells.counts[rows]), self.cells.conditions(rows))

    def _counterparts(self, batch: npt.NDArray[np.int64]) -> Counterparts:
        assert self.index is not None
        assert self.profiles is not None
        row = self.index.row[batch]
        groups, local = np.unique(row[row >= 0], return_inverse=True)
        row[row >= 0] = local
        return Counterparts(
            dense(self.profiles[groups]),
            self.cells.dosage[torch.from_numpy(self.index.label[groups])],
            torch.from_numpy(self.index.artifact[groups, None]),
            torch.from_numpy(row),
            self.index.weight,
        )


class BatchSampler(Sampler[npt.NDArray[np.int64]]):
    """Batches of nearly equal size; the order follows from the seed and the epoch alone.

    Of several processes each takes its own cells of every batch.
    """

    def __init__(self, n_cells: int, batch_size: int, seed: int | None):
        self.n_cells, self.seed, self.epoch = n_cells, seed, 0
        self.n_batches = max(1, -(-n_cells // batch_size))
        self.rank, self.n_processes = 0, 1

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[npt.NDArray[np.int64]]:
        order = np.arange(self.n_cells)
        if self.seed is not None:
            np.random.default_rng([self.seed, self.epoch]).shuffle(order)
        for batch in np.array_split(order, self.n_batches):
            yield batch[self.rank :: self.n_processes]

    def size(self, batch: int) -> int:
        """Cells of a batch, those of all processes together."""
        return self.n_cells // self.n_batches + (batch < self.n_cells % self.n_batches)


class CellDataModule(lightning.LightningDataModule):
    """Training cells with their counterfactual index, and validation cells.

    Of more than ``MAX_VALIDATION`` validation cells as many are drawn by the seed, once.
    """

    def __init__(
        self,
        train: Cells,
        val: Cells,
        *,
        batch_size: int,
        seed: int,
        max_counterparts: int,
        both_directions: bool,
    ):
        super().__init__()
        self.seed, self.batch_size, self.max_counterparts = seed, batch_size, max_counterparts
        index = build_index(train.label, train.artifact, both_directions=both_directions)
        self.train_set = CellDataset(train, index)
        if len(val) > MAX_VALIDATION:
            rng = np.random.default_rng([seed, 3])
            val = val.at(np.sort(rng.choice(len(val), MAX_VALIDATION, replace=False)))
        self.val_set = CellDataset(val)
        self.sampler = BatchSampler(len(train), batch_size, seed)
        self.val_sampler = BatchSampler(len(val), batch_size, None)

    def share(self, rank: int, n_processes: int) -> None:
        """Serve one of several processes, which divide every batch among them (InputError)."""
        if n_processes > min(s.n_cells // s.n_batches for s in (self.sampler, self.val_sampler)):
            raise InputError(
                "There are more processes than cells in a batch.",
                f"{n_processes} processes, batches of {self.batch_size} cells.",
                "Use fewer devices or nodes, or a larger batch_size.",
            )
        for sampler in (self.sampler, self.val_sampler):
            sampler.rank, sampler.n_processes = rank, n_processes

    def start_epoch(self, epoch: int) -> None:
        """Order of the cells and counterfactual profiles of this epoch."""
        self.sampler.epoch = epoch
        self.train_set.draw_profiles(
            self.max_counterparts, np.random.default_rng([self.seed, epoch, 1])
        )

    def train_dataloader(self) -> DataLoader[CellBatch]:
        """Shuffled batches of training cells."""
        return _loader(self.train_set, self.sampler)

    def val_dataloader(self) -> DataLoader[CellBatch]:
        """Validation cells in their order."""
        return _loader(self.val_set, self.val_sampler)


def dense(counts: sp.csr_matrix) -> Tensor:
    """A few rows as a float32 tensor."""
    return torch.from_numpy(counts.toarray())


def _loader(cells: CellDataset, sampler: BatchSampler) -> DataLoader[CellBatch]:
    # a generator of its own: a loader draws from the global one each time it starts, which
    # would shift the noise of a resumed run
    return DataLoader(
        cells,
        sampler=sampler,
        batch_size=None,
        collate_fn=_as_it_is,
        generator=torch.Generator(),
    )


def _as_it_is(batch: Any) -> Any:
    return batch

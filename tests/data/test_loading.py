"""Minibatches: every cell once an epoch, the same order for the same seed and epoch."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from cradle.data import loading
from cradle.data.loading import BatchSampler, CellDataModule, Cells


@pytest.fixture
def cells():
    rng = np.random.default_rng(0)
    return Cells(
        sp.csr_matrix(rng.poisson(0.7, (103, 20)).astype(np.float32)),
        rng.integers(0, 4, 103),
        (rng.random(103) < 0.3).astype(np.float32),
        rng.uniform(100, 200, 103).astype(np.float32),
        torch.cat([torch.zeros(1, 3), torch.eye(3)]),
    )


def module(cells, seed=0):
    return CellDataModule(
        cells, cells, batch_size=25, seed=seed, max_counterparts=50, both_directions=False
    )


def test_an_epoch_holds_every_cell_once_in_batches_of_nearly_equal_size():
    batches = list(BatchSampler(103, 25, seed=0))
    assert sorted(np.concatenate(batches)) == list(range(103))
    sizes = [len(b) for b in batches]
    assert max(sizes) <= 25
    assert max(sizes) - min(sizes) <= 1


def test_order_follows_from_seed_and_epoch():
    def order(seed, epoch):
        sampler = BatchSampler(103, 25, seed)
        sampler.epoch = epoch
        return np.concatenate(list(sampler)).tolist()

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)


def test_batches_carry_the_right_cells(cells):
    data = module(cells)
    data.start_epoch(0)
    index = np.array([5, 99, 42])
    batch = data.train_set[index]
    np.testing.assert_array_equal(batch.counts, cells.counts[index].toarray())
    np.testing.assert_array_equal(batch.conditions.dosage, cells.dosage[cells.label[index]])
    np.testing.assert_array_equal(batch.conditions.artifact[:, 0], cells.artifact[index])


def test_groups_of_a_batch_are_the_cells_of_one_dosage(cells):
    conditions = module(cells).train_set[np.arange(40)].conditions
    dosage, of_cell = conditions.by_group()
    np.testing.assert_array_equal(dosage[of_cell], conditions.dosage)
    assert len(dosage) == len(np.unique(cells.label[:40])) == len(np.unique(dosage, axis=0))
    some = conditions.at(torch.tensor([7, 3, 11]))
    np.testing.assert_array_equal(some.by_group()[0][some.group], conditions.dosage[[7, 3, 11]])


def test_counterparts_are_the_median_of_the_failed_cells_of_the_same_label(cells):
    data = module(cells)
    data.start_epoch(0)
    index = np.arange(40)
    there = data.train_set[index].counterparts
    for i in index:
        row = int(there.row[i])
        if cells.artifact[i]:
            assert row == -1
            continue
        group = (cells.label == cells.label[i]) & (cells.artifact == 1)
        median = np.median(cells.counts[group].toarray(), axis=0)
        np.testing.assert_array_equal(there.counts[row], median)
        np.testing.assert_array_equal(there.dosage[row], cells.dosage[cells.label[i]])
        assert there.artifact[row] == 1


def test_statistics_equal_numpy(cells):
    shape = cells.shape()
    carried = cells.dosage[torch.from_numpy(cells.label)].mean(0)
    np.testing.assert_allclose(shape.perturbed_share, carried, rtol=1e-6)
    log1p = np.log1p(cells.counts.toarray())
    np.testing.assert_allclose(shape.log1p_mean, log1p.mean(0), rtol=1e-5)
    np.testing.assert_allclose(shape.log1p_sd, log1p.std(0, ddof=1), rtol=1e-4)
    share = cells.counts.toarray().sum(0) / cells.library_size.sum()
    np.testing.assert_allclose(shape.mean_profile, share, rtol=1e-5)


def test_of_many_validation_cells_a_fixed_part_is_drawn(cells, monkeypatch):
    monkeypatch.setattr(loading, "MAX_VALIDATION", 37)
    drawn = module(cells).val_set.cells
    again, other = module(cells).val_set.cells, module(cells, seed=1).val_set.cells
    assert len(drawn) == drawn.counts.shape[0] == 37
    np.testing.assert_array_equal(drawn.library_size, again.library_size)
    assert not np.array_equal(drawn.counts.toarray(), other.counts.toarray())
    # every drawn cell is one of the cells, with all that is known of it, and none comes twice
    rows = [tuple(row) for row in cells.counts.toarray()]
    found = [rows.index(tuple(row)) for row in drawn.counts.toarray()]
    assert found == sorted(set(found))
    for name in ("label", "artifact", "library_size"):
        np.testing.assert_array_equal(getattr(drawn, name), getattr(cells, name)[found])


def test_few_validation_cells_are_all_taken(cells):
    assert module(cells).val_set.cells is cells

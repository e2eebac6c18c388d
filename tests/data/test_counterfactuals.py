"""Counterparts share perturbation and split, and differ in the QC state."""

import numpy as np
import pytest
import scipy.sparse as sp

from cradle.data.counterfactuals import build_index

LABEL = np.array([0, 0, 0, 1, 1, 2, 2, 3])
ARTIFACT = np.array([0, 0, 1, 1, 1, 0, 0, 0], np.float32)


def test_each_counterpart_has_the_same_label_and_the_opposite_state():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 6, 400)
    artifact = (rng.random(400) < 0.3).astype(np.float32)
    index = build_index(label, artifact, both_directions=True)
    for cell, row in enumerate(index.row):
        assert row >= 0
        there = index.members[row]
        opposite = (label == label[cell]) & (artifact == 1 - artifact[cell])
        np.testing.assert_array_equal(there, np.flatnonzero(opposite))
    groups = list(zip(index.label, index.artifact, strict=True))
    assert groups == [(code, state) for code in range(6) for state in (1, 0)]


def test_only_passing_cells_with_failed_siblings_are_eligible():
    index = build_index(LABEL, ARTIFACT)
    # label 0 has both states; 1 only failed, 2 and 3 only passing cells
    assert index.row.tolist() == [0, 0, -1, -1, -1, -1, -1, -1]
    assert index.members[0].tolist() == [2]
    assert index.artifact.tolist() == [1.0]
    assert index.weight == 8 / 2


def test_without_any_counterpart_the_weight_is_zero():
    index = build_index(LABEL, np.zeros(8, np.float32))
    assert index.weight == 0
    assert index.members == ()


@pytest.mark.parametrize("n_cells", [1, 2, 7, 8])
def test_medians_equal_numpy(n_cells):
    rng = np.random.default_rng(n_cells)
    dense = rng.poisson(0.8, (n_cells + 1, 50)).astype(np.float32)
    artifact = np.ones(n_cells + 1, np.float32)
    artifact[-1] = 0
    index = build_index(np.zeros(n_cells + 1, int), artifact)
    profile = index.medians(sp.csr_matrix(dense), max_cells=50, generator=rng)
    np.testing.assert_array_equal(profile.toarray()[0], np.median(dense[:-1], axis=0))


def test_large_groups_are_drawn_by_the_generator():
    counts = sp.csr_matrix(np.arange(101, dtype=np.float32)[:, None])
    artifact = np.ones(101, np.float32)
    artifact[0] = 0
    index = build_index(np.zeros(101, int), artifact)
    medians = [
        index.medians(counts, max_cells=5, generator=np.random.default_rng(seed))[0, 0]
        for seed in (0, 0, 1)
    ]
    assert medians[0] == medians[1] != medians[2]


def test_groups_say_what_they_are():
    index = build_index(LABEL, ARTIFACT, both_directions=True)
    assert index.label.tolist() == [0, 0]
    assert index.artifact.tolist() == [1.0, 0.0]
    assert [cells.tolist() for cells in index.members] == [[2], [0, 1]]
    assert index.row.tolist() == [0, 0, 1, -1, -1, -1, -1, -1]
    with pytest.raises(AttributeError):
        index.row = index.row  # type: ignore[misc]


def test_a_group_of_the_largest_size_is_used_whole():
    """One more cell would be drawn by chance; of this size nothing may be."""
    index = build_index(np.zeros(4, np.int64), np.array([0, 1, 1, 1], np.float32))
    counts = sp.csr_matrix(np.array([[9], [1], [2], [4]], np.float32))
    generator = np.random.default_rng(0)
    before = generator.bit_generator.state
    profile = index.medians(counts, max_cells=3, generator=generator)
    assert profile.toarray().tolist() == [[2.0]]
    assert generator.bit_generator.state == before

"""Masks in numbers: counted at strict limits, ordered so that alike rows meet."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cradle.evaluation.masks import Decided, clustered, decided


def test_masks_at_the_limits_are_undecided():
    assert decided(np.array([[0.0, 0.1, 0.5], [0.9, 0.95, 0.05]])) == Decided(1, 2, 3)
    assert decided(np.array([0.95])).total == 1


@given(arrays(float, st.tuples(st.integers(0, 9), st.integers(1, 5)),
              elements=st.floats(0, 1)))  # fmt: skip
def test_an_order_is_a_permutation_whatever_the_values(values):
    assert sorted(clustered(values)) == list(range(len(values)))


def test_two_blocks_that_were_mixed_come_apart():
    rng = np.random.default_rng(0)
    block = rng.permutation(np.repeat([0, 1], 8))
    values = np.where(block[:, None] == 1, [0.9, 0.9, 0.1], [0.1, 0.1, 0.9])
    order = clustered(values + 0.02 * rng.standard_normal(values.shape))
    assert np.count_nonzero(np.diff(block[order])) == 1

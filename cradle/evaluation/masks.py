"""Sparse masks in numbers: how many are decided, and an order in which they can be read."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

ON, OFF = 0.9, 0.1  # probabilities beyond which a mask counts as decided

FloatArray = npt.NDArray[np.floating]


class Decided(NamedTuple):
    """Numbers of masks by what the posterior says of them."""

    on: int  # probability above ``ON``
    off: int  # below ``OFF``
    undecided: int

    @property
    def total(self) -> int:
        """All masks."""
        return self.on + self.off + self.undecided


def decided(probability: FloatArray) -> Decided:
    """Count masks that are on, off and undecided.

    Parameters
    ----------
    probability
        Posterior probabilities that the masks are on, of any shape.
    """
    on, off = int((probability > ON).sum()), int((probability < OFF).sum())
    return Decided(on, off, probability.size - on - off)


def clustered(values: FloatArray) -> npt.NDArray[np.int64]:
    """An order of the rows that puts alike ones side by side.

    Leaves of an average-linkage tree over Euclidean distances, each branch turned so that
    neighbours are as near as the tree allows (Bar-Joseph 2001).

    Parameters
    ----------
    values
        ``(n_rows, n_columns)``, finite.

    Returns
    -------
    A permutation of the rows, ``(n_rows,)``.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import pdist

    if len(values) < 3:
        return np.arange(len(values))
    # distances, because scipy takes a square table with an empty diagonal for them
    tree = linkage(pdist(np.asarray(values, float)), method="average", optimal_ordering=True)
    return np.asarray(leaves_list(tree), dtype=np.int64)

"""Treatment effects of single posterior draws, for quantities that are not linear in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from cradle.data.schema import CONTROL
from cradle.expression_levels import Levels

if TYPE_CHECKING:
    from cradle.prediction import Predictor


def effect_draws(
    predictor: Predictor,
    labels: Sequence[str],
    *,
    n_draws: int,
    n_cells: int,
    seed: int = 0,
    artifact: Literal["off", "on"] = "off",
    progress: Callable[[int, int], None] | None = None,
) -> npt.NDArray[np.float32]:
    """Effects against control of each draw, log2(1 + 1e4·x/ℓ).

    Their mean over draws is :meth:`Predictor.treatment_effects` of the same seed and numbers.

    Parameters
    ----------
    labels
        Canonical labels that the model can express.
    n_draws, n_cells
        Posterior draws of the global variables, basal states common to all of them.
    progress
        Called with the number of labels done and their total.

    Returns
    -------
    (n_draws, n_labels, n_genes)
    """
    state = float(artifact == "on")
    levels = Levels.drawn(
        predictor, n_draws=n_draws, n_cells=n_cells, seed=seed, failed=artifact == "on"
    )
    control = levels.of(CONTROL, state)
    effects = np.empty((n_draws, len(labels), len(predictor.genes)), np.float32)
    for i, label in enumerate(labels):
        effects[:, i] = levels.of(label, state) - control
        if progress is not None:
            progress(i + 1, len(labels))
    return effects

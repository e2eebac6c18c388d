"""Treatment effects of single posterior draws, for quantities that are not linear in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from cradle.data.schema import CONTROL
from cradle.evaluation.effects import FloatArray, draw_margin
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
) -> Iterator[npt.NDArray[np.float32]]:
    """Effects against control of each draw, log2(1 + 1e4·x/ℓ), of one label after the other.

    Their mean over draws is :meth:`Predictor.treatment_effects` of the same seed and numbers.

    Parameters
    ----------
    labels
        Canonical labels that the model can express.
    n_draws, n_cells
        Posterior draws of the global variables, basal states common to all of them.

    Yields
    ------
    (n_draws, n_genes) for each label, of which no other is in memory.
    """
    failed = artifact == "on"
    levels = Levels.drawn(predictor, n_draws=n_draws, n_cells=n_cells, seed=seed, failed=failed)
    control = levels.of(CONTROL, float(failed))
    for label in labels:
        yield (levels.of(label, float(failed)) - control).astype(np.float32)


def control_level(
    predictor: Predictor, *, n_draws: int, n_cells: int, seed: int = 0
) -> npt.NDArray[np.float32]:
    """What the effects of the same seed and numbers are measured against: expected
    log2(1 + 1e4·x/ℓ) of control cells without artifact, ``(n_genes,)``."""
    levels = Levels.drawn(predictor, n_draws=n_draws, n_cells=n_cells, seed=seed, failed=False)
    return np.asarray(levels.of(CONTROL).mean(axis=0))


def mean_and_margin(
    in_turn: Iterable[npt.NDArray[np.float32]], shape: tuple[int, int], interval: float
) -> tuple[npt.NDArray[np.float32], FloatArray]:
    """Mean over the draws of :func:`effect_draws` and half width of the interval, each of the
    ``shape`` (n_labels, n_genes); the half width of a single draw is NaN."""
    mean, margin = np.empty(shape, np.float32), np.full(shape, np.nan)
    for i, draws in enumerate(in_turn):
        mean[i] = draws.mean(axis=0)
        if len(draws) > 1:
            margin[i] = draw_margin(draws, interval)
    return mean, margin

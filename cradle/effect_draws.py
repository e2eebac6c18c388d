"""Treatment effects of single posterior draws, for quantities that are not linear in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
    effects = np.empty((n_draws, len(labels), len(predictor.genes)), np.float32)
    in_turn = _in_turn(predictor, labels, n_draws, n_cells, seed, artifact)
    for i, draws in enumerate(in_turn):
        effects[:, i] = draws
        if progress is not None:
            progress(i + 1, len(labels))
    return effects


def mean_and_margin(
    predictor: Predictor,
    labels: Sequence[str],
    *,
    n_draws: int,
    n_cells: int,
    seed: int,
    artifact: Literal["off", "on"],
    interval: float,
) -> tuple[npt.NDArray[np.float32], FloatArray]:
    """Mean over the draws of :func:`effect_draws` and half width of the interval.

    The draws of one label at a time are in memory.

    Returns
    -------
    (n_labels, n_genes) each; the half width of a single draw is NaN.
    """
    mean = np.empty((len(labels), len(predictor.genes)), np.float32)
    margin = np.full(mean.shape, np.nan)
    in_turn = _in_turn(predictor, labels, n_draws, n_cells, seed, artifact)
    for i, draws in enumerate(in_turn):
        mean[i] = draws.mean(axis=0)
        if n_draws > 1:
            margin[i] = draw_margin(draws, interval)
    return mean, margin


def _in_turn(
    predictor: Predictor,
    labels: Sequence[str],
    n_draws: int,
    n_cells: int,
    seed: int,
    artifact: Literal["off", "on"],
) -> Iterator[npt.NDArray[np.float32]]:
    """Effects of each draw, (n_draws, n_genes), of one label after the other."""
    failed = artifact == "on"
    levels = Levels.drawn(predictor, n_draws=n_draws, n_cells=n_cells, seed=seed, failed=failed)
    control = levels.of(CONTROL, float(failed))
    for label in labels:
        effects = np.empty((n_draws, len(predictor.genes)), np.float32)
        effects[:] = levels.of(label, float(failed)) - control
        yield effects

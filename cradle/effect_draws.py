"""Treatment effects of single posterior draws, for quantities that are not linear in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import torch

from cradle.data.schema import CONTROL
from cradle.models.base import draw_of

if TYPE_CHECKING:
    from cradle.prediction import Predictor


@torch.no_grad()
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
    generator = torch.Generator().manual_seed(seed)
    latents, _ = predictor.model.global_posterior(n_draws, generator)
    basal = torch.randn((1, n_cells, predictor.model.n_latent), generator=generator)
    rng = np.random.default_rng(seed)
    sizes = predictor.draw_sizes(n_cells, failed=artifact == "on", rng=rng)
    state = float(artifact == "on")
    of_cells = predictor.model.draw_cells(n_cells, generator)

    def expectation(label: str) -> npt.NDArray[np.float32]:
        means = [
            predictor.likelihood(label, basal, sizes, state, {**draw_of(latents, k), **of_cells})
            .expected_log2_cp10k()
            .mean(dim=(0, 1))
            for k in range(n_draws)
        ]
        return np.asarray(torch.stack(means).numpy())

    control = expectation(CONTROL)
    effects = np.empty((n_draws, len(labels), len(predictor.genes)), np.float32)
    for i, label in enumerate(labels):
        effects[:, i] = expectation(label) - control
        if progress is not None:
            progress(i + 1, len(labels))
    return effects

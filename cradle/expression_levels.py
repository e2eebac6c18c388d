"""Expected expression of each posterior draw, by one table a gene instead of sampled counts.

What is predicted of a perturbation is the mean of log2(1 + 1e4·x/ℓ) over counts x, library sizes ℓ
and basal states z. Library sizes are drawn apart from everything else, so that given the share ρ of
a gene its expectation over counts and sizes is a function of log ρ alone. That function is
tabulated once a gene; what is left is to decode, look up, and average over basal states, which
come in pairs z and −z: the part of an effect that is linear in z then cancels exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from cradle.generated import size_pool
from cradle.models.base import CountVAE, Latents
from cradle.nn.likelihoods import GammaPoisson

if TYPE_CHECKING:
    from cradle.prediction import Predictor

#: Grid of log ρ: no gene has more than all counts, and below e⁻²³ none is ever expected.
LOWEST, STEP = -23.0, 1 / 16
_GRID = torch.arange(LOWEST, STEP / 2, STEP, dtype=torch.float64)
_THETA_STEP, _NODES = 0.25, 64
N_SIZES = 32
#: Values decoded at once: what stays in a processor's cache is read again at no cost.
MAX_VALUES = 2**19


class ExpectationTable:
    """``E[log2(1 + 1e4·x/ℓ)]`` of each gene by its log share, averaged over library sizes.

    Linear between grid points, which is off by at most 2e-4 (8e-4 for cells of 50 counts);
    over the dispersions of the genes it is a cubic spline.

    Parameters
    ----------
    log_theta
        ``(n_genes,)``, log inverse dispersion.
    sizes
        ``(n_sizes,)``, counts, all equally likely.
    """

    def __init__(self, log_theta: Tensor, sizes: npt.NDArray[np.float64]):
        low, high = float(log_theta.min()), float(log_theta.max())
        n_thetas = 4 + int((high - low) / _THETA_STEP)
        thetas = torch.linspace(low - 0.1, high + 0.1, n_thetas, dtype=torch.float64)
        shape = (len(_GRID), len(sizes), n_thetas)
        likelihood = GammaPoisson(
            _GRID[:, None, None].expand(shape), torch.from_numpy(sizes)[:, None], thetas
        )
        averaged = likelihood.expected_log2_cp10k(_NODES).mean(dim=1).numpy()
        spline = CubicSpline(thetas.numpy(), averaged, axis=1)
        values = torch.from_numpy(spline(log_theta.double().numpy()).T.copy())
        self.values = values.float()
        self.slopes = torch.zeros_like(self.values)
        self.slopes[:, :-1] = values.diff(dim=1).float()
        self.start = torch.arange(len(values)) * len(_GRID)

    def __call__(self, log_rate: Tensor) -> Tensor:
        """Expectations at log shares ``(..., n_genes)``."""
        position = ((log_rate - LOWEST) / STEP).clamp_(0, len(_GRID) - 1)
        left = position.long()
        place = left + self.start
        return self.values.take(place).addcmul_(position - left, self.slopes.take(place))


def size_quantiles(predictor: Predictor, n: int, *, failed: bool) -> npt.NDArray[np.float64]:
    """Middles of ``n`` equally likely parts of the library sizes; one where it is fixed."""
    if predictor.default_library_size is not None:
        return np.array([float(predictor.default_library_size)])
    pool = size_pool(predictor.library_sizes, failed=failed)
    return np.asarray(np.quantile(pool, (np.arange(n) + 0.5) / n))


@dataclass(frozen=True)
class Levels:
    """Expected expression under posterior draws, basal states and sizes that queries share.

    Parameters
    ----------
    predictor
        Whose model it is.
    latents
        Posterior draws of the global variables, ``(n_draws, ...)``.
    of_cells
        Further variables of the cells, drawn from their prior, ``(1, n_cells, ...)``.
    noise
        Of the basal states, ``(1, n_cells, n_latent)``.
    sizes
        Library sizes, all equally likely, where the model is one of counts; else of the cells.
    table
        None for a model of expression, which needs none.
    """

    predictor: Predictor
    latents: Latents
    of_cells: Latents
    noise: Tensor
    sizes: npt.NDArray[np.float64]
    table: ExpectationTable | None

    @classmethod
    def drawn(
        cls, predictor: Predictor, *, n_draws: int, n_cells: int, seed: int, failed: bool
    ) -> Levels:
        """Draw what queries share; ``failed`` takes the library sizes of QC-failed cells."""
        generator = torch.Generator().manual_seed(seed)
        model = predictor.model
        latents, _ = model.global_posterior(n_draws, generator)
        half = torch.randn((1, -(-n_cells // 2), model.n_latent), generator=generator)
        noise = torch.cat([half, -half], dim=1)[:, :n_cells]
        of_cells = model.draw_cells(n_cells, generator)
        if not isinstance(model, CountVAE):
            rng = np.random.default_rng(seed)
            sizes = predictor.draw_sizes(n_cells, failed=failed, rng=rng)
            return cls(predictor, latents, of_cells, noise, sizes, None)
        sizes = size_quantiles(predictor, N_SIZES, failed=failed)
        table = ExpectationTable(model.log_theta.detach(), sizes)
        return cls(predictor, latents, of_cells, noise, sizes, table)

    @torch.no_grad()
    def of(
        self, label: str, artifact: float = 0.0, of_cells: Latents | None = None
    ) -> npt.NDArray[np.float32]:
        """Mean of log2(1 + 1e4·x/ℓ) in each draw, ``(n_draws, n_genes)``; of the cells drawn, or
        of given ones."""
        cells = self.of_cells if of_cells is None else of_cells
        n_draws = max(len(value) for value in self.latents.values()) if self.latents else 1
        at_once = max(1, MAX_VALUES // (self.noise.shape[1] * len(self.predictor.genes)))
        parts = [
            self._mean(label, artifact, slice(k, k + at_once), cells)
            for k in range(0, n_draws, at_once)
        ]
        return np.asarray(torch.cat(parts).numpy())

    def _mean(self, label: str, artifact: float, draws: slice, cells: Latents) -> Tensor:
        latents = {**{name: value[draws] for name, value in self.latents.items()}, **cells}
        # a likelihood of counts is asked for shares, which do not depend on the library size
        sizes = self.sizes if self.table is None else self.sizes[:1]
        likelihood = self.predictor.likelihood(label, self.noise, sizes, artifact, latents)
        if self.table is None:
            return likelihood.expected_log2_cp10k().mean(dim=1)
        assert isinstance(likelihood, GammaPoisson)
        return self.table(likelihood.log_rate).mean(dim=1)

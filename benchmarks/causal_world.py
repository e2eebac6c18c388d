"""Cells of PerturbedVAE's own generative model, whose causes are known."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from torch import Tensor

from cradle.data.dosage import Design
from cradle.data.loading import Cells

GENES = ("A", "B", "C", "D", "E")
TRAINED = ("control", *GENES)
PAIRS = tuple(f"{a}+{b}" for a, b in itertools.combinations(GENES, 2))
N_RESPONSIVE, N_INVARIANT, N_GENES = len(GENES), 10, 60
LIBRARY_SIZE = 1e4
NOISE = 0.2  # standard deviation of y about its mean
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """``z_ν = B z_ι + L z_ν + μ(u) + n``, ``y = 6 + g(z_ν, z_ι) + noise``, ln(1 + 1e4·x/ℓ) units.

    Parameters
    ----------
    edges
        L, strictly lower triangular, ``(d_ν, d_ν)``.
    inputs
        B, ``(d_ν, d_ι)``.
    shift
        μ of each perturbed gene, one latent each, ``(T, d_ν)``.
    responsive, invariant
        Genes moved by each latent, ``(d, G)``.
    bend
        Slope of g below zero; 1 makes it linear.
    """

    edges: Tensor
    inputs: Tensor
    shift: Tensor
    responsive: Tensor
    invariant: Tensor
    bend: float = 0.7

    @classmethod
    def drawn(cls, seed: int) -> World:
        """A world of this seed."""
        generator = torch.Generator().manual_seed(seed)

        def normal(*size: int) -> Tensor:
            return torch.randn(size, generator=generator)

        def sparse(share: float, *size: int) -> Tensor:
            return (torch.rand(size, generator=generator) < share).float()

        sign = normal(N_RESPONSIVE).sign()
        return cls(
            (0.8 * normal(N_RESPONSIVE, N_RESPONSIVE).sign()).tril(-1)
            * sparse(0.5, N_RESPONSIVE, N_RESPONSIVE),
            0.3 * normal(N_RESPONSIVE, N_INVARIANT) * sparse(0.3, N_RESPONSIVE, N_INVARIANT),
            torch.diag(2.5 * sign),
            0.25 * normal(N_RESPONSIVE, N_GENES) * sparse(0.3, N_RESPONSIVE, N_GENES),
            0.3 * normal(N_INVARIANT, N_GENES),
        )

    def dominant(self) -> World:
        """The background half as strong again, the response three fifths as strong."""
        return replace(self, invariant=1.5 * self.invariant, responsive=0.6 * self.responsive)

    def linear(self) -> World:
        """Expression linear in the latents."""
        return replace(self, bend=1.0)

    def apart(self) -> World:
        """A background that the responsive latents do not depend on."""
        return replace(self, inputs=0 * self.inputs)

    def latents(
        self, dosage: Tensor, generator: torch.Generator, background: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """z_ν ``(n, d_ν)`` and z_ι ``(n, d_ι)`` of cells with this dosage ``(n, T)``."""
        n = len(dosage)
        noise = 0.5 * torch.randn((n, N_RESPONSIVE), generator=generator)
        invariant = torch.randn((n, N_INVARIANT), generator=generator)
        invariant = invariant if background is None else background
        driven = dosage @ self.shift + invariant @ self.inputs.T + noise
        identity = torch.eye(N_RESPONSIVE)
        return torch.linalg.solve(identity - self.edges, driven.T).T, invariant

    def expression(self, responsive: Tensor, invariant: Tensor) -> Tensor:
        """Mean of y, ``(n, G)``; mildly non-linear in each block's sum."""
        state = responsive @ self.responsive + invariant @ self.invariant
        return 6 + torch.where(state > 0, state, self.bend * state)

    def effect(self, label: str, n: int = 20_000) -> FloatArray:
        """Change of the mean against control, log2 units, ``(G,)``; the background is shared."""
        found = []
        for name in (label, "control"):
            generator = torch.Generator().manual_seed(99)
            dosage = torch.from_numpy(Design(GENES).rows([name])).expand(n, -1)
            found.append(self.expression(*self.latents(dosage, generator)).mean(0))
        return np.asarray((found[0] - found[1]).double().numpy() / np.log(2.0))


@dataclass(frozen=True)
class Sample:
    """Cells with their true latents."""

    cells: Cells
    responsive: FloatArray
    invariant: FloatArray

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Code of each cell's perturbation, 0 for control."""
        return self.cells.label


def sample(world: World, n: int, seed: int) -> Sample:
    """Cells of control (four in nine) and of the single perturbations."""
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    weights = np.array([4.0, *[1.0] * len(GENES)])
    code = rng.choice(len(TRAINED), n, p=weights / weights.sum())
    dosage = torch.from_numpy(Design(GENES).rows(TRAINED))
    responsive, invariant = world.latents(dosage[torch.from_numpy(code)], generator)
    mean = world.expression(responsive, invariant)
    y = (mean + NOISE * torch.randn(mean.shape, generator=generator)).clamp_min(0.0)
    # the model sees ln(1 + 1e4·x/ℓ) alone, so x need not be whole
    counts = torch.expm1(y) * (LIBRARY_SIZE / 1e4)
    size = np.full(n, LIBRARY_SIZE, np.float32)
    cells = Cells(sp.csr_matrix(counts.numpy()), code, np.zeros(n, np.float32), size, dosage)
    return Sample(cells, responsive.double().numpy(), invariant.double().numpy())

"""Effects of many perturbations with intervals, and whether they agree with sampled counts.

Speed is that of CRADLE-VAE at its default size with random weights. Agreement is of a trained run:
``particles`` pairs of treated and control cells are drawn that share posterior draw, basal state
and library size, and the mean of log2(1 + 1e4·x/ℓ) of the one minus that of the other is
compared with the integrated effect. ``error_in_standard_errors`` is the root mean square of that
difference in standard errors of the sampling: one if the integrated effects were exact.
"""

from pathlib import Path

import numpy as np
import torch

from benchmarks.screens import predictor, seconds
from cradle.data.schema import CONTROL
from cradle.generated import of_counts
from cradle.prediction import Predictor
from cradle.runs import Run

RUN = Path(__file__).resolve().parents[1] / "assets" / "runs" / "demo_cradle_vae"
N_GENES_PERTURBED = 105
N_COMPARED, MIN_CHANGES = 6, 50


def measure(
    perturbations: int = 236, genes: int = 5_000, particles: int = 5_000
) -> dict[str, dict[str, float]]:
    """Time the effects and compare those of a trained run; returns ``figures`` and ``ratios``."""
    told = predictor(genes, N_GENES_PERTURBED)
    singles = list(told.design.columns)
    pairs = [f"{a}+{b}" for a, b in zip(singles, singles[1:] + singles[:1], strict=True)]
    more = [f"{a}+{b}" for a, b in zip(singles, singles[2:] + singles[:2], strict=True)]
    labels = (singles + pairs + more)[:perturbations]
    spent = seconds(lambda: told.treatment_effects(labels))
    z = disagreement(Run.load(RUN).predictor(), particles)  # type: ignore[arg-type]
    return {
        "figures": {
            "seconds": spent,
            "perturbations": float(len(labels)),
            "compared_effects": float(z.size),
            "largest_error_in_standard_errors": float(np.abs(z).max()),
        },
        "ratios": {
            "time_of_a_minute": spent / 60,
            "error_in_standard_errors": float(np.sqrt(np.mean(z**2))),
        },
    }


def disagreement(told: Predictor, particles: int) -> np.ndarray:
    """Integrated minus sampled effects in standard errors, (n_compared,).

    Only of genes of which ``MIN_CHANGES`` pairs of cells or more differ: a standard error that
    is estimated from a handful of counts says little.
    """
    labels = list(told.design.columns)[:N_COMPARED]
    effects = told.treatment_effects(labels).mean
    drawn = np.stack([_differences(told, label, particles) for label in labels], axis=1)
    enough = (drawn != 0).sum(axis=0) >= MIN_CHANGES
    error = drawn.std(axis=0, ddof=1) / np.sqrt(particles)
    return ((effects - drawn.mean(axis=0)) / np.where(enough, error, 1))[enough]


@torch.no_grad()
def _differences(told: Predictor, label: str, particles: int) -> np.ndarray:
    """log2(1 + 1e4·x/ℓ) of treated minus control cells, (particles, genes)."""
    generator = torch.Generator().manual_seed(1)
    sizes = told.draw_sizes(particles, failed=False, rng=np.random.default_rng(1))
    found = []
    for size in sizes[:, None]:
        latents, _ = told.model.global_posterior(1, generator)
        basal = torch.randn((1, 1, told.model.n_latent), generator=generator)
        treated, control = (
            of_counts(told.likelihood(name, basal, size, 0.0, latents)).sample(generator)
            for name in (label, CONTROL)
        )
        scale = 1e4 / float(size[0])
        found.append((torch.log2(1 + scale * treated) - torch.log2(1 + scale * control))[0, 0])
    return torch.stack(found).numpy()

"""Generating cells, against sampling as many gamma-Poisson values alone.

The values alone are numpy's: gamma rates in double precision, then Poisson counts, of the means
that the generated cells have. We decode, sample, store sparse and judge the quality of each cell.
"""

import numpy as np

from benchmarks.screens import least_seconds, predictor

ROUNDS, PERTURBATION = 5, "control"


def measure(cells: int = 10_000, genes: int = 2_000) -> dict[str, dict[str, float]]:
    """Time both; returns ``figures`` and ``ratios``."""
    told = predictor(genes, 100)
    mean = told.generate(PERTURBATION, cells).layers["mean"]
    theta = np.exp(told.model.log_theta.detach().numpy().astype(float))  # type: ignore[operator]
    rng = np.random.default_rng(0)
    times = least_seconds(
        ROUNDS,
        generate=lambda: told.generate(PERTURBATION, cells),
        sample=lambda: rng.poisson(rng.standard_gamma(theta, mean.shape) * (mean / theta)),
    )
    return {
        "figures": {
            "seconds": times["generate"],
            "sampling_seconds": times["sample"],
            "cells_per_second": cells / times["generate"],
        },
        "ratios": {"time_of_sampling": times["generate"] / times["sample"]},
    }

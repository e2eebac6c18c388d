"""Time to a validation ELBO: our defaults, against the schedule of the published code.

Both train CRADLE-VAE on the simulated demo with the objective of the paper. The published schedule
is a learning rate of 3e-4, batches of 512, width 400, 200 latents, random start, nothing hidden
from the encoder and the last weights instead of their average. It trains ``--epochs`` at most;
its best validation ELBO is the goal, and ``time_of_published`` the seconds that ours takes to get
there over the seconds that it took itself. ELBOs are nats per cell, of the same validation cells.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from cradle.data.sources import load
from cradle.fitting import fit
from cradle.training import Progress

PUBLISHED = {
    "learning_rate": 3e-4, "batch_size": 512, "n_hidden": 400, "n_latent": 200, "patience": 1_000,
    "artifact_kinds": 1, "linear_path": False, "encoder_dropout": 0.0, "weight_average": 0.0,
    "direct_learning_rate_factor": 1.0, "embedding_init_scale": 1.0, "mask_init": 0.0,
    "mask_prior": 0.01,
}  # fmt: skip


def measure(epochs: int = 400) -> dict[str, dict[str, float]]:
    """Train both to their end; returns ``figures`` and ``ratios``."""
    published = _curve(PUBLISHED, epochs)
    ours = _curve({}, epochs)
    goal = published[:, 1].max()
    seconds = {"published": _seconds_to(goal, published), "ours": _seconds_to(goal, ours)}
    return {
        "figures": {
            "goal": goal,
            "best": ours[:, 1].max(),
            "seconds": seconds["ours"],
            "published_seconds": seconds["published"],
            "seconds_to_best": _seconds_to(ours[:, 1].max(), ours),
            "epochs": float(len(ours)),
            "published_epochs": float(len(published)),
        },
        "ratios": {"time_of_published": seconds["ours"] / seconds["published"]},
    }


def _curve(settings: dict[str, object], epochs: int) -> np.ndarray:
    """Seconds since training began and validation ELBO after each epoch, ``(n_epochs, 2)``.

    The first epoch is where the clock starts: loading and quality control come before it.
    """
    rows = []

    def told(progress: Progress) -> None:
        rows.append((time.perf_counter(), progress.metrics["val_elbo"]))

    with tempfile.TemporaryDirectory() as folder:
        fit(
            load("demo"), "cradle_vae", settings, out=Path(folder) / "run", epochs=epochs,
            progress=told,
        )  # fmt: skip
    curve = np.array(rows)
    curve[:, 0] -= curve[0, 0]
    return curve


def _seconds_to(goal: float, curve: np.ndarray) -> float:
    """When a curve reaches the goal; infinite where it does not."""
    there = np.flatnonzero(curve[:, 1] >= goal)
    return float(curve[there[0], 0]) if len(there) else float("inf")

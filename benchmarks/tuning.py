"""Try settings on the Norman subset without looking at its five held-out pairs.

    python -m benchmarks.tuning mask_init=0 mask_init=3 mask_init=3,mask_prior=0.1

The five pairs of the study are put aside (``unused``). Two other pairs, whose genes stay in
training through other labels, are held out in their place, and validation cells of the
perturbations trained on tell how well those are fitted. Each argument is one set of settings;
``defaults`` is the empty one. Prints a row a set, the mean over seeds.
"""

import argparse
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.study import NORMAN_PAIRS
from cradle.data.sources import load
from cradle.data.splits import split_cells
from cradle.fitting import fit

TUNING_PAIRS = ("CNN1+MAPK1", "PTPN12+SAMD1")


def main() -> None:
    """Fit each set of settings with each seed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=__doc__)
    parser.add_argument("settings", nargs="+", metavar="KEY=VALUE[,KEY=VALUE]")
    parser.add_argument("--seeds", type=lambda s: [int(x) for x in s.split(",")], default=[0, 1])
    arguments = parser.parse_args()
    rows = [
        {"settings": text, **scores(parsed(text), seed)}
        for text in arguments.settings
        for seed in arguments.seeds
    ]
    print(pd.DataFrame(rows).groupby("settings", sort=False).mean().round(3).to_string())


def parsed(text: str) -> dict[str, str]:
    """``a=1,b=2`` as a mapping."""
    return {} if text == "defaults" else dict(pair.split("=", 1) for pair in text.split(","))


def scores(settings: dict[str, str], seed: int) -> dict[str, float]:
    """Scores on the tuning pairs and on validation cells; the split changes with the seed."""
    screen = load("norman_subset")
    label = screen.obs["perturbation"].astype(str)
    split = split_cells(label, seed=seed, test_combinations=TUNING_PAIRS)
    screen.obs["split"] = split.mask(label.isin(NORMAN_PAIRS), "unused")
    with tempfile.TemporaryDirectory() as folder:
        run = fit(screen, "cradle_vae", settings, out=Path(folder) / "run", seed=seed)
        report = run.metrics or {}
        return {
            "pairs_ate_rho": report["test"]["ate_rho"],
            "pairs_ate_r2": report["test"]["ate_r2"],
            "val_ate_rho": report["val"]["ate_rho"],
            "val_ate_r2": report["val"]["ate_r2"],
            "val_elbo": float(run.history["val_elbo"].max()),
            "epochs": len(run.history),
            "seconds": run.provenance["seconds"],
        }


if __name__ == "__main__":
    main()

"""Search settings on a screen, for every model alike, without what the studies score.

    python -m benchmarks.search --models cradle_vae,sams_vae --tries 7 --out tries.csv
    python -m benchmarks.search defaults mask_init=3,mask_prior=0.1
    python -m benchmarks.search --screen papalexi --models cradle_vae,sams_vae --tries 3

Norman subset: the five pairs of the study are put aside (``unused``), and two other pairs, whose
genes stay in training through other labels, are held out in their place. Papalexi has no pairs: its
test cells are put aside. Simulated: screens of seeds that no study has, with held-out pairs of
their own. Validation cells of the perturbations trained on tell how well those are fitted. Each
argument is one set of settings; ``defaults`` is the empty one. ``--tries`` draws further sets from
:data:`SPACE`, the same ones for every model. A model's best set has the highest mean of the two
ATE-R². Rows that ``--out`` holds are not fitted again.

The best settings are then fitted by the study, ``python -m benchmarks.study norman_subset --name
norman_subset_searched --models NAME --set KEY=VALUE``.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from benchmarks.study import NORMAN_PAIRS, listed
from cradle.data.sources import load
from cradle.data.splits import split_cells
from cradle.files import write_frame
from cradle.fitting import fit
from cradle.simulation import SimulationConfig, simulate

TUNING_PAIRS = ("CNN1+MAPK1", "PTPN12+SAMD1")
TUNING_SCREEN = 31  # seed of the first; the studies have 0 to 4, 7, 11 to 13 and above 100
#: Settings that every network has, and the mask's prior of those that have one.
SPACE = {
    "learning_rate": (3e-4, 1e-3, 3e-3),
    "batch_size": (64, 256, 512),
    "n_hidden": (64, 200, 400),
    "n_latent": (16, 64, 200),
    "n_decoder_layers": (1, 2),
    "linear_path": (True, False),
    "encoder_dropout": (0.0, 0.1, 0.3),
    "weight_average": (0.0, 0.99),
    "mask_prior": (0.01, 0.1, 0.5),
}
KEY = ["screen", "model", "settings", "seed"]


def main() -> None:
    """Fit each set of settings with each seed and say which is best."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE[,KEY=VALUE]")
    parser.add_argument("--screen", choices=SCREENS, default="norman_subset")
    parser.add_argument("--models", type=listed(str), default=("cradle_vae",))
    parser.add_argument("--tries", type=int, default=0, help="sets to draw, beside the defaults")
    parser.add_argument("--seeds", type=listed(int), default=(0, 1))
    parser.add_argument("--out", type=Path, help="CSV of every fit")
    arguments = parser.parse_args()
    sets = [
        *arguments.settings,
        *(["defaults", *drawn(arguments.tries)] if arguments.tries else []),
    ]
    table = pd.read_csv(arguments.out) if arguments.out and arguments.out.is_file() else None
    rows = [] if table is None else table.to_dict("records")
    there = {tuple(row[name] for name in KEY) for row in rows}
    for text in sets:
        for model in arguments.models:
            for seed in arguments.seeds:
                key = (arguments.screen, model, text, seed)
                if key in there:
                    continue
                rows.append(dict(zip(KEY, key, strict=True)))
                rows[-1].update(scores(model, parsed(text), seed, arguments.screen))
                if arguments.out:
                    write_frame(arguments.out, pd.DataFrame(rows))
    means = pd.DataFrame(rows).groupby(KEY[:3], sort=False).mean().drop(columns="seed")
    means["chosen_by"] = means[["pairs_ate_r2", "val_ate_r2"]].mean(axis=1)
    print(means.round(3).to_string())
    for (screen, model), tried in means.groupby(KEY[:2], sort=False):
        print(f"best of {model} on {screen}: {tried['chosen_by'].idxmax()[2]}")


def drawn(tries: int) -> list[str]:
    """Sets of settings drawn from the space, as text; the same ones each time."""
    rng = np.random.default_rng(0)
    return [
        ",".join(f"{name}={values[rng.integers(len(values))]}" for name, values in SPACE.items())
        for _ in range(tries)
    ]


def parsed(text: str) -> dict[str, str]:
    """``a=1,b=2`` as a mapping."""
    return {} if text == "defaults" else dict(pair.split("=", 1) for pair in text.split(","))


def norman_subset(seed: int) -> AnnData:
    """Two pairs held out that no study scores, its five put aside; the split goes by the seed."""
    screen = load("norman_subset")
    label = screen.obs["perturbation"].astype(str)
    split = split_cells(label, seed=seed, test_combinations=TUNING_PAIRS)
    screen.obs["split"] = split.mask(label.isin(NORMAN_PAIRS), "unused")
    return screen


def papalexi(seed: int) -> AnnData:
    """The split of the study, whatever the seed, its test cells put aside."""
    screen = load("papalexi")
    split = split_cells(screen.obs["perturbation"].astype(str), seed=0)
    screen.obs["split"] = split.mask(split == "test", "unused")
    return screen


def simulated(seed: int) -> AnnData:
    """A screen of its own, whose held-out pairs are drawn by the seed."""
    screen = simulate(SimulationConfig(seed=TUNING_SCREEN + seed))
    screen.obs["split"] = split_cells(screen.obs["perturbation"].astype(str), seed=seed)
    return screen


SCREENS = {make.__name__: make for make in (norman_subset, papalexi, simulated)}


def scores(model: str, settings: dict[str, str], seed: int, screen: str) -> dict[str, float]:
    """Scores on the tuning pairs, if there are any, and on validation cells."""
    with tempfile.TemporaryDirectory() as folder:
        run = fit(SCREENS[screen](seed), model, settings, out=Path(folder) / "run", seed=seed)
        report = run.metrics or {}
        pairs = report["test"] or {}
        return {
            "pairs_ate_rho": pairs.get("ate_rho", np.nan),
            "pairs_ate_r2": pairs.get("ate_r2", np.nan),
            "val_ate_rho": report["val"]["ate_rho"],
            "val_ate_r2": report["val"]["ate_r2"],
            "val_elbo": float(run.history["val_elbo"].max()),
            "epochs": len(run.history),
            "seconds": run.provenance["seconds"],
        }


if __name__ == "__main__":
    main()

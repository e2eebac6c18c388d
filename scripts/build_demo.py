"""Build what the app shows on a machine without data: ``make demo``.

Writes ``assets/demo.h5ad``, the default simulated screen, with a CRADLE-VAE and, to compare it
with, a SAMS-VAE trained on it, and a CRADLE-VAE trained on the Norman subset, of which tables and
weights are shipped but no cells (needs ``norman2019_subset.h5ad`` in ``CRADLE_DATA_DIR``).
"""

import argparse
import shutil
from pathlib import Path

from benchmarks.study import NORMAN_PAIRS
from cradle.data.catalogue import locate
from cradle.data.sources import load
from cradle.fitting import fit
from cradle.simulation import write_simulation
from scripts import build_interactions, build_maps

ASSETS = Path(__file__).resolve().parent.parent / "assets"


def main() -> None:
    """Build the demo, and the Norman run where its data are at hand."""
    parser = argparse.ArgumentParser(prog="python -m scripts.build_demo", description=__doc__)
    parser.parse_args()
    write_simulation(ASSETS / "demo.h5ad")
    train("demo", "cradle_vae")
    train("demo", "sams_vae")
    if locate("norman_subset") is None:
        print("norman_subset is not here: its run is left as it was")
    else:
        train("norman_subset", "cradle_vae", NORMAN_PAIRS)
    build_maps.store_quality("demo_cradle_vae")
    build_maps.store_maps()
    build_interactions.main()


def train(dataset: str, model: str, test_combinations: tuple[str, ...] | None = None) -> None:
    """Fit a model at its defaults and put the run in place of the old one."""
    final = ASSETS / "runs" / f"{dataset}_{model}"
    fresh = final.with_name(f"{final.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fit(load(dataset), model, out=fresh, test_combinations=test_combinations)
    shutil.rmtree(fresh / "resume", ignore_errors=True)
    for passing in (".lock", "progress.json"):
        (fresh / passing).unlink(missing_ok=True)
    shutil.rmtree(final, ignore_errors=True)
    fresh.rename(final)


if __name__ == "__main__":
    main()

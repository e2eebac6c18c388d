"""When the counterfactual term helps: its weight α at several strengths of the artifact.

    python -m benchmarks.counterfactual_weight --seeds 11,12,13

Fits CRADLE-VAE with each α of SPEC 4, without the term (α = 0) and without the prior of the
artifact (w/o Causal) on simulated screens (2,500 cells × 1,000 genes), whose artifact is half, once
and twice as strong as in the demo. No benchmark uses these seeds. Rows are added to
``assets/benchmarks/counterfactual_weight/table.csv``; a fit that is there is not repeated.

``val_…`` and ``pass_rate`` are of validation cells, by which α may be chosen; ``seen``,
``held_out`` and ``artifact`` correlate what is predicted with what was simulated.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.study import TABLES, listed
from cradle.files import write_frame
from cradle.fitting import fit
from cradle.simulation import SimulationConfig, simulate

STRENGTHS = (0.5, 1.0, 2.0)
MODELS: tuple[tuple[str, float], ...] = (
    ("cradle_vae_no_counterfactual", 0.0),
    *(("cradle_vae", weight) for weight in (0.5, 5.0, 50.0, 250.0)),
    ("cradle_vae_no_causal", 5.0),
)
KEY = ["artifact_strength", "model", "counterfactual_weight", "seed"]


def main() -> None:
    """Fit what is missing, write the table after each fit, print the means over seeds."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.counterfactual_weight",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=listed(int), default=(11, 12, 13))
    parser.add_argument("--out", type=Path, default=TABLES / "counterfactual_weight" / "table.csv")
    arguments = parser.parse_args()
    table = pd.read_csv(arguments.out) if arguments.out.is_file() else pd.DataFrame(columns=KEY)
    there = set(table[KEY].itertuples(index=False, name=None))
    rows = table.to_dict("records")
    for seed in arguments.seeds:
        for strength in STRENGTHS:
            for model, weight in MODELS:
                key = (strength, model, weight, seed)
                if key in there:
                    continue
                rows.append(dict(zip(KEY, key, strict=True)) | scores(*key))
                write_frame(arguments.out, pd.DataFrame(rows))
    means = pd.DataFrame(rows).drop(columns="seed").groupby(KEY[:3]).mean()
    print(means.round(3).to_string())


def scores(strength: float, model: str, weight: float, seed: int) -> dict[str, Any]:
    """Fit one model to one screen; what its report says."""
    screen = simulate(
        SimulationConfig(n_cells=2500, n_genes=1000, seed=seed, artifact_strength=strength)
    )
    with tempfile.TemporaryDirectory() as folder:
        settings = {"counterfactual_weight": weight}
        run = fit(screen, model, settings, out=Path(folder) / "run", seed=seed, split_seed=seed)
        report = run.metrics or {}
        val, truth = report["val"], report["truth"]
        return {
            "val_elbo": run.history["val_elbo"].max(),
            "val_ate_rho": val["ate_rho"],
            "val_ate_r2": val["ate_r2"],
            "val_jaccard_50": val["jaccard_50"],
            "pass_rate": val["qcpr"]["3"]["rate"],
            "pass_rate_clean": truth["clean_pass_rate_by_split"]["val"]["3"],
            "pass_rate_observed": val["qcpr"]["3"]["observed"],
            "seen": truth["effect_correlation_seen"],
            "held_out": truth["effect_correlation_heldout"],
            "artifact": truth["artifact_correlation"],
            "epochs": len(run.history),
            "seconds": run.provenance["seconds"],
        }


if __name__ == "__main__":
    main()

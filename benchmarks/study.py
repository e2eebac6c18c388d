"""Fit models over seeds and keep every score: the source of the tables in ``assets/benchmarks``.

    python -m benchmarks.study norman_subset --seeds 0,1,2
    python -m benchmarks.study simulated --seeds 0,1,2
    python -m benchmarks.study semi_synthetic --base pbmc3k_raw.h5ad --seeds 0,1,2

Each dataset gets ``table.csv`` in long form (dataset, fold, model, train_cells, seed, qc_mad,
split, metric, value). A row that is there already is not computed again.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cradle.files import write_frame

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.runs import Run

ROOT = Path(__file__).resolve().parent.parent
NORMAN_PAIRS = (
    "KLF1+MAP2K6", "KLF1+TGFBR2", "MAP2K3+MAP2K6", "MAP2K3+SLC38A2", "MAPK1+TGFBR2",
)  # fmt: skip
KEYS = ["dataset", "fold", "model", "train_cells", "seed", "qc_mad", "split", "metric"]
EFFECT_METRICS = ("ate_rho", "ate_r2", "jaccard_50", "jaccard_20", "sign_accuracy")


def screen(dataset: str, seed: int, base: str | None, sizes: dict[str, int]) -> AnnData:
    """Dataset of one seed; simulated screens are drawn anew for each."""
    from cradle.data.sources import load
    from cradle.simulation import SimulationConfig, semi_synthetic, simulate

    if dataset == "simulated":
        return simulate(SimulationConfig(seed=seed, **sizes))
    if dataset == "semi_synthetic":
        if base is None:
            raise SystemExit("semi_synthetic needs --base FILE.h5ad")
        cells = load(base, require_labels=False)
        sizes = {"n_cells": cells.n_obs, **sizes}
        return semi_synthetic(cells, SimulationConfig(seed=seed, **sizes))
    return load(dataset)


def scores(run: Run, adata: AnnData) -> pd.DataFrame:
    """Every score of a run as rows split, metric, value, model; floors and ceiling among them."""
    report = run.metrics or {}
    rows = []
    for split in ("test", "val", "train", "all"):
        for name, part in {
            run.model_name: report, "replicate": report["replicate"],
            "ceiling": report["ceiling"], **report["floor"],
        }.items():  # fmt: skip
            section = part.get(split) or {}
            rows += [(name, split, m, section[m]) for m in EFFECT_METRICS if m in section]
        for mad, found in ((report.get(split) or {}).get("qcpr") or {}).items():
            rows += [
                (run.model_name, split, f"qcpr_{mad}", found.get("rate")),
                ("observed", split, f"qcpr_{mad}", found.get("observed")),
            ]
        for criterion, found in ((report.get(split) or {}).get("wasserstein") or {}).items():
            if isinstance(found, dict):
                value = found.get("in_mads")
                rows.append((run.model_name, split, f"wasserstein_{criterion}", value))
    for metric, value in (report.get("truth") or {}).items():
        if isinstance(value, float):
            rows.append((run.model_name, "all", metric, value))
        if metric == "clean_pass_rate":
            rows += [("clean cells", "all", f"qcpr_{mad}", rate) for mad, rate in value.items()]
    rows.append((run.model_name, "all", "seconds", run.provenance["seconds"]))
    rows += failure_rates(run, adata)
    return pd.DataFrame(rows, columns=["model", "split", "metric", "value"])


def failure_rates(run: Run, adata: AnnData, n_cells: int = 100) -> list[tuple[Any, ...]]:
    """Share failing each generable criterion: artifact on, beside observed QC-failed cells."""
    from cradle.data.qc import judge_generated
    from cradle.evaluation.report import cells_of_run

    if not run.spec.artifact or not (run.library_sizes["artifact"] == 1).any():
        return []
    cells = cells_of_run(run, adata)
    judged = judge_generated(cells, run.thresholds)[cells.obs["qc_fail"].to_numpy()]
    predictor = run.predictor()
    labels = run.perturbations.query("n_train > 0")["perturbation"]
    generated = pd.concat(
        [predictor.generate(q, n_cells, artifact="on", seed=i).obs for i, q in enumerate(labels)]
    )
    return [
        (model, "all", f"fails_{criterion}", float(np.nanmean(table[f"fails_{criterion}"])))
        for criterion in run.thresholds.generable
        for model, table in ((f"{run.model_name} artifact on", generated),
                             ("observed failed", judged))
    ]  # fmt: skip


def study(arguments: argparse.Namespace) -> pd.DataFrame:
    """Fit what is missing from the table, row by row; returns the whole table."""
    from cradle.fitting import fit

    name = arguments.name or arguments.dataset
    path = ROOT / "assets" / "benchmarks" / name / "table.csv"
    table = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=[*KEYS, "value"])
    sizes = {
        key: value
        for key in ("n_cells", "n_genes", "n_perturbations", "n_pairs")
        if (value := getattr(arguments, key)) is not None
    }
    for seed in arguments.seeds:
        for model in arguments.models:
            there = table[(table["seed"] == seed) & (table["qc_mad"] == arguments.mad)]
            if model in set(there["model"]):
                continue
            adata = screen(arguments.dataset, seed, arguments.base, sizes)
            folder = Path(tempfile.mkdtemp())
            simulated = arguments.dataset in ("simulated", "semi_synthetic")
            run = fit(
                adata,
                model,
                out=folder / "run",
                mad=arguments.mad,
                seed=seed,
                split_seed=seed if simulated else arguments.split_seed,
                test_combinations=NORMAN_PAIRS if name.startswith("norman_subset") else None,
            )
            found = scores(run, adata).assign(
                dataset=name, fold=0, train_cells="all", seed=seed, qc_mad=arguments.mad
            )
            known = there["model"].unique()
            fresh = found[~found["model"].isin(known)][[*KEYS, "value"]]
            table = fresh if table.empty else pd.concat([table, fresh], ignore_index=True)
            write_frame(path, table)
            shutil.rmtree(folder)
    return table


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds of the scores that the issue asks for."""
    groups = table.groupby(["model", "split", "metric"])["value"]
    return groups.agg(["mean", "std", "count"]).reset_index()


def main() -> None:
    """Command line; see the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--name", help="folder of the table; default: the dataset")
    parser.add_argument("--models", type=lambda s: s.split(","), default=["cradle_vae"])
    parser.add_argument("--seeds", type=lambda s: [int(x) for x in s.split(",")], default=[0, 1, 2])
    parser.add_argument("--split-seed", type=int, default=0)
    parser.add_argument("--mad", type=float, default=3.0)
    parser.add_argument("--base")
    for size in ("n_cells", "n_genes", "n_perturbations", "n_pairs"):
        parser.add_argument(f"--{size.replace('_', '-')}", type=int)
    table = study(parser.parse_args())
    print(summary(table).to_string(index=False, float_format=lambda v: f"{v:.3f}"))


if __name__ == "__main__":
    main()

"""The studies behind the committed tables: lists of runs for ``python -m cradle benchmark``.

    python -m benchmarks.study norman_subset --seeds 0,1,2
    python -m benchmarks.study norman_subset_rotation --models cradle_vae,sams_vae --seeds 0
    python -m benchmarks.study papalexi --mad 3 --train-cells all,passing
    python -m benchmarks.study simulated --models cradle_vae
    python -m benchmarks.study simulated --name simulated_unseen --seeds 101 \\
        --n-cells 3000 --n-genes 1200
    python -m benchmarks.study semi_synthetic --base pbmc3k_raw.h5ad --seeds 0,1,2

Each study has ``assets/benchmarks/<name>/table.csv`` in long form (dataset, fold, model,
train_cells, seed, qc_mad, split, metric, value) and ``table.md``. Rows are added, never replaced:
a run whose rows are there is not fitted again. By default every model, seeds 0 to 4, thresholds 3,
4 and 5 MAD, all training cells. The run directories stay in ``--work`` (``runs/benchmarks`` by
default), so an interrupted study goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from cradle.errors import InputError
from cradle.files import write_frame, write_text

if TYPE_CHECKING:
    from cradle.benchmark.plan import Fold, RunPlan
    from cradle.benchmark.sweep import Further

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "assets" / "benchmarks"
NORMAN_PAIRS = (
    "KLF1+MAP2K6", "KLF1+TGFBR2", "MAP2K3+MAP2K6", "MAP2K3+SLC38A2", "MAPK1+TGFBR2",
)  # fmt: skip
SIZES = ("n_cells", "n_genes", "n_perturbations", "n_pairs")


@dataclass(frozen=True)
class Study:
    """Where the cells come from and what is held out.

    Parameters
    ----------
    source
        Catalogue name; or simulated anew for each seed, which then splits it too.
    held_out
        ``drawn`` by the seed of the split, the five ``pairs``, a ``rotation`` over every pair, or
        ``all`` combinations at once.
    seeds, sizes
        Unless others are given.
    options
        Further ones of the command that made the committed table.
    """

    source: str
    held_out: Literal["drawn", "pairs", "rotation", "all"] = "drawn"
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    sizes: dict[str, int] = field(default_factory=dict)
    options: str = ""

    @property
    def simulated(self) -> bool:
        """Whether each seed has a screen of its own."""
        return self.source in ("simulated", "semi_synthetic")


STUDIES = {
    "simulated": Study("simulated"),
    # screens that no setting was chosen on
    "simulated_unseen": Study(
        "simulated",
        seeds=(101, 102, 103, 104, 105),
        sizes={"n_cells": 3000, "n_genes": 1200},
        options=" --seeds 101 (102 with --n-cells 4000 --n-genes 1500, 103 with 6000 and 2500)",
    ),
    "semi_synthetic": Study("semi_synthetic", options=" --base pbmc3k_raw.h5ad --seeds 0,1,2"),
    "norman_subset": Study("norman_subset", "pairs"),
    "norman_subset_rotation": Study("norman_subset", "rotation"),
    "papalexi": Study("papalexi"),
    # those of ``benchmarks.zero_shot``, which adds scores of its own
    "norman_subset_zero_shot": Study("norman_subset", "all"),
    "simulated_zero_shot": Study("simulated", "all"),
}


def default_models() -> tuple[str, ...]:
    """Every model that the floor of a run does not hold already."""
    from cradle.models.baselines import BASELINES
    from cradle.models.registry import MODELS

    return tuple(name for name in MODELS if name not in BASELINES)


def folds_of(study: Study, labels: set[str]) -> tuple[Fold, ...]:
    """What is held out, together or in turn."""
    from cradle.benchmark.plan import Fold, rotation
    from cradle.data.dosage import genes_of

    if study.held_out == "rotation":
        return rotation(labels)
    if study.held_out == "all":
        return (Fold("0", tuple(sorted(label for label in labels if len(genes_of(label)) > 1))),)
    return (Fold("0", NORMAN_PAIRS if study.held_out == "pairs" else None),)


def carry_out(arguments: argparse.Namespace, further: Further | None = None) -> pd.DataFrame:
    """Fit what is missing from the table, dataset by dataset; returns the whole table.

    ``further`` scores each run in further ways.
    """
    from cradle.benchmark.plan import plan_runs
    from cradle.benchmark.sweep import Sweep, run_sweep, write_tables
    from cradle.data.sources import load

    study, name = STUDIES[arguments.study], arguments.name or arguments.study
    seeds = arguments.seeds or study.seeds
    table = read_table(name)
    for group in [(seed,) for seed in seeds] if study.simulated else [seeds]:
        folder = arguments.work / name / (f"seed{group[0]}" if study.simulated else "all")
        data = screen(study, folder, group[0], arguments) if study.simulated else study.source
        adata = load(data)
        plans = plan_runs(
            arguments.models or default_models(),
            seeds=group,
            mads=arguments.mad,
            train_cells=arguments.train_cells,
            folds=folds_of(study, set(adata.obs["perturbation"].astype(str))),
            split_seed=group[0] if study.simulated else arguments.split_seed,
            settings=dict(arguments.set),
            epochs=arguments.epochs,
        )
        # tables of searched settings have some for each model
        sweep = Sweep(
            name, data, missing(plans, table), folder, further=further, settings_by_model=True
        )
        run_sweep(sweep, adata, lambda line: print(line, file=sys.stderr, flush=True))
        table = add(name, table, write_tables(sweep))
    return table


def screen(study: Study, folder: Path, seed: int, arguments: argparse.Namespace) -> str:
    """Simulate the screen of a seed; the file."""
    from cradle.simulation import write_simulation

    if study.source == "semi_synthetic" and arguments.base is None:
        raise InputError(
            "There are no cells to implant effects into.",
            "semi_synthetic without --base.",
            "Give a file of real cells: --base FILE.h5ad.",
        )
    base = arguments.base if study.source == "semi_synthetic" else None
    given = {key: value for key in SIZES if (value := getattr(arguments, key)) is not None}
    path = folder / "screen.h5ad"
    write_simulation(path, {**study.sizes, **given, "seed": seed}, base=base)
    return str(path)


def missing(plans: list[RunPlan], table: pd.DataFrame) -> list[RunPlan]:
    """Runs without rows in the table."""
    if table.empty:
        return plans
    keys = list(plans[0].key)
    there = set(table[keys].itertuples(index=False, name=None))
    return [plan for plan in plans if tuple(plan.key.values()) not in there]


def read_table(name: str) -> pd.DataFrame:
    """The committed table of a study; empty when there is none."""
    path = TABLES / name / "table.csv"
    return pd.read_csv(path, dtype={"fold": str}) if path.is_file() else pd.DataFrame()


def add(name: str, table: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    """Write the table with what is new; a row that is there stays as it is."""
    from cradle.benchmark.tables import as_markdown, combined

    table = combined([table, fresh])
    if len(table):
        write_frame(TABLES / name / "table.csv", table)
        maker = "zero_shot --studies" if name.endswith("_zero_shot") else "study"
        options = STUDIES[name].options if name in STUDIES else ""
        text = as_markdown(table, f"python -m benchmarks.{maker} {name}{options}")
        write_text(TABLES / name / "table.md", text)
    return table


def parser(*, some: bool = False) -> argparse.ArgumentParser:
    """Command line; see the top of the file. ``some``: without the study, to be told otherwise."""
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.study",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if not some:
        found.add_argument("study", choices=STUDIES)
    found.add_argument("--name", help="folder of the table (default: the study)")
    found.add_argument("--models", type=listed(str))
    found.add_argument("--seeds", type=listed(int))
    found.add_argument("--mad", type=listed(float), default=(3.0, 4.0, 5.0))
    found.add_argument("--train-cells", type=listed(str), default=("all",))
    found.add_argument("--split-seed", type=int, default=0)
    found.add_argument("--epochs", type=int)
    found.add_argument("--set", action="append", default=[], type=lambda s: s.split("=", 1))
    found.add_argument("--base")
    runs = Path(os.environ.get("CRADLE_RUNS_DIR", "runs"))
    found.add_argument("--work", type=Path, default=runs / "benchmarks")
    for size in SIZES:
        found.add_argument(f"--{size.replace('_', '-')}", type=int)
    return found


def listed(kind: type) -> object:
    """Values separated by commas."""

    def values(text: str) -> tuple[object, ...]:
        return tuple(kind(part) for part in text.split(","))

    values.__name__ = f"list of {kind.__name__}"
    return values


def main() -> None:
    """Run the study; exit code 2 when the arguments are at fault."""
    try:
        table = carry_out(parser().parse_args())
    except InputError as error:
        print(f"{error.what}\n  Found: {error.found}\n  Do: {error.do}", file=sys.stderr)
        sys.exit(2)
    columns = ["qc_mad", "train_cells", "model", "split", "metric"]
    scores = table.groupby(columns)["value"].agg(["mean", "std", "count"]).reset_index()
    print(scores.to_string(index=False, float_format=lambda v: f"{v:.3f}"))


if __name__ == "__main__":
    main()

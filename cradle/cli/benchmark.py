"""``benchmark``."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cradle.cli.options import (
    data_argument,
    held_out,
    input_spec,
    json_option,
    names,
    positive_number,
    reading_options,
    seed_number,
    setting,
    whole_number,
)
from cradle.cli.output import Answer, log, log_dropped

if TYPE_CHECKING:
    from cradle.benchmark.plan import Fold
    from cradle.run_request import TrainCells

#: Options of `reading_options` by the name that they are kept under.
READING = {
    "perturbation": "--perturbation-column",
    "control": "--control",
    "separator": "--separator",
    "counts": "--counts",
    "batch": "--batch-column",
    "symbols": "--symbols",
    "totals": "--total-column",
}


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    command = commands.add_parser(
        "benchmark", help="fit many models and seeds, one process each, and tabulate their scores"
    )
    data_argument(command)
    command.add_argument("--models", required=True, type=names, metavar="A,B,C")
    command.add_argument("--seeds", type=seeds, default=(0,), metavar="N,N", help="default 0")
    command.add_argument("--out", required=True, type=Path, metavar="DIR")
    command.add_argument(
        "--mad", type=mads, default=(3.0,), metavar="K,K", help="thresholds (default 3)"
    )
    command.add_argument("--epochs", type=whole_number(1), metavar="N", help="at most this many")
    command.add_argument(
        "--train-cells", type=train_cells, default=("all",), metavar="all,passing",
        help="'passing' trains on cells that pass quality control only (default all)",
    )  # fmt: skip
    folds = command.add_mutually_exclusive_group()
    folds.add_argument(
        "--test-combinations", type=held_out, action="append", metavar="A+B,C+D",
        help="combinations to hold out, or 'none'; given several times, each is a fold",
    )  # fmt: skip
    folds.add_argument(
        "--rotate", action="store_true", help="hold out every eligible combination, one a fold"
    )
    command.add_argument(
        "--split-seed", type=seed_number, default=0, metavar="N", help="seed of the split"
    )
    command.add_argument("--criteria", type=names, metavar="A,B", help="see 'qc'")
    command.add_argument(
        "--set", action="append", type=setting, default=[], metavar="KEY=VALUE",
        help="a setting of the networks, repeatable",
    )  # fmt: skip
    reading_options(command)
    json_option(command)
    command.set_defaults(run=benchmark)


def seeds(text: str) -> tuple[int, ...]:
    """Seeds separated by commas."""
    return tuple(dict.fromkeys(seed_number(part) for part in names(text)))


def mads(text: str) -> tuple[float, ...]:
    """Thresholds separated by commas."""
    return tuple(dict.fromkeys(positive_number(part) for part in names(text)))


def train_cells(text: str) -> "tuple[TrainCells, ...]":
    """``all``, ``passing`` or both."""
    found: list[TrainCells] = []
    for part in dict.fromkeys(names(text)):
        if part != "all" and part != "passing":
            raise argparse.ArgumentTypeError(f"{part!r} is neither 'all' nor 'passing'")
        found.append("all" if part == "all" else "passing")
    return tuple(found)


seeds.__name__ = "list of whole numbers"  # argparse names the kind in its messages
mads.__name__ = "list of numbers"


def benchmark(arguments: argparse.Namespace) -> Answer:
    """Run what is missing of the benchmark and write its tables."""
    from cradle.benchmark.plan import plan_runs
    from cradle.benchmark.sweep import Sweep, run_sweep
    from cradle.data.catalogue import DATASETS
    from cradle.data.qc_thresholds import check_criteria
    from cradle.data.sources import load

    given = {
        "seeds": arguments.seeds,
        "mads": arguments.mad,
        "train_cells": arguments.train_cells,
        "split_seed": arguments.split_seed,
        "criteria": arguments.criteria and check_criteria(arguments.criteria),
        "settings": dict(arguments.set),
        "epochs": arguments.epochs,
    }
    plan_runs(arguments.models, **given)  # unknown names and settings, before the data are read
    adata = load(arguments.data, spec=input_spec(arguments))
    log_dropped(adata.uns["cradle"])
    folds = _folds(arguments, set(adata.obs["perturbation"].astype(str)))
    name = arguments.data if arguments.data in DATASETS else Path(arguments.data).stem
    sweep = Sweep(
        name,
        arguments.data,
        plan_runs(arguments.models, **given, folds=folds),
        arguments.out,
        _reading(arguments),
        _command(),
    )
    outcomes = run_sweep(sweep, adata, log)
    failed = [o for o in outcomes if o.status == "failed"]
    report = {
        "out": str(arguments.out),
        "table": str(arguments.out / "table.csv"),
        "dataset": name,
        "n_runs": len(outcomes),
        "n_failed": len(failed),
        "runs": [
            {"run": str(o.path), "dataset": name, **o.plan.key, "status": o.status,
             "message": o.message}
            for o in outcomes
        ],
    }  # fmt: skip
    text = f"{arguments.out / 'table.md'}: {len(outcomes) - len(failed)} runs"
    if failed:
        text += f"; {len(failed)} failed, named there and tried again by the same command"
    return Answer(report, f"{text}.", exit_code=1 if failed else 0)


def _folds(arguments: argparse.Namespace, labels: set[str]) -> "tuple[Fold, ...]":
    from cradle.benchmark.plan import folds_of, rotation

    return (
        rotation(labels)
        if arguments.rotate
        else folds_of(labels, arguments.test_combinations or [None])
    )


def _reading(arguments: argparse.Namespace) -> tuple[str, ...]:
    given = {flag: getattr(arguments, name) for name, flag in READING.items()}
    options = [f"{flag}={value}" for flag, value in given.items() if value is not None]
    return (*options, *(["--invert-log1p"] if arguments.invert_log1p else []))


def _command() -> str:
    return f"python -m cradle {shlex.join(sys.argv[1:])}"

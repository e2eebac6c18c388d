"""``models`` and ``fit``."""

import argparse
import signal
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from cradle.cli import termination
from cradle.cli.options import (
    data_argument,
    held_out,
    input_spec,
    json_option,
    quality_options,
    reading_options,
    seed_number,
    seed_option,
    setting,
    whole_number,
)
from cradle.cli.output import Answer, log, log_dropped, number, table
from cradle.processes import STRATEGIES, Processes
from cradle.progress import StoppedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from cradle.runs import Run
    from cradle.training import Progress


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the commands of this group."""
    listed = commands.add_parser("models", help="models by name, with their settings")
    json_option(listed)
    listed.set_defaults(run=models)

    fitted = commands.add_parser("fit", help="train a model and write its run directory")
    data_argument(fitted)
    fitted.add_argument("--model", required=True, metavar="NAME", help="name from 'models'")
    fitted.add_argument("--out", required=True, type=Path, metavar="RUN_DIR")
    quality_options(fitted)
    seed_option(fitted)
    fitted.add_argument("--epochs", type=whole_number(1), metavar="N", help="at most this many")
    fitted.add_argument(
        "--split-seed",
        type=seed_number,
        metavar="N",
        help="seed of the split (default 0; a split that the file brings along is kept)",
    )
    fitted.add_argument(
        "--test-combinations",
        type=held_out,
        metavar="A+B,C+D",
        help="combinations to hold out, or 'none' (default: a quarter of the eligible ones, "
        "by seed)",
    )
    fitted.add_argument(
        "--train-cells",
        choices=("all", "passing"),
        default="all",
        help="'passing' trains on cells that pass quality control only",
    )
    fitted.add_argument(
        "--genes",
        type=_gene_choice,
        metavar="N|all",
        help="highly variable genes to model (default: all up to 5,000)",
    )
    fitted.add_argument(
        "--set",
        action="append",
        type=setting,
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the model, repeatable; 'models' lists them",
    )
    fitted.add_argument(
        "--on-disk",
        action="store_true",
        help="leave the counts on the disk: for a file larger than memory, in standard form",
    )
    several = fitted.add_argument_group("training on several processes; see README, On a cluster")
    several.add_argument("--devices", type=whole_number(1), default=1, metavar="N",
                         help="processes on each machine (default 1)")  # fmt: skip
    several.add_argument("--num-nodes", type=whole_number(1), default=1, metavar="N",
                         help="machines (default 1)")  # fmt: skip
    several.add_argument("--strategy", choices=STRATEGIES, default="ddp")
    fitted.add_argument("--resume", action="store_true", help="continue an incomplete run")
    reading_options(fitted)
    json_option(fitted)
    fitted.set_defaults(run=fit)


def _gene_choice(text: str) -> int | Literal["all"]:
    return "all" if text == "all" else whole_number(1)(text)


_gene_choice.__name__ = "number of genes"  # argparse names the kind in its messages


def models(_: argparse.Namespace) -> Answer:
    """List the registry."""
    from cradle.models.config import defaults_for
    from cradle.models.registry import MODELS

    rows: list[dict[str, Any]] = [
        {
            "name": spec.name,
            "label": spec.label,
            "generates": spec.generates,
            "combinations": spec.combinations,
            "settings": asdict(spec.config()) if spec.is_network else {},
        }
        for spec in MODELS.values()
    ]
    text = table(
        ("name", "label", "generates cells", "unseen combinations"),
        [(r["name"], r["label"], _yes(r["generates"]), _yes(r["combinations"])) for r in rows],
    )
    keys = ", ".join(next(r["settings"] for r in rows if r["settings"]))
    by_size = ", ".join(defaults_for(n_cells=1, n_genes=1, combinations=True))
    text += f"\n\nSettings of the networks (--set): {keys}"
    text += f"\n\nBy the size of the data unless given: {by_size}"
    return Answer({"models": rows}, text)


def _yes(value: Any) -> str:
    return "yes" if value else "no"


def fit(arguments: argparse.Namespace) -> Answer:
    """Train a model."""
    from cradle.data.preparation import SPLIT_OF_FILE, split_source
    from cradle.data.sources import load
    from cradle.fitting import fit as train
    from cradle.models.registry import model_spec

    settings = dict(arguments.set)
    model_spec(arguments.model).config(settings)  # before the data are read
    adata = load(arguments.data, spec=input_spec(arguments), on_disk=arguments.on_disk)
    log_dropped(adata.uns["cradle"])
    split_seed = arguments.split_seed or 0
    if split_source(adata, split_seed, arguments.test_combinations) == SPLIT_OF_FILE:
        idle = "" if arguments.split_seed is None else "; --split-seed has no effect on it"
        log(f"The file brings its own split, which is used{idle}.")
    processes = Processes(arguments.devices, arguments.num_nodes, arguments.strategy)
    with _Watch(processes.leads) as watch:
        run = train(
            adata,
            arguments.model,
            settings,
            out=arguments.out,
            mad=arguments.mad,
            seed=arguments.seed,
            split_seed=split_seed,
            test_combinations=arguments.test_combinations,
            train_cells=arguments.train_cells,
            criteria=arguments.criteria,
            n_top_genes=arguments.genes,
            epochs=arguments.epochs,
            resume=arguments.resume,
            progress=watch,
            processes=processes,
        )
    report = fit_report(run)
    text = (
        f"{run.path}: {report['model']}, {report['n_train']:,} training cells, "
        f"{report['epochs']} epochs, validation ELBO {number(report['val_elbo'], 6)} "
        f"nats per cell, {report['seconds']:.0f} s."
    )
    return Answer(report, text)


def fit_report(run: "Run") -> dict[str, Any]:
    """What ``fit --json`` prints; a baseline has no epochs, no ELBO and no parameters."""
    elbo = run.history["val_elbo"]
    network = getattr(run.predictor(), "model", None)
    return {
        "run": str(run.path),
        "model": run.model_name,
        "epochs": len(elbo),
        "val_elbo": float(elbo.max()) if len(elbo) else None,
        "seconds": run.provenance["seconds"],
        "n_train": len(run.library_sizes),
        "n_parameters": sum(p.numel() for p in network.parameters()) if network else 0,
    }


class _Watch:
    """Says each epoch on stderr, and turns SIGTERM or Ctrl-C into a stop at the end of the epoch.

    Before and after training there is nothing to keep, and who asks a second time means at once:
    then the earlier handler decides. A process that does not lead leaves Ctrl-C, which reaches
    all of a terminal, to the one that does; who was started to ignore it does.
    """

    def __init__(self, leads: bool) -> None:
        self.training = self.asked = False
        heeds = leads and signal.getsignal(signal.SIGINT) != signal.SIG_IGN
        self.handlers = {
            signal.SIGTERM: self._stop, signal.SIGINT: self._stop if heeds else signal.SIG_IGN
        }  # fmt: skip
        self.otherwise = {n: signal.getsignal(n) or signal.SIG_DFL for n in self.handlers}

    def __enter__(self) -> Self:
        if termination.asked.is_set():  # while libraries were imported, one of which lost it
            termination.end()
        self._handle(self.handlers)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle(self.otherwise)

    def _handle(self, handlers: "Mapping[signal.Signals, Any]") -> None:
        if threading.current_thread() is threading.main_thread():  # others may not set handlers
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: "FrameType | None") -> None:
        if self.training and not self.asked:
            self.asked = True
            log("Stopping at the end of this epoch; ask again to stop at once.")
            return
        self._handle(self.otherwise)
        signal.raise_signal(number)

    def __call__(self, progress: "Progress") -> None:
        """Say one line for the person who waits."""
        elbo = number(progress.metrics.get("val_elbo"), 6)
        mark = " *" if progress.improved else ""
        log(f"epoch {progress.epoch + 1} of at most {progress.max_epochs}  val_elbo {elbo}{mark}")
        self.training = not progress.last
        if self.training and (self.asked or termination.asked.is_set()):
            raise StoppedError(f"after epoch {progress.epoch + 1}")

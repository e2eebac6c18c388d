"""``generate``, ``effects``, ``evaluate``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cradle.cli.options import (
    input_spec,
    json_option,
    new_file,
    positive_number,
    reading_options,
    seed_option,
    whole_number,
)
from cradle.cli.output import Answer, number, table
from cradle.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.runs import Run


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the commands of this group."""
    generated = _run_command(commands, "generate", "generate cells of any perturbation", generate)
    generated.add_argument("--perturbation", required=True, metavar="A+B")
    generated.add_argument("--n-cells", required=True, type=whole_number(1), metavar="N")
    generated.add_argument(
        "--artifact",
        choices=("off", "on", "twins"),
        default="off",
        help="'twins' gives each cell with the artifact off and on",
    )
    seed_option(generated)
    generated.add_argument(
        "--library-size",
        type=positive_number,
        metavar="N",
        help="counts per cell (default: drawn from the training cells)",
    )
    generated.add_argument("--out", required=True, type=new_file(".h5ad"), metavar="CELLS.h5ad")
    effected = _run_command(commands, "effects", "observed and predicted effects", effects)
    effected.add_argument("--out", required=True, type=new_file(".csv"), metavar="EFFECTS.csv")
    evaluated = _run_command(commands, "evaluate", "scores on held-out and other cells", evaluate)
    evaluated.add_argument(
        "--side",
        choices=("all", "passing"),
        default="all",
        help="observed cells that count: all (default), or those that pass quality control",
    )


def _run_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    summary: str,
    action: Any,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary)
    command.add_argument("run_dir", metavar="RUN_DIR", type=Path, help="folder written by 'fit'")
    command.add_argument(
        "--data", metavar="DATA", help="the dataset of the run; it must be the same one"
    )
    reading_options(command)
    json_option(command)
    command.set_defaults(run=action)
    return command


def _opened(arguments: argparse.Namespace) -> "tuple[Run, AnnData | None]":
    """The run, and its dataset where one is given."""
    from cradle.data.sources import data_hash, load
    from cradle.runs import Run

    run = Run.load(arguments.run_dir)
    if arguments.data is None:
        return run, None
    adata = load(arguments.data, spec=input_spec(arguments))
    expected, found = str(run.config.get("data_hash")), data_hash(adata)
    if expected != found:
        raise InputError(
            "These are not the data that the run was fitted on.",
            f"{arguments.data} with hash {found[:12]}, the run has {expected[:12]}.",
            "Give the original file, or leave --data out to use the stored tables.",
        )
    return run, adata


def generate(arguments: argparse.Namespace) -> Answer:
    """Write generated cells."""
    from cradle.bundle import asked, origin
    from cradle.files import write_h5ad

    run, _ = _opened(arguments)
    if not run.spec.generates:
        raise InputError(
            "This model predicts effects, not cells.",
            f"{run.path} holds {run.spec.label}: {run.spec.why_no_cells}.",
            "Use a model for which 'models' says that it generates.",
        )
    cells = run.predictor().generate(  # type: ignore[union-attr]
        arguments.perturbation,
        arguments.n_cells,
        artifact=arguments.artifact,
        seed=arguments.seed,
        library_size=arguments.library_size,
    )
    label = str(cells.obs["perturbation"].iloc[0])
    given = arguments.n_cells, arguments.artifact, arguments.seed, arguments.library_size
    query = asked(label, *given)
    cells.uns["cradle"] = {"generated": origin(run, query)}
    write_h5ad(arguments.out, cells)
    passed = 1 - cells.obs.groupby("artifact", observed=True)["qc_fail"].mean()
    report = {
        "out": str(arguments.out),
        "perturbation": label,
        "support": run.support(label),
        "n_cells": cells.n_obs,
        "pass_rate": passed.to_dict(),
        "criteria": list(run.thresholds.generable),
    }
    rates = ", ".join(f"artifact {k}: {100 * v:.1f} % pass" for k, v in passed.items())
    text = (
        f"{arguments.out}: {cells.n_obs:,} cells of {label} ({report['support']}); {rates} "
        f"({', '.join(report['criteria']) or 'no generable criterion'})."
    )
    return Answer(report, text)


def effects(arguments: argparse.Namespace) -> Answer:
    """Write the table of observed and predicted effects."""
    from cradle.evaluation.report import effect_table
    from cradle.files import without_formulas, write_frame

    run, _ = _opened(arguments)
    found = effect_table(run)
    write_frame(arguments.out, without_formulas(found))
    unanswered = sorted(found.loc[found["predicted"].isna(), "perturbation"].unique())
    report = {
        "out": str(arguments.out),
        "rows": len(found),
        "perturbations": int(found["perturbation"].nunique()),
        "genes": int(found["gene"].nunique()),
        "not_applicable": unanswered,
    }
    text = (
        f"{arguments.out}: {report['perturbations']} perturbations × {report['genes']:,} genes, "
        "log2(1 + 1e4·x/library size) against control."
    )
    if unanswered:
        text += f"\nNot applicable to this model: {', '.join(unanswered)}."
    return Answer(report, text)


def evaluate(arguments: argparse.Namespace) -> Answer:
    """Score the run, with the cells where they are given, else from the stored tables."""
    from cradle.evaluation.report import evaluate_run

    run, adata = _opened(arguments)
    report = evaluate_run(run, adata, side=arguments.side)
    lines = [_scores(report), *report["record"]["warnings"], *_not_applicable(report),
             *_pass_rates(report), *_truth(report)]  # fmt: skip
    return Answer(report, "\n".join(lines))


def _scores(report: dict[str, Any]) -> str:
    """The scores of each split beside the floor and the ceiling."""
    columns = ("ate_rho", "ate_r2", "jaccard_50", "n_perturbations")
    named = {split: report.get(split) for split in ("test", "val", "train", "all")}
    for baseline, splits in (report.get("floor") or {}).items():
        named[f"floor: {baseline}, test"] = splits.get("test")
    named["replicate, test"] = (report.get("replicate") or {}).get("test")
    named["ceiling, test"] = (report.get("ceiling") or {}).get("test")
    rows = [(name, *(row.get(c) for c in columns)) for name, row in named.items() if row]
    return table(("", *columns), rows)


def _not_applicable(report: dict[str, Any]) -> list[str]:
    """Perturbations that the model cannot express, a line per split."""
    return [
        f"{split}: not applicable to this model: {', '.join(labels)}"
        for split, labels in report["record"]["not_applicable"].items()
    ]


def _pass_rates(report: dict[str, Any]) -> list[str]:
    """Quality of generated test cells beside that of observed ones, a line per threshold."""
    scored = report.get("test") or report.get("val") or {}
    return [
        f"QC pass rate at {k} MAD: generated {_percent(row['rate'])} "
        f"[{_percent(row['low'])}, {_percent(row['high'])}], observed {_percent(row['observed'])} "
        f"({', '.join(row['criteria']) or 'no generable criterion'}"
        f"{'' if row.get('applicable', True) else '; not comparable: ' + row['reason']})"
        for k, row in (scored.get("qcpr") or {}).items()
    ]


def _truth(report: dict[str, Any]) -> list[str]:
    """Agreement with the truth of a simulated screen."""
    flat = {k: v for k, v in (report.get("truth") or {}).items() if not isinstance(v, dict)}
    return [f"simulated truth: {name} {number(value)}" for name, value in flat.items()]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"

"""``qc``."""

import argparse
from typing import TYPE_CHECKING, Any

from cradle.cli.options import (
    data_argument,
    input_spec,
    json_option,
    new_file,
    quality_options,
    reading_options,
    seed_option,
)
from cradle.cli.output import Answer, log, table

if TYPE_CHECKING:
    import pandas as pd

    from cradle.data.qc import QCThresholds


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    command = commands.add_parser("qc", help="fit quality thresholds and flag the cells")
    data_argument(command)
    quality_options(command)
    seed_option(command)
    command.add_argument(
        "--out", type=new_file(".h5ad"), metavar="FILE.h5ad", help="write the flagged cells"
    )
    reading_options(command)
    json_option(command)
    command.set_defaults(run=qc)


def qc(arguments: argparse.Namespace) -> Answer:
    """Fit the thresholds on training cells, or on all where there is no split; flag all cells."""
    from cradle.data.qc import (
        CRITERIA,
        annotate,
        apply_thresholds,
        cell_metrics,
        fit_thresholds,
        maybe_biology,
    )
    from cradle.data.qc_thresholds import check_criteria
    from cradle.data.sources import load
    from cradle.files import write_h5ad

    criteria = check_criteria(arguments.criteria or CRITERIA)
    adata = load(arguments.data, require_labels=False, spec=input_spec(arguments))
    metrics = cell_metrics(adata, doublets="doublet" in criteria, seed=arguments.seed)
    thresholds = fit_thresholds(adata, mad=arguments.mad, criteria=criteria, metrics=metrics)
    flags = apply_thresholds(metrics, thresholds)
    labelled = "perturbation" in adata.obs
    biology = maybe_biology(flags, adata.obs["perturbation"]) if labelled else {}
    if arguments.out is not None:
        write_h5ad(arguments.out, annotate(adata, thresholds, metrics=metrics))
    for warning in thresholds.warnings:
        log(f"Warning: {warning}")
    report = quality_report(flags, thresholds, biology)
    return Answer(report, _text(report))


def quality_report(
    flags: "pd.DataFrame", thresholds: "QCThresholds", biology: dict[str, list[str]]
) -> dict[str, Any]:
    """What ``qc --json`` prints.

    Parameters
    ----------
    flags
        Of `apply_thresholds`.
    thresholds
        Of `fit_thresholds`.
    biology
        Of `maybe_biology`; empty where there are no labels.
    """
    n_fail = int(flags["qc_fail"].sum())
    return {
        "n_cells": len(flags),
        "n_fail": n_fail,
        "pass_rate": 1 - n_fail / len(flags),
        "mad": thresholds.mad,
        "fitted_on": thresholds.fitted_on,
        "criteria": list(thresholds.criteria),
        "thresholds": {
            name: {
                "threshold": fitted.threshold,
                "side": fitted.side,
                "n_fail": int(flags[f"fails_{name}"].sum()),
                "measurable": fitted.measurable,
                "reason": fitted.reason,
                "maybe_biology": biology.get(name, []),
                "median": fitted.median,
                "mad": fitted.mad,
            }
            for name, fitted in thresholds.observed.items()
        },
    }


def _text(report: dict[str, Any]) -> str:
    rows = [
        (
            name,
            row["threshold"],
            {"low": "below", "high": "above"}[row["side"]],
            row["n_fail"] if row["measurable"] else "not measurable",
            ", ".join(row["maybe_biology"][:3]) or "–",
        )
        for name, row in report["thresholds"].items()
    ]
    header = ("criterion", "threshold", "fails", "cells that fail", "may be biology in")
    return (
        f"{report['n_fail']:,} of {report['n_cells']:,} cells fail "
        f"({100 * report['pass_rate']:.1f} % pass) at {report['mad']:g} MAD; "
        f"fitted on {report['fitted_on']}.\n{table(header, rows)}"
    )

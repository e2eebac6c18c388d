"""``datasets``, ``fetch``, ``validate``, ``simulate``."""

import argparse
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from cradle.cli.options import (
    input_spec,
    json_option,
    new_file,
    reading_options,
    seed_option,
    share,
    whole_number,
)
from cradle.cli.output import Answer, log, log_dropped, table
from cradle.errors import INPUT_AT_FAULT, InputError

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.data.schema import Violation


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the commands of this group."""
    listed = commands.add_parser("datasets", help="catalogue with availability")
    json_option(listed)
    listed.set_defaults(run=datasets)

    fetched = commands.add_parser("fetch", help="download, verify and cache a dataset")
    fetched.add_argument("name", metavar="NAME", help="name from 'datasets'")
    json_option(fetched)
    fetched.set_defaults(run=fetch)

    checked = commands.add_parser("validate", help="check a file and say all that is wrong with it")
    checked.add_argument("data", metavar="FILE", type=Path, help="an .h5ad file or Zarr store")
    checked.add_argument(
        "--out", type=new_file(".h5ad"), metavar="FILE.h5ad", help="write the standard form"
    )
    reading_options(checked)
    json_option(checked)
    checked.set_defaults(run=validate)

    simulated = commands.add_parser("simulate", help="write a simulated screen with known truth")
    simulated.add_argument("out", metavar="OUT.h5ad", type=new_file(".h5ad"))
    simulated.add_argument(
        "--base",
        metavar="FILE.h5ad",
        help="real cells to implant effects and artifacts into (semi-synthetic screen); as many "
        "cells as there are, unless --cells says otherwise",
    )
    for option, setting, least in (
        ("cells", "n_cells", 1),
        ("genes", "n_genes", 1),
        ("perturbations", "n_perturbations", 1),
        ("pairs", "n_pairs", 0),
    ):
        simulated.add_argument(
            f"--{option}", dest=setting, type=whole_number(least), metavar=option[0].upper()
        )
    simulated.add_argument("--artifact-rate", type=share, metavar="SHARE", help="default 0.2")
    simulated.add_argument(
        "--ceiling",
        action="store_true",
        help="also say what the truth allows: how well observed effects and clean cells score; "
        "calls doublets, which takes longest",
    )
    seed_option(simulated)
    json_option(simulated)
    simulated.set_defaults(run=simulate)


def datasets(_: argparse.Namespace) -> Answer:
    """List the catalogue."""
    from cradle.data.catalogue import datasets as catalogue

    rows = [row.to_dict() for row in catalogue()]
    text = table(
        ("name", "where", "size as published", "what"),
        [(row["name"], row["state"], row["published"], row["title"]) for row in rows],
    )
    return Answer({"datasets": rows}, text)


def fetch(arguments: argparse.Namespace) -> Answer:
    """Download a dataset unless it is there already."""
    from cradle.data.download import fetch as download

    path = download(arguments.name, progress=_Progress(arguments.name))
    return Answer({"name": arguments.name, "path": str(path)}, str(path))


class _Progress:
    """Says on stderr how far a download is, whenever another percent has arrived."""

    def __init__(self, name: str) -> None:
        self.name, self.shown = name, -1

    def __call__(self, received: int, total: int | None) -> None:
        percent = 100 * received // total if total else 0
        if percent == self.shown and received != total:
            return
        self.shown = percent
        of = f" of {total / 1e6:,.0f} MB ({percent} %)" if total else ""
        print(f"\r{self.name}: {received / 1e6:,.0f} MB{of}", end="", file=sys.stderr, flush=True)
        if received == total:
            print(file=sys.stderr)


def validate(arguments: argparse.Namespace) -> Answer:
    """Check a file: the gate, the standard form, every violation of it."""
    from cradle.files import write_h5ad

    adata, violations = _checked(arguments)
    n_cells, n_genes = (None, None) if adata is None else adata.shape
    report = {
        "ok": not violations,
        "violations": [asdict(violation) for violation in violations],
        "n_cells": n_cells,
        "n_genes": n_genes,
    }
    if violations or adata is None:
        log("\n".join(f"{v.what}\n  Found: {v.found}\n  Do: {v.do}" for v in violations))
        return Answer(report, f"{len(violations)} to mend, listed above.", INPUT_AT_FAULT)
    log_dropped(adata.uns["cradle"])
    if arguments.out is not None:
        write_h5ad(arguments.out, adata)
    return Answer(report, f"Nothing wrong: {n_cells:,} cells × {n_genes:,} genes.")


def _checked(arguments: argparse.Namespace) -> "tuple[AnnData | None, list[Violation]]":
    """The dataset as far as it could be read, and everything that is wrong with it."""
    from cradle.data.gate import open_safely
    from cradle.data.schema import Violation, is_standard
    from cradle.data.schema import validate as violations_of
    from cradle.data.standardize import check_unread, standardize

    adata = None
    try:
        adata = open_safely(arguments.data)
        if is_standard(adata):
            check_unread(input_spec(arguments))
        else:
            name = arguments.data.stem
            adata = standardize(adata, input_spec(arguments), name=name)
    except InputError as error:
        return adata, [Violation(error.what, error.found, error.do)]
    return adata, violations_of(adata)


def simulate(arguments: argparse.Namespace) -> Answer:
    """Simulate a screen, from nothing or on top of real cells."""
    from cradle.simulation import SimulationConfig, truth_ceiling, write_simulation

    known = {field.name for field in fields(SimulationConfig)}
    given = {k: v for k, v in vars(arguments).items() if k in known and v is not None}
    adata = write_simulation(arguments.out, given, base=arguments.base)
    report = {
        "out": str(arguments.out),
        "n_cells": adata.n_obs,
        "n_genes": adata.n_vars,
        "perturbations": int(adata.obs["perturbation"].nunique()) - 1,
        "base": None if arguments.base is None else str(arguments.base),
        "seed": arguments.seed,
    }
    text = (
        f"{arguments.out}: {adata.n_obs:,} simulated cells × {adata.n_vars:,} genes, "
        f"{report['perturbations']} perturbations, seed {arguments.seed}."
    )
    if arguments.ceiling:
        report["ceiling"] = ceiling = truth_ceiling(adata)
        found = ceiling["effect_correlation"]["all_cells"]
        told = [f"{found[of]:.2f} ({of})" for of in ("singles", "pairs") if found[of] is not None]
        text += (
            f" Observed effects correlate with the true ones by {' and '.join(told)}; "
            f"{ceiling['clean_pass_rate']['3']:.1%} of the clean cells pass quality control "
            f"at 3 MAD, of all cells {ceiling['observed_pass_rate']['3']:.1%}."
        )
    return Answer(report, text)

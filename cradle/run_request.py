"""What a run is asked for, and whether a run directory was asked for the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from cradle.data.qc import CRITERIA
from cradle.data.qc_thresholds import check_criteria
from cradle.data.splits import canonical_labels
from cradle.errors import InputError
from cradle.run_tables import read_json
from cradle.runs import DONE, RUN_SCHEMA, Run

TrainCells = Literal["all", "passing"]
#: Asks to hold nothing out, as an empty sequence does in Python. In ``config.json`` an empty list
#: stands for combinations drawn by the seed of the split, as it always did.
NOTHING_HELD_OUT = "none"


def run_request(
    data_hash: str,
    model: str,
    settings: Mapping[str, Any],
    *,
    mad: float = 3.0,
    seed: int = 0,
    split_seed: int = 0,
    test_combinations: Sequence[str] | None = None,
    train_cells: TrainCells = "all",
    criteria: Sequence[str] | None = None,
    n_top_genes: int | Literal["all"] | None = None,
) -> dict[str, Any]:
    """What a run is asked for, as its ``config.json`` keeps it: two equal ones are one run.

    Criteria and combinations to hold out have one way to be written, whatever their order.

    Raises
    ------
    InputError
        A criterion is unknown, or a combination cannot be one.
    """
    return {
        "schema": RUN_SCHEMA,
        "model": model,
        "seed": seed,
        "mad": float(mad),
        "criteria": list(check_criteria(criteria or CRITERIA)),
        "train_cells": train_cells,
        "split_seed": split_seed,
        "test_combinations": (
            NOTHING_HELD_OUT
            if test_combinations is not None and not test_combinations
            else canonical_labels(test_combinations or ())
        ),
        "n_top_genes": n_top_genes,
        "requested": dict(settings),
        "data_hash": data_hash,
    }


def differing(there: Mapping[str, Any], request: Mapping[str, Any]) -> list[str]:
    """Names of what a run was asked for otherwise, settings by their own; empty when it is the
    same run.

    Parameters
    ----------
    there
        The run's ``config.json``.
    request
        What it is compared with, or a part of that.
    """
    found: list[str] = []
    for name, value in request.items():
        was = there.get(name)
        if name == "requested" and isinstance(was, dict):
            found += [k for k in {**was, **value} if was.get(k, ...) != value.get(k, ...)]
        elif _as_now(was) != _as_now(value):
            found.append(name)
    return found


def _as_now(value: Any) -> Any:
    """Lists of names in one order, which earlier versions kept as they were given."""
    if not isinstance(value, list):
        return value
    return canonical_labels(str(name) for name in value)


def resumable(out: Path, request: Mapping[str, Any], resume: bool) -> Run | None:
    """The finished run in ``out``, if any; refuses to write over another run."""
    if not (out / "config.json").is_file():
        return None
    there = read_json(out / "config.json")
    if not resume:
        raise InputError(
            "The run directory is in use.",
            f"{out} holds a run of {there.get('model')}.",
            "Give another folder, or pass --resume to continue that run.",
        )
    if different := differing(there, request):
        raise InputError(
            "The run in this folder was started with other arguments.",
            f"{out}: {', '.join(different)} differ.",
            "Resume with the same arguments, or give another folder.",
        )
    return Run.load(out) if (out / DONE).is_file() else None


def just_begun(out: Path, request: Mapping[str, Any]) -> bool:
    """Whether the run in ``out`` may be the one that has just begun here: nothing is trained."""
    trained = (out / DONE).is_file() or (out / "resume" / "state.json").is_file()
    begun = (out / "config.json").is_file() and not trained
    return begun and not differing(read_json(out / "config.json"), request)

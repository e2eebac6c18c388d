"""Which runs a benchmark consists of, and what each asks of ``fit``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cradle.errors import InputError
from cradle.models.baselines import BASELINES
from cradle.models.registry import model_spec
from cradle.run_request import NOTHING_HELD_OUT, TrainCells, differing, run_request


@dataclass(frozen=True)
class Fold:
    """Combinations held out together.

    Parameters
    ----------
    name
        In the column ``fold`` of the table.
    test_combinations
        Held-out combinations, none of them if empty; None: drawn by the seed of the split.
    """

    name: str = "0"
    test_combinations: tuple[str, ...] | None = None


@dataclass(frozen=True)
class RunPlan:
    """One run of a benchmark; the names are those of :func:`cradle.fitting.fit`."""

    model: str
    seed: int = 0
    mad: float = 3.0
    train_cells: TrainCells = "all"
    fold: Fold = field(default_factory=Fold)
    split_seed: int = 0
    criteria: tuple[str, ...] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    epochs: int | None = None

    @property
    def folder(self) -> str:
        """Name of the run directory."""
        fold = re.sub(r"[^\w+.-]", "_", self.fold.name)
        return f"{self.model}-{self.train_cells}-mad{self.mad:g}-fold{fold}-seed{self.seed}"

    @property
    def key(self) -> dict[str, Any]:
        """Its columns in the table."""
        return {
            "fold": self.fold.name,
            "model": self.model,
            "train_cells": self.train_cells,
            "seed": self.seed,
            "qc_mad": self.mad,
        }

    def request(self, data_hash: str) -> dict[str, Any]:
        """What its ``config.json`` must say."""
        epochs = {} if self.epochs is None else {"max_epochs": self.epochs}
        return run_request(
            data_hash,
            self.model,
            {**self.settings, **epochs},
            mad=self.mad,
            seed=self.seed,
            split_seed=self.split_seed,
            test_combinations=self.fold.test_combinations,
            train_cells=self.train_cells,
            criteria=self.criteria,
        )

    def arguments(self, data: str, out: Path) -> list[str]:
        """Arguments of ``python -m cradle`` that fit or continue it."""
        held_out = self.fold.test_combinations
        options: dict[str, Any] = {
            "--model": self.model,
            "--out": out,
            "--mad": self.mad,
            "--seed": self.seed,
            "--split-seed": self.split_seed,
            "--train-cells": self.train_cells,
            "--epochs": self.epochs,
            "--test-combinations": (
                None if held_out is None else ",".join(held_out) or NOTHING_HELD_OUT
            ),
            "--criteria": ",".join(self.criteria or ()) or None,
        }
        given = [f"{name}={value}" for name, value in options.items() if value is not None]
        settings = [f"--set={name}={value}" for name, value in self.settings.items()]
        return ["fit", data, *given, *settings, "--resume"]


def plan_runs(
    models: Sequence[str],
    *,
    seeds: Sequence[int] = (0,),
    mads: Sequence[float] = (3.0,),
    train_cells: Sequence[TrainCells] = ("all",),
    folds: Sequence[Fold] = (Fold(),),
    split_seed: int = 0,
    criteria: Sequence[str] | None = None,
    settings: Mapping[str, str] | None = None,
    epochs: int | None = None,
) -> list[RunPlan]:
    """Models × seeds × thresholds × training cells × folds, each once.

    Parameters
    ----------
    settings, epochs
        Of the networks; baselines have none.

    Raises
    ------
    InputError
        A model or a setting is unknown.
    """
    plans = []
    for fold, mad, seed, cells, model in itertools.product(
        folds, mads, seeds, train_cells, dict.fromkeys(models)
    ):
        spec = model_spec(model)
        own = dict(settings or {}) if spec.is_network else {}
        spec.config(own)
        plans.append(
            RunPlan(
                model,
                seed,
                float(mad),
                cells,
                fold,
                split_seed,
                tuple(criteria) if criteria else None,
                own,
                epochs if spec.is_network else None,
            )
        )
    return list({plan.folder: plan for plan in plans}.values())


def check_beside(
    plans: Iterable[RunPlan],
    path: Path,
    there: Mapping[str, Any],
    fold: str,
    settings_by_model: bool = False,
) -> None:
    """Refuse plans that cannot stand in one table with another run.

    What the table has no column for is one for all of its rows.

    Parameters
    ----------
    path, there, fold
        Of the run: its directory, ``config.json`` and fold.
    settings_by_model
        Whether another model may have other settings.

    Raises
    ------
    InputError
        Naming what the run was asked for otherwise.
    """
    for plan in plans:
        apart = {"model", "seed", "mad", "train_cells"}
        if fold != plan.fold.name:
            apart.add("test_combinations")
        models = {str(there.get("model")), plan.model}
        # baselines have no settings
        if models & BASELINES.keys() or (settings_by_model and len(models) > 1):
            apart.add("requested")
        request = plan.request(str(there.get("data_hash")))
        request = {name: value for name, value in request.items() if name not in apart}
        if different := differing(there, request):
            raise InputError(
                "The folder holds a benchmark with other arguments.",
                f"{', '.join(different)} of {plan.folder} are not those of {path}.",
                "Use the same arguments, or give another folder.",
            )


def folds_of(
    perturbations: Iterable[str], held_out: Sequence[Sequence[str] | None]
) -> tuple[Fold, ...]:
    """Folds numbered from 0; None: drawn by the seed of the split.

    Raises
    ------
    InputError
        A combination is not measured.
    """
    from cradle.data.splits import measured

    labels = sorted(set(perturbations))
    for combinations in held_out:
        measured(combinations or (), labels)
    return tuple(
        Fold(str(i), None if combinations is None else tuple(combinations))
        for i, combinations in enumerate(held_out)
    )


def rotation(perturbations: Iterable[str]) -> tuple[Fold, ...]:
    """Every combination that could be held out, each a fold of its own, named by its label.

    Raises
    ------
    InputError
        There is none.
    """
    from cradle.data.splits import eligible_combinations

    labels = set(perturbations)
    eligible = eligible_combinations(labels)
    if not eligible:
        raise InputError(
            "There is no combination to rotate over.",
            f"{len(labels)} perturbations, none of them a combination whose every gene is "
            "perturbed elsewhere too.",
            "Leave --rotate out.",
        )
    return tuple(Fold(label, (label,)) for label in eligible)

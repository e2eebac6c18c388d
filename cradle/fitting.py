"""From a standard dataset to a finished run: split, thresholds, training, evaluation."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from cradle.data.cell_source import cell_source, check_room
from cradle.data.columns import coded_texts
from cradle.data.dosage import Design
from cradle.data.preparation import Screen, perturbation_table, prepare, used_cells
from cradle.data.sources import data_hash
from cradle.errors import InputError, check_seed
from cradle.evaluation.moments import compute_moments
from cradle.files import make_folder, write_frame, write_json, write_text
from cradle.models.registry import ModelSpec, model_spec
from cradle.processes import ONE_PROCESS, Processes
from cradle.progress import seconds_before
from cradle.run_folders import alone, new_run_path
from cradle.run_request import TrainCells, just_begun, resumable, run_request
from cradle.runs import DONE, WEIGHTS, Run
from cradle.weights import write_tensors

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.training import Progress


def fit(
    adata: AnnData,
    model: str,
    config: Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    mad: float = 3.0,
    seed: int = 0,
    split_seed: int = 0,
    test_combinations: Sequence[str] | None = None,
    train_cells: TrainCells = "all",
    criteria: Sequence[str] | None = None,
    n_top_genes: int | Literal["all"] | None = None,
    epochs: int | None = None,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    processes: Processes = ONE_PROCESS,
) -> Run:
    """Train a model of the registry on a standard dataset and write its run directory.

    Parameters
    ----------
    model
        Name in the registry.
    config
        Settings on top of the model's own; see :class:`cradle.models.config.VAEConfig`.
    out
        Run directory to write; it appears at once and is complete when ``DONE`` does.
        By default a new folder in ``CRADLE_RUNS_DIR`` (``./runs`` unless set).
    mad, criteria, split_seed, test_combinations, n_top_genes
        See :func:`prepare`.
    train_cells
        ``passing`` trains on QC-passing cells only.
    epochs
        Upper limit, on top of early stopping.
    resume
        Continue an incomplete run in ``out``; a complete one is returned as it is.
    processes
        How many train a network together. Those that do not lead end here (SystemExit) when
        training does.

    Raises
    ------
    InputError
        The arguments cannot be used, no control cell is left to learn from, ``out`` holds another
        run, or another process fits there.
    """
    spec = model_spec(model)
    out = new_run_path(model) if out is None else Path(out)
    check_seed(seed)
    check_seed(split_seed, "seed of the split")
    settings = {**(config or {}), **({"max_epochs": epochs} if epochs else {})}
    hemoglobin_regex = spec.config(settings).hemoglobin_regex
    request = run_request(
        data_hash(adata),
        model,
        settings,
        mad=mad,
        seed=seed,
        split_seed=split_seed,
        test_combinations=test_combinations,
        train_cells=train_cells,
        criteria=criteria,
        n_top_genes=n_top_genes,
    )

    def prepared() -> Screen:
        screen = prepare(
            adata,
            mad=mad,
            criteria=request["criteria"],
            split_seed=split_seed,
            test_combinations=test_combinations,
            n_top_genes=n_top_genes,
            hemoglobin_regex=hemoglobin_regex,
        )
        used_cells(screen.adata.obs, train_cells)  # refused before anything is written
        return screen

    if not processes.leads:
        if spec.is_network and _left_to_train(out, request, resume):
            _train(out, prepared(), spec, settings, request, seed, None, processes)
        raise SystemExit(0)
    if (finished := resumable(out, request, resume)) is not None:
        return finished
    with alone(out):
        if (finished := resumable(out, request, resume)) is not None:
            return finished
        if spec.is_network:
            check_room(adata.X, processes.devices)
        screen = prepared()
        started, before = time.time(), seconds_before(out)
        _write_inputs(out, screen, request, adata)
        if spec.is_network:
            history = _train(out, screen, spec, settings, request, seed, progress, processes)
        else:
            write_json(out / "config.json", {**request, "settings": {}})
            write_frame(out / "genes.csv", pd.DataFrame({"gene": screen.adata.var_names}))
            history = pd.DataFrame(columns=["epoch", "train_loss", "val_elbo"])
        write_frame(out / "history.csv", history)
        _write_provenance(out, adata, request, screen, before + time.time() - started)
        _evaluate(out, screen)
        write_text(out / DONE, "")
        return Run.load(out)


def _left_to_train(out: Path, request: Mapping[str, Any], resume: bool) -> bool:
    """Whether a process that does not lead is needed; it ends as the leader would, if that ends.

    On a cluster all start at once, and who waited for a leader that has ended would wait long.
    """
    try:
        return resumable(out, request, resume) is None
    except InputError:
        if just_begun(out, request):  # by the leader, which was faster
            return True
        raise


def _write_inputs(out: Path, screen: Screen, request: Mapping[str, Any], adata: AnnData) -> None:
    """Everything of the run that is known before training."""
    make_folder(out)
    cells = screen.adata.obs
    write_text(out / "thresholds.json", screen.thresholds.to_json())
    split = cells["split"].rename_axis("cell").reset_index()
    write_frame(out / "split.csv.gz", split)
    used = used_cells(cells, request["train_cells"])
    write_frame(out / "perturbations.csv", perturbation_table(cells, used))
    trained = (cells["split"] == "train") & used
    sizes = {"artifact": cells["qc_fail"].astype(int), "library_size": cells["library_size"]}
    write_frame(out / "library_sizes.csv", pd.DataFrame(sizes)[trained])
    moments = compute_moments(screen.adata)
    moments.save(out / "moments.safetensors")


def _train(
    out: Path,
    screen: Screen,
    spec: ModelSpec,
    settings: Mapping[str, Any],
    request: Mapping[str, Any],
    seed: int,
    progress: Callable[[Progress], None] | None,
    processes: Processes,
) -> pd.DataFrame:
    """Train the network; who leads writes its weights. Returns the history."""
    import torch

    from cradle.data.loading import CellDataModule, Cells
    from cradle.models.config import defaults_for
    from cradle.resuming import ResumePoint
    from cradle.training import EpochLoop, PerturbationTraining, train

    cells = screen.adata.obs
    used = used_cells(cells, request["train_cells"])
    in_training = cells["split"] == "train"
    labels = list(coded_texts(cells.loc[in_training & used, "perturbation"]).categories)
    own = spec.config(settings).combination_dosage
    design = Design.of(labels, additive=spec.combinations, combination_dosage=own)
    sets, source = {}, cell_source(screen.adata)
    for split in ("train", "val"):
        chosen = (cells["split"] == split) & used & cells["perturbation"].isin(labels)
        rows = np.flatnonzero(chosen)
        sets[split] = Cells.from_anndata(screen.adata, labels, design, rows=rows, source=source)
        if len(sets[split]) == 0:
            raise InputError(
                f"There are no {split} cells to learn from.",
                f"{len(cells)} cells, none of them in this split after quality control.",
                "Use more cells, another split, or a laxer threshold.",
            )
    by_size = defaults_for(
        n_cells=len(sets["train"]),
        n_genes=screen.adata.n_vars,
        combinations=any("+" in label for label in labels),
    )
    config = spec.config(settings, by_size)
    if config.reconstruction_by_fail_rate and not sets["train"].artifact.any():
        raise InputError(
            "The setting reconstruction_by_fail_rate would switch learning off.",
            "no failed training cell, so that every cell would weigh nothing.",
            "Leave the setting out, or train on all cells at a stricter threshold.",
        )
    shape = sets["train"].shape()
    statistics = {name: getattr(shape, name) for name in ("log1p_mean", "log1p_sd", "mean_profile")}
    torch.manual_seed(seed)
    assert spec.network is not None
    network = spec.network(shape, config)
    module = PerturbationTraining(network, config, n_train=len(sets["train"]))
    data = CellDataModule(
        sets["train"],
        sets["val"],
        batch_size=config.batch_size,
        seed=seed,
        max_counterparts=config.max_counterparts,
        both_directions=config.counterfactual_all_cells,
    )
    point = ResumePoint(out, progress)
    if processes.leads:
        genes = pd.DataFrame({"gene": screen.adata.var_names, **statistics})
        write_frame(out / "genes.csv", genes)
        write_json(out / "config.json", {**request, "settings": config.to_dict()})
    loop = EpochLoop(
        data,
        seed=seed,
        patience=config.patience,
        max_epochs=config.max_epochs,
        on_epoch_end=point.save if processes.leads else None,
    )
    point.restore(module, loop)
    train(module, data, loop, processes)
    if processes.leads:
        write_tensors(out / WEIGHTS, network.state_dict())
    return pd.DataFrame(loop.state.history)


def _write_provenance(
    out: Path, adata: AnnData, request: Mapping[str, Any], screen: Screen, seconds: float
) -> None:
    record = adata.uns.get("cradle", {})
    packages = ("torch", "pytorch-lightning", "scanpy", "anndata", "numpy", "scipy")
    write_json(
        out / "provenance.json",
        {
            "data": {
                "name": str(record.get("name", "")),
                "hash": request["data_hash"],
                "simulated": bool(record.get("simulated", False)),
                "n_cells": adata.n_obs,
                "n_genes": adata.n_vars,
                "split": screen.split_from,
                "gene_selection": screen.gene_selection,
            },
            "versions": {
                "cradle": __import__("cradle").__version__,
                "python": platform.python_version(),
                **{name: version(name) for name in packages},
            },
            "seed": request["seed"],
            "command": " ".join(Path(a).name if i == 0 else a for i, a in enumerate(sys.argv)),
            "seconds": round(seconds, 1),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    )


def _evaluate(out: Path, screen: Screen) -> None:
    """Predict every perturbation of the screen once, and score the predictions."""
    from cradle.evaluation.report import evaluate_cells

    evaluate_cells(Run.opened(out), screen.adata)


__all__ = ["fit", "prepare"]

"""The process that opens mutated files as the app does, and says what became of each.

Reads one JSON object a line, ``{"kind": "h5ad" | "zarr" | "run", "path": ...}``, answers one a
line: ``{"outcome", "detail", "events"}``. An audit hook notes connections and processes that the
opening asks for; the campaign watches which files are opened, from outside.
"""

import json
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

_FORBIDDEN = ("socket.", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "urllib.",
              "ftplib.", "smtplib.", "webbrowser.", "pickle.find_class")  # fmt: skip
_WARM_UP = {"n_cells": 400, "n_genes": 250, "n_perturbations": 4, "n_pairs": 2}
_events: list[str] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    payload = event == "os.mkdir" and "unpickled" in str(arguments[0])
    if payload or event.startswith(_FORBIDDEN):
        _events.append(f"{event} {arguments!r}"[:200])


def open_data(path: Path) -> str:
    """What upload, Data and Quality control do with a file or store that has passed the gate."""
    from cradle.data.gate import read
    from cradle.data.qc import annotate, cell_metrics, fit_thresholds
    from cradle.data.schema import validate
    from cradle.data.sources import data_hash
    from cradle.data.standardize import standardize
    from cradle.files import without_formulas

    adata = standardize(read(path), name="fuzz", require_labels=False)
    violations = validate(adata)
    metrics = cell_metrics(adata, doublets=False)
    annotate(adata, fit_thresholds(adata, metrics=metrics), metrics=metrics)
    data_hash(adata)
    without_formulas(adata.obs.head())
    if violations:
        return "opened with violations"
    from cradle.data.preparation import prepare

    prepare(adata, criteria=["umi_counts"])
    return "opened"


def open_run(path: Path) -> str:
    """Everything that the pages and the command line read from a run directory."""
    from cradle.evaluation.report import effect_table
    from cradle.runs import Run

    run = Run.load(path)
    for part in ("gene_table", "perturbations", "perturbed_genes", "held_out", "thresholds",
                 "split", "history", "provenance", "metrics", "library_sizes", "moments",
                 "predicted_effects"):  # fmt: skip
        getattr(run, part)
    labels = list(run.perturbations["perturbation"])
    run.support(labels[0])
    effect_table(run)
    predictor = run.predictor()
    if run.spec.generates:
        predictor.treatment_effects(labels[:2], n_draws=2, n_cells=8)
        predictor.generate(labels[-1], 4, artifact="twins")
    else:
        predictor.treatment_effects(labels[:2])
    return "opened"


def main() -> None:
    """Serve until the input ends."""
    # everything that is imported late comes first: imports make folders and start processes
    import torch
    import zarr

    import cradle.evaluation.report
    import cradle.prediction
    import cradle.simulation
    from cradle.data.preparation import prepare

    prepare(cradle.simulation.simulate(cradle.simulation.SimulationConfig(**_WARM_UP)))
    torch.set_num_threads(1)
    zarr.open_group({})  # starts zarr's own loop, which talks to itself through a socket
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print("ready", file=answers, flush=True)
    sys.addaudithook(_note)
    for line in sys.stdin:
        request = json.loads(line)
        _events.clear()
        print(json.dumps(_answer(request)), file=answers, flush=True)


def _answer(request: dict[str, str]) -> dict[str, Any]:
    from cradle.errors import InputError

    path, detail = Path(request["path"]), ""
    try:
        outcome = open_run(path) if request["kind"] == "run" else open_data(path)
    except InputError as error:
        outcome, detail = "refused", error.what
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "cradle" in f.filename]
        where = " > ".join(f"{Path(f.filename).name}:{f.lineno}" for f in frames[-3:])
        outcome, detail = "traceback", f"{type(error).__name__}: {error} [{where}]"[:300]
    return {"outcome": outcome, "detail": detail, "events": list(_events)}


if __name__ == "__main__":
    main()

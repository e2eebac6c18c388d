"""Carry out the runs of a benchmark, one process each, and go on where it was interrupted."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import pandas as pd

from cradle.benchmark.fits import Wait, start_here, submit
from cradle.benchmark.plan import RunPlan, check_beside
from cradle.benchmark.scores import COLUMNS, SCORES, Row, score_rows
from cradle.benchmark.tables import as_markdown, combined
from cradle.data.sources import data_hash
from cradle.errors import InputError
from cradle.evaluation.report import METRICS_FILE
from cradle.files import make_folder, write_frame, write_json, write_text
from cradle.jobs.queue import executor
from cradle.run_request import differing
from cradle.run_tables import read_json
from cradle.runs import DONE, Run

if TYPE_CHECKING:
    from anndata import AnnData

#: What the benchmark knows of a run, in its directory: columns, attempts, time, memory, failure.
RECORD = "benchmark.json"
MEASURED = "measured.json"
LOG = "fit.log"
LOCK = ".lock"

State = Literal["done", "incomplete", "absent"]
Finish = Callable[[], "Outcome"]
Say = Callable[[str], None]
Further = Callable[[Run, "AnnData"], Iterable[Row]]


@dataclass(frozen=True)
class Outcome:
    """What became of a run: ``done`` (now), ``kept`` (was there already) or ``failed``."""

    plan: RunPlan
    path: Path
    status: Literal["done", "kept", "failed"]
    message: str = ""


@dataclass(frozen=True)
class Sweep:
    """A benchmark on one dataset.

    Parameters
    ----------
    dataset
        Name in the table.
    data
        What ``fit`` is given: a catalogue name or a file.
    plans
        The runs.
    out
        Folder of the benchmark; the run directories are in its ``runs``.
    reading
        Options of ``fit`` that say how to read the file.
    command
        How it was called, for the record.
    further
        Rows beside those of every benchmark, of a finished run and its dataset.
    settings_by_model
        Whether a run of another model may be there with other settings.
    """

    dataset: str
    data: str
    plans: Sequence[RunPlan]
    out: Path
    reading: tuple[str, ...] = ()
    command: str = ""
    further: Further | None = None
    settings_by_model: bool = False

    def path(self, plan: RunPlan) -> Path:
        """Run directory."""
        return self.out / "runs" / plan.folder


def run_sweep(sweep: Sweep, adata: AnnData, say: Say = lambda _: None) -> list[Outcome]:
    """Fit what is not fitted yet, score it, and write ``table.csv`` and ``table.md`` after each.

    One fit at a time, or, with ``CRADLE_EXECUTOR=slurm``, all at once as jobs of a cluster.
    A complete run is kept as it is, an incomplete one continued. A run that fails is recorded,
    and the others go on; the next call tries it again.

    Parameters
    ----------
    adata
        The dataset, as ``sweep.data`` and ``sweep.reading`` load it.
    say
        Called with a line about each run.

    Raises
    ------
    InputError
        Before anything is fitted: the folder is in use by another benchmark, holds runs of
        another dataset or experiment, a run in it has other arguments, or the cluster takes none.
    """
    make_folder(sweep.out)
    with _locked(sweep.out) as lock, ExitStack() as on_the_way:
        states = _checked(sweep, data_hash(adata))
        outcomes = []
        if executor() == "local":
            begun = _in_turn(sweep, states, lock)
        else:
            begun = _on_cluster(sweep, states, on_the_way)
        for number, (plan, finish) in enumerate(zip(sweep.plans, begun, strict=True), 1):
            outcome = finish()
            if outcome.status != "failed":
                outcome = _scored(sweep, outcome, adata)
            outcomes.append(outcome)
            write_tables(sweep)
            say(f"[{number}/{len(sweep.plans)}] {plan.folder}: {outcome.status}{_cost(outcome)}")
        return outcomes


def write_tables(sweep: Sweep) -> pd.DataFrame:
    """Write the tables of every scored run in the folder; returns the long one."""
    found = sorted(sweep.out.glob(f"runs/*/{SCORES}"))
    table = combined([pd.read_csv(path, dtype={"fold": str}) for path in found])
    write_frame(sweep.out / "table.csv", table)
    failed = {
        path.parent.name: message
        for path in sorted(sweep.out.glob(f"runs/*/{RECORD}"))
        if (message := read_json(path).get("failed"))
    }
    write_text(sweep.out / "table.md", as_markdown(table, sweep.command, failed))
    return table


@contextmanager
def _locked(out: Path) -> Iterator[IO[str]]:
    """One benchmark at a time in a folder. The lock outlives it as long as its fit does."""
    with (out / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                "The folder is in use.",
                f"another benchmark, or the last fit of a killed one, works in {out}.",
                "Wait for it, or give another folder.",
            ) from error
        yield lock


def _checked(sweep: Sweep, hashed: str) -> dict[str, State]:
    """State of each run, after a look at every run in the folder."""
    planned = {sweep.path(plan) for plan in sweep.plans}
    for path in sorted(sweep.out.glob("runs/*/config.json")):
        there = read_json(path)
        if there.get("data_hash") != hashed:
            raise InputError(
                "The folder holds a benchmark of other data.",
                f"{path.parent} was fitted on cells with another hash.",
                "Give another folder, or the same dataset.",
            )
        if path.parent not in planned:
            record = read_json(beside) if (beside := path.with_name(RECORD)).is_file() else {}
            fold = str(record.get("fold"))
            check_beside(sweep.plans, path.parent, there, fold, sweep.settings_by_model)
    states: dict[str, State] = {}
    for plan in sweep.plans:
        path = sweep.path(plan)
        states[plan.folder] = "absent"
        if not (path / "config.json").is_file():
            continue
        if different := differing(read_json(path / "config.json"), plan.request(hashed)):
            raise InputError(
                "A run in the folder was started with other arguments.",
                f"{path}: {', '.join(different)} differ.",
                "Use the same arguments, or give another folder.",
            )
        states[plan.folder] = "done" if (path / DONE).is_file() else "incomplete"
    return states


def _in_turn(sweep: Sweep, states: dict[str, State], lock: IO[str]) -> Iterable[Finish]:
    """Each fit starts when the one before it is done."""
    for plan in sweep.plans:
        yield _begun(sweep, plan, states[plan.folder], partial(start_here, lock=lock))


def _on_cluster(sweep: Sweep, states: dict[str, State], on_the_way: ExitStack) -> Iterable[Finish]:
    """All fits are submitted at once; one that the cluster refuses fails alone.

    Raises
    ------
    InputError
        The cluster takes none.
    """
    start = partial(submit, folder=sweep.out / "slurm", on_the_way=on_the_way)
    begun: list[Finish] = []
    taken = 0
    for plan in sweep.plans:
        try:
            begun.append(_begun(sweep, plan, states[plan.folder], start))
            taken += states[plan.folder] != "done"
        except InputError as error:
            if not taken:
                raise
            begun.append(partial(_failed, plan, sweep.path(plan), str(error)))
    return begun


def _begun(sweep: Sweep, plan: RunPlan, state: State, start: Callable[..., Wait]) -> Finish:
    """Start a fit, unless it is done; who calls what is returned waits for it."""
    path = sweep.path(plan)
    record = read_json(path / RECORD) if (path / RECORD).is_file() else {"attempts": 0}
    if state == "done":
        return lambda: _kept(plan, path, record)
    make_folder(path)
    # a refused attempt wrote nothing, so the next is again the first
    attempts = 1 + (int(record["attempts"]) if state == "incomplete" else 0)
    record = {**plan.key, "dataset": sweep.dataset, "attempts": attempts}
    write_json(path / RECORD, record)
    (path / MEASURED).unlink(missing_ok=True)
    fit = [*plan.arguments(sweep.data, path), *sweep.reading]
    wait = start(fit, path / LOG, path / MEASURED)
    return lambda: _finished(plan, path, record, wait())


def _kept(plan: RunPlan, path: Path, record: dict[str, Any]) -> Outcome:
    measured = read_json(path / MEASURED) if (path / MEASURED).is_file() else {}
    write_json(path / RECORD, {**record, **measured, "failed": None})
    return Outcome(plan, path, "kept")


def _finished(plan: RunPlan, path: Path, record: dict[str, Any], code: int) -> Outcome:
    # a fit that the cluster has ended may not have come to say what it cost
    measured = read_json(path / MEASURED) if (path / MEASURED).is_file() else {}
    message = "" if code == 0 else f"exit code {code}: {_last_words(path / LOG)}"
    write_json(path / RECORD, {**record, **measured, "failed": message or None})
    return Outcome(plan, path, "failed" if message else "done", message)


def _failed(plan: RunPlan, path: Path, message: str) -> Outcome:
    write_json(path / RECORD, {**read_json(path / RECORD), "failed": message})
    return Outcome(plan, path, "failed", message)


def _last_words(log: Path) -> str:
    """What the failed fit said: the lines of an input error, or the last one of a traceback."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    for i in reversed(range(len(lines) - 1)):
        if lines[i].startswith("Found: ") and lines[i + 1].startswith("Do: "):
            return " ".join(lines[max(0, i - 1) : i + 2])
    return lines[-1]


def _scored(sweep: Sweep, outcome: Outcome, adata: AnnData) -> Outcome:
    """Write the rows of a run, unless they are there and as new as its evaluation."""
    path = outcome.path / SCORES
    if path.is_file() and path.stat().st_mtime >= (outcome.path / METRICS_FILE).stat().st_mtime:
        return outcome
    record: dict[str, Any] = read_json(outcome.path / RECORD)
    try:
        run = Run.load(outcome.path)
        rows = score_rows(run, record)
        if sweep.further is not None:
            more = pd.DataFrame(sweep.further(run, adata), columns=COLUMNS)
            rows = pd.concat([rows, more.astype({"value": float})], ignore_index=True)
    except Exception as error:  # one run that cannot be read must not end the others
        message = f"not scored: {type(error).__name__}: {error}"
        write_json(outcome.path / RECORD, {**record, "failed": message})
        return replace(outcome, status="failed", message=message)
    columns = {"dataset": sweep.dataset, **outcome.plan.key}
    del columns["model"]  # floor, replicate and ceiling stand among the rows
    write_frame(path, combined([rows.assign(**columns)]))
    return outcome


def _cost(outcome: Outcome) -> str:
    if outcome.status == "failed":
        return f", {outcome.message}"
    record = read_json(outcome.path / RECORD)
    if outcome.status == "kept" or "peak_mb" not in record:
        return ""
    return f", {record['wall_seconds']:.0f} s, {record['peak_mb']:,.0f} MB"

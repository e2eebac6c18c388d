"""Submit, list, stop, continue and forget jobs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cradle.errors import InputError
from cradle.files import make_folder
from cradle.jobs.job import ACTIVE, CONTINUABLE, LOG, Job, Kind, new_job, read_job
from cradle.jobs.processes import terminate
from cradle.run_folders import runs_folder

ROOT = Path(__file__).resolve().parents[2]


def jobs_folder() -> Path:
    """Where the jobs are kept: inside the runs folder, out of the way of the runs."""
    return runs_folder() / ".jobs"


def executor() -> str:
    """Where jobs run: ``CRADLE_EXECUTOR``, which is ``local`` (default) or ``slurm``."""
    chosen = os.environ.get("CRADLE_EXECUTOR", "local")
    if chosen not in ("local", "slurm"):
        raise InputError(
            "The executor of jobs is unknown.",
            f"CRADLE_EXECUTOR={chosen[:40]!r}.",
            "Set it to local or slurm.",
        )
    return chosen


def submit(kind: Kind, title: str, arguments: Sequence[str], subject: str) -> Job:
    """Put a command into the queue; it starts by itself when its turn comes.

    Parameters
    ----------
    kind, title, subject
        See :class:`Job`.
    arguments
        Of ``python -m cradle``; paths must be absolute.

    Raises
    ------
    InputError
        The same subject is being worked on, the executor is unknown or not installed, or the
        folder cannot be written.
    """
    if any(job.kind == kind and job.subject == subject for job in active_jobs()):
        raise InputError(
            "This job is in the queue already.",
            f"a job for {Path(subject).name!r}.",
            "Wait until it is done, or stop it first.",
        )
    where = executor() if kind == "fit" else "local"
    folder = jobs_folder().resolve()
    make_folder(folder)
    job = new_job(folder, kind, title, tuple(arguments), subject, where)
    try:
        _start(job)
    except InputError:
        shutil.rmtree(job.folder)
        raise
    return job


def all_jobs() -> list[Job]:
    """Every job that is known, the newest first."""
    found = map(read_job, sorted(jobs_folder().glob("*-*"), reverse=True))
    return [job for job in found if job is not None]


def active_jobs() -> list[Job]:
    """Jobs that wait or run, the newest first."""
    return [job for job in all_jobs() if job.state in ACTIVE]


def stop(job: Job) -> None:
    """Ask a job to stop; a fit then keeps the state of its last epoch. Twice means at once."""
    if job.state not in ACTIVE:
        return
    job.ask_to_stop()
    if job.executor != "local":
        from cradle.jobs import slurm

        slurm.cancel(job.folder)
        return
    found = job.process()
    if found is not None:
        terminate(*found)


def resume(job: Job) -> Job:
    """Continue a job that did not finish.

    Raises
    ------
    InputError
        It is active or finished.
    """
    if job.state not in CONTINUABLE:
        raise InputError(
            "This job cannot be continued.", f"it is {job.state}.", "Only stopped ones can be."
        )
    again = job.next_attempt()
    _start(again)
    return again


def forget(job: Job) -> None:
    """Take a job that has ended off the list; what it has made stays."""
    if job.state not in ACTIVE:
        shutil.rmtree(job.folder, ignore_errors=True)


def _start(job: Job) -> None:
    """Start the process that waits for its turn, detached from this one."""
    if job.executor != "local":
        from cradle.jobs import slurm

        slurm.start(job)
        return
    with (job.folder / LOG).open("ab") as log:
        # this command forks and returns at once: the job is no child of the app
        subprocess.run(
            [sys.executable, "-m", "cradle.jobs.runner", str(job.folder)],
            cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, check=True,
        )  # fmt: skip


def environment() -> dict[str, str]:
    """The app's own, so that a job finds the same data, runs and caches, wherever it runs."""
    settings = dict(os.environ)
    settings["CRADLE_RUNS_DIR"] = str(runs_folder().resolve())
    if folder := settings.get("CRADLE_DATA_DIR"):
        settings["CRADLE_DATA_DIR"] = str(Path(folder).expanduser().resolve())
    return settings

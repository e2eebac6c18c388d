"""Jobs on a SLURM cluster, through the optional package submitit (requirements-slurm.txt)."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cradle.errors import InputError
from cradle.files import write_json, write_text
from cradle.jobs.job import EXIT, LOG, PROCESS, STARTED, read_job

if TYPE_CHECKING:
    from cradle.jobs.job import Job

ROOT = Path(__file__).resolve().parents[2]
_ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL",
          "BOOT_FAIL", "DEADLINE", "PREEMPTED"}  # fmt: skip
#: What a job asks for, unless ``CRADLE_SLURM`` says otherwise (``key=value``, comma-separated).
DEFAULTS: dict[str, Any] = {"timeout_min": 24 * 60, "cpus_per_task": 4, "mem_gb": 16}


def parameters(text: str) -> dict[str, Any]:
    """Parameters of submitit from ``key=value,key=value`` on top of the defaults.

    Raises
    ------
    InputError
        A part is not of the form ``key=value``.
    """
    found = dict(DEFAULTS)
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not (key.isidentifier() and equals and value):
            raise InputError(
                "The settings of SLURM cannot be read.",
                f"{part[:60]!r} in CRADLE_SLURM.",
                "Write key=value,key=value, for example slurm_partition=cpu,timeout_min=600.",
            )
        found[key] = int(value) if value.isdigit() else value
    return found


def start(job: Job) -> None:
    """Submit a job of the app; InputError as ``submit``."""
    submitted = submit(job.folder / "slurm", run_command, str(job.folder))
    write_json(job.folder / PROCESS, {"slurm": str(submitted.job_id)})


def submit(folder: Path, work: Callable[..., int], *arguments: str) -> Any:
    """Have the cluster call a function of this package.

    Parameters
    ----------
    folder
        For the files of submitit, which the nodes can read too.

    Returns
    -------
    The job of submitit.

    Raises
    ------
    InputError
        submitit is not installed, or the cluster refuses the job.
    """
    submitit = _submitit()
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster="slurm")
        executor.update_parameters(
            name="cradle",
            slurm_setup=[f"export PYTHONPATH={shlex.quote(str(ROOT))}:$PYTHONPATH"],
            **parameters(os.environ.get("CRADLE_SLURM", "")),
        )
        return executor.submit(work, *arguments)
    except InputError:
        raise
    except Exception as error:  # submitit raises whatever the commands of SLURM led to
        raise InputError(
            "SLURM did not take the job.",
            (str(error).splitlines() or [type(error).__name__])[0][:200],
            "Check CRADLE_SLURM and whether sbatch works in this environment; or unset "
            "CRADLE_EXECUTOR to run jobs on this machine.",
        ) from error


def run_command(folder: str) -> int:
    """On the node: run the command of the job, with its log and exit code in its folder."""
    job = read_job(Path(folder))
    assert job is not None
    write_text(job.folder / STARTED, "")
    settings = os.environ | {"CRADLE_EXIT_FILE": str(job.folder / EXIT)}
    with (job.folder / LOG).open("ab") as log:
        done = subprocess.run(
            [sys.executable, "-m", "cradle", *job.command],
            cwd=ROOT, env=settings, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False,
        )  # fmt: skip
    return done.returncode


def is_alive(folder: Path) -> bool:
    """Whether the cluster still has the job, waiting or running."""
    number = _number(folder)
    if number is None:
        return False
    found = _submitit().SlurmJob(folder=folder / "slurm", job_id=number)
    if found.paths.result_pickle.exists():
        return False
    return str(found.state).split()[0].rstrip("+") not in _ENDED


def cancel(folder: Path) -> None:
    """Send SIGTERM; the cluster kills what has not ended after its own waiting time."""
    number = _number(folder)
    if number is not None:
        subprocess.run(["scancel", number], capture_output=True, check=False)


def _number(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / PROCESS).read_text(encoding="utf-8"))["slurm"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _submitit() -> Any:
    try:
        import submitit
    except ImportError:
        raise InputError(
            "Jobs on SLURM need the package submitit.",
            "it is not installed.",
            "Run `pip install -r requirements-slurm.txt`, or unset CRADLE_EXECUTOR.",
        ) from None
    return submitit

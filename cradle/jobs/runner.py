"""``python -m cradle.jobs.runner FOLDER``: wait for a turn, then become the command of the job.

The process forks, so that the app has no child to look after, and later replaces itself by
``python -m cradle ...``, so that one process number stands for the job from the first to the last.
The turn is a lock that the system gives back whatever becomes of the process.
"""

import fcntl
import os
import sys
import time
from pathlib import Path

from cradle.files import write_json, write_text
from cradle.jobs.job import ACTIVE, PROCESS, STARTED, STOP, Job, read_job
from cradle.jobs.processes import identity

_PAUSE_SECONDS = 0.3
#: The command writes its exit code into the file that this variable names.
EXIT_VARIABLE = "CRADLE_EXIT_FILE"


def n_slots() -> int:
    """Fits at a time: ``CRADLE_JOBS``, 1 unless set."""
    text = os.environ.get("CRADLE_JOBS", "")
    return int(text) if text.isdigit() and int(text) > 0 else 1


def wait_for_turn(job: Job) -> int:
    """Descriptor of the lock that this job holds from now on, also after an exec."""
    while True:
        if not _somebody_first(job):
            for slot in range(n_slots()):
                held = _take(job.folder.parent / f".turn-{job.kind}-{slot}")
                if held is not None:
                    return held
        time.sleep(_PAUSE_SECONDS)


def _somebody_first(job: Job) -> bool:
    """Whether an older job of this kind still waits."""
    older = [f for f in job.folder.parent.glob("*-*") if f.name < job.folder.name]
    waiting = (other for f in sorted(older) if (other := read_job(f)) is not None)
    return any(
        o.kind == job.kind and o.executor == "local" and o.started is None and o.state in ACTIVE
        for o in waiting
    )


def _take(path: Path) -> int | None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    os.set_inheritable(handle, True)
    return handle


def run(folder: Path) -> None:
    """Wait, then become the command, which does not return, unless it was stopped before."""
    job = read_job(folder)
    if job is None:
        sys.exit(1)
    wait_for_turn(job)
    if (folder / STOP).exists():  # asked before there was a process to tell
        return
    write_text(folder / STARTED, "")
    os.environ[EXIT_VARIABLE] = str(folder / "exit")
    os.execv(sys.executable, [sys.executable, "-m", "cradle", *job.command])


def main(folder: Path) -> None:
    """Fork; the parent notes the child's identity and ends."""
    child = os.fork()
    if child:
        write_json(folder / PROCESS, {"pid": child, "identity": identity(child) or ""})
        return
    os.setsid()
    run(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""One job: what it is to do, and how far it is, from the files of its folder."""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from cradle.files import write_json, write_text
from cradle.jobs.processes import alive

Kind = Literal["fit", "fetch"]
State = Literal["queued", "running", "stopping", "finished", "stopped", "failed", "interrupted"]
ACTIVE: tuple[State, ...] = ("queued", "running", "stopping")
CONTINUABLE: tuple[State, ...] = ("stopped", "failed", "interrupted")

#: Files of a job's folder.
SPEC, PROCESS, STARTED, STOP, EXIT, LOG = (
    "job.json", "process.json", "started", "stop", "exit", "log",
)  # fmt: skip
#: Within which a job that was written has a process.
STARTING_SECONDS = 10.0
_OF_ONE_ATTEMPT = (PROCESS, STARTED, STOP, EXIT)


@dataclass(frozen=True)
class Job:
    """A command to run in the background.

    Parameters
    ----------
    folder
        Where its files are; the name sorts by the time of submission.
    kind
        ``fit`` or ``fetch``; jobs of one kind wait for each other.
    title
        What it is, for people.
    arguments
        Of ``python -m cradle``.
    subject
        Run directory of a fit, catalogue name of a fetch.
    executor
        ``local``, or ``slurm``.
    attempt
        1, and one more whenever it was continued.
    """

    folder: Path
    kind: Kind
    title: str
    arguments: tuple[str, ...]
    subject: str
    executor: str = "local"
    attempt: int = 1

    @property
    def id(self) -> str:
        """Name of its folder."""
        return self.folder.name

    @property
    def command(self) -> tuple[str, ...]:
        """Arguments of this attempt: a fit that was begun is continued."""
        again = ("--resume",) if self.kind == "fit" and self.attempt > 1 else ()
        return (*self.arguments, *again)

    @property
    def submitted(self) -> float:
        """When, in seconds since 1970."""
        return int(self.id.partition("-")[0]) / 1e9

    @property
    def started(self) -> float | None:
        """When this attempt got its turn."""
        path = self.folder / STARTED
        return path.stat().st_mtime if path.is_file() else None

    def write(self) -> None:
        """Write what it is to do."""
        values = asdict(self)
        del values["folder"]
        write_json(self.folder / SPEC, values)

    def next_attempt(self) -> Job:
        """The same job once more; the log goes on."""
        for name in _OF_ONE_ATTEMPT:
            (self.folder / name).unlink(missing_ok=True)
        job = replace(self, attempt=self.attempt + 1)
        job.write()
        return job

    def process(self) -> tuple[int, str] | None:
        """Number and identity of its process, once there is one."""
        try:
            found = json.loads((self.folder / PROCESS).read_text(encoding="utf-8"))
            return int(found["pid"]), str(found["identity"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def exit_code(self) -> int | None:
        """How it ended, if it could still say so."""
        try:
            return int((self.folder / EXIT).read_text())
        except (OSError, ValueError):
            return None

    @property
    def state(self) -> State:
        """From the files, and from the process where the files do not decide."""
        asked = (self.folder / STOP).exists()
        code = self.exit_code()
        if code is None and self.is_alive():
            if self.started is None:
                return "stopping" if asked else "queued"
            return "stopping" if asked else "running"
        code = self.exit_code()  # it may have ended in between
        if code == 0 or (self.kind == "fit" and (Path(self.subject) / "DONE").exists()):
            return "finished"
        if code is None and self._is_starting():
            return "stopping" if asked else "queued"
        if asked:
            return "stopped"
        return "interrupted" if code is None else "failed"

    def _is_starting(self) -> bool:
        """Whether it was written a moment ago and has no process yet."""
        if self.executor != "local" or self.process() is not None:
            return False
        try:
            return time.time() - (self.folder / SPEC).stat().st_mtime < STARTING_SECONDS
        except OSError:
            return False

    def is_alive(self) -> bool:
        """Whether its process is there, waiting or at work."""
        if self.executor != "local":
            from cradle.jobs import slurm

            return slurm.is_alive(self.folder)
        found = self.process()
        return found is not None and alive(*found)

    def ask_to_stop(self) -> None:
        """Leave the note that tells a stopped job from a failed one."""
        write_text(self.folder / STOP, "")

    def log_tail(self, n_lines: int = 12, n_bytes: int = 16_384) -> str:
        """The last lines that it has said; of a line that was overwritten, its last form."""
        path = self.folder / LOG
        if not path.is_file():
            return ""
        with path.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(stream.tell() - n_bytes, 0))
            text = stream.read().decode(errors="replace")
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
        return "\n".join([line for line in lines if line.strip()][-n_lines:])


def new_job(
    parent: Path, kind: Kind, title: str, arguments: tuple[str, ...], subject: str, executor: str
) -> Job:
    """A job with a folder of its own, written and not yet started."""
    folder = parent / f"{time.time_ns():020d}-{secrets.token_hex(3)}"
    job = Job(folder, kind, title, arguments, subject, executor)
    job.write()
    return job


def read_job(folder: Path) -> Job | None:
    """The job in a folder; None where its file is missing or damaged."""
    try:
        values = json.loads((folder / SPEC).read_text(encoding="utf-8"))
        values["arguments"] = tuple(map(str, values["arguments"]))
        job = Job(folder, **values)
        int(folder.name.partition("-")[0])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return job if job.kind in ("fit", "fetch") else None

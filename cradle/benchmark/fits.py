"""Where the fits of a benchmark run: here, one at a time, or on a cluster, all at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

import cradle
from cradle.jobs import slurm

ROOT = Path(cradle.__file__).parents[1]
#: Waits for a fit that has been started; its exit code.
Wait = Callable[[], int]


def start_here(arguments: Sequence[str], log: Path, report: Path, lock: IO[str]) -> Wait:
    """Start ``python -m cradle`` in a process of its own, which holds the lock of the benchmark.

    Parameters
    ----------
    log
        What it prints is added there.
    report
        Gets wall time and peak memory; see :mod:`cradle.benchmark.measured`.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with log.open("a") as stream:
        _head(stream, arguments)
        child = subprocess.Popen(
            _command(arguments, report), stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
            env=environment, pass_fds=(lock.fileno(),),
        )  # fmt: skip

    def wait() -> int:
        try:
            return child.wait()
        finally:
            while child.poll() is None:  # asked once it ends with its epoch, asked again at once
                child.terminate()
                with suppress(KeyboardInterrupt):
                    child.wait()

    return wait


def submit(
    arguments: Sequence[str], log: Path, report: Path, folder: Path, on_the_way: ExitStack
) -> Wait:
    """Submit ``python -m cradle`` to the cluster; see :func:`start_here`.

    Parameters
    ----------
    folder
        For the files of submitit.
    on_the_way
        What is not done when this closes is cancelled: who stops a benchmark stops its fits.

    Raises
    ------
    InputError
        submitit is not installed, or the cluster refuses the job.
    """
    told = json.dumps([list(arguments), str(log), str(report), str(Path.cwd())])
    job = slurm.submit(folder, run_on_node, told)
    on_the_way.callback(lambda: job.done() or job.cancel())

    def wait() -> int:
        try:
            return int(job.result())
        except Exception as error:
            with log.open("a") as stream:  # submitit says what the cluster did to the job
                stream.write(f"{str(error).strip() or type(error).__name__}\n")
            return 1

    return wait


def run_on_node(told: str) -> int:
    """On the node: run the command with its log and report."""
    arguments, log, report, cwd = json.loads(told)
    os.chdir(cwd)
    with Path(log).open("a") as stream:
        _head(stream, arguments)
        return subprocess.run(
            _command(arguments, Path(report)), stdin=subprocess.DEVNULL, stdout=stream,
            stderr=stream, check=False,
        ).returncode  # fmt: skip


def _command(arguments: Sequence[str], report: Path) -> list[str]:
    fit = [sys.executable, "-m", "cradle", *arguments]
    return [sys.executable, "-m", "cradle.benchmark.measured", str(report), *fit]


def _head(log: IO[str], arguments: Sequence[str]) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    log.write(f"{now} -m cradle {' '.join(arguments)}\n")
    log.flush()

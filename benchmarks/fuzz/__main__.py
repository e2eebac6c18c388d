"""Open thousands of mutated files, stores and run directories as the app does; none may break it.

    python -m benchmarks.fuzz --n 10000 --stores 1000 --runs 2500 --out assets/benchmarks/robustness

Each mutation follows from the seed and its number, so that any finding comes back with ``--only
h5ad:123``. A file meets the gate's own code in a process of its own with the gate's limits, then
the reader in a long-lived process that is replaced when it dies. Not allowed are: a process that
dies by a signal outside the gate, an exception other than ``InputError``, more than a minute of
work, a foreign file opened (watched by inotify), a connection or a process asked for (audit hook).
"""

import argparse
import json
import os
import random
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import zarr  # noqa: F401, once here and not in every process of the gate

from benchmarks.fuzz import bases, h5ad, runs, stores
from benchmarks.fuzz.watch import Watch
from cradle.data import gate
from cradle.errors import InputError
from cradle.files import write_frame

ROOT = Path(__file__).resolve().parents[2]
BAD = ("crash", "traceback", "hang", "foreign read", "request")
_MAKERS: dict[str, Any] = {"h5ad": h5ad, "zarr": stores, "run": runs}
_NAMES = {"h5ad": "file.h5ad", "zarr": "store.zarr", "run": "run"}
_GATE_SECONDS, _DOOR_SECONDS, _MEMORY = 12, 60, 16 * 2**30


class Door:
    """The opening process, started again whenever a file has ended it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None

    def open(self, kind: str, path: Path) -> dict[str, Any]:
        """What became of the file."""
        child = self._child or self._start()
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps({"kind": kind, "path": str(path)}) + "\n")
        child.stdin.flush()
        ready = self._answers(child)
        answer = child.stdout.readline() if ready else ""
        if answer:
            return dict(json.loads(answer))
        if not ready:
            child.kill()
        code, self._child = child.wait(), None
        outcome = "crash" if ready else "hang"
        return {"outcome": outcome, "detail": f"{kind} door, status {code}", "events": []}

    @staticmethod
    def _answers(child: "subprocess.Popen[str]") -> bool:
        """Wait for an answer; the limit is on its work, for other work may hold the machine."""
        before = _cpu_seconds(child.pid)
        for _ in range(20):
            if select.select([child.stdout], [], [], _DOOR_SECONDS)[0]:
                return True
            if _cpu_seconds(child.pid) - before > _DOOR_SECONDS / 2:
                return False
        return False

    def _start(self) -> subprocess.Popen[str]:
        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fuzz.door"], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            preexec_fn=limit,
        )  # fmt: skip
        assert self._child.stdout is not None
        assert self._child.stdout.readline() == "ready\n"
        return self._child

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()


def _cpu_seconds(process: int) -> float:
    """Processor time that a process has used."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("inf")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def through_gate(path: Path) -> dict[str, Any]:
    """The gate's verdict, by its own code in a forked process with its own limits."""
    try:
        file = gate.regular_file(path)
        gate._identity(file, gate.machine_limits())
        if file.is_file():
            gate._check_signature(file)
    except InputError as error:
        return {"outcome": "refused", "detail": error.what}
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.dup2(writer, 1)
        sys.stdout = os.fdopen(1, "w")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        gate._child(str(file), json.dumps(asdict(gate.machine_limits())), str(_GATE_SECONDS))
        sys.stdout.flush()
        os._exit(0)
    os.close(writer)
    started = time.monotonic()
    text = b""
    with os.fdopen(reader, "rb", buffering=0) as stream:
        while select.select([stream], [], [], 40 * _GATE_SECONDS)[0]:
            if not (part := stream.read(65536)):
                break
            text += part
    if late := time.monotonic() - started > 39 * _GATE_SECONDS:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    try:
        verdict = json.loads(text)
    except ValueError:
        ended = "time" if late or os.WTERMSIG(status) == signal.SIGXCPU else "child died"
        return {"outcome": "refused", "detail": f"gate: {ended} ({status})"}
    return {"outcome": "refused" if verdict else "passed", "detail": verdict[0] if verdict else ""}


def one(kind: str, number: int, seed: int, folder: Path, sources: dict[str, list[Path]],
        door: Door, watch: Watch) -> dict[str, Any]:  # fmt: skip
    """Make one mutation and open it."""
    draw = random.Random(f"{seed}:{kind}:{number}")
    secret = folder / "secret" / "secret.h5"
    path, maker = folder / _NAMES[kind], _MAKERS[kind]
    change = maker.mutate(sources[kind], path, draw, secret)
    watch.opened()  # what the mutation itself touched
    started = time.monotonic()
    answer = through_gate(path) if kind != "run" else {"outcome": "passed"}
    if answer["outcome"] == "passed":
        answer = door.open(kind, path)
    opened = [name for name in watch.opened() if name]
    if opened:
        answer |= {"outcome": "foreign read", "detail": ", ".join(opened)}
    elif answer.get("events"):
        answer |= {"outcome": "request", "detail": "; ".join(answer["events"])}
    seconds = round(time.monotonic() - started, 3)
    return {"kind": kind, "number": number, "change": change, "outcome": answer["outcome"],
            "detail": answer.get("detail", ""), "seconds": seconds}  # fmt: skip


def main() -> int:
    """Run the campaign; 1 when anything broke."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--n", type=int, default=10_000, help="mutated .h5ad files")
    parser.add_argument("--stores", type=int, default=1_000, help="mutated Zarr stores")
    parser.add_argument("--runs", type=int, default=2_500, help="mutated run directories")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="first number of each")
    parser.add_argument("--only", help="KIND:NUMBER, one mutation again; the file is kept")
    parser.add_argument("--out", type=Path, help="folder for fuzz.csv and fuzz_findings.csv")
    arguments = parser.parse_args()
    os.nice(10)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    (folder / "secret").mkdir()
    with h5py.File(folder / "secret" / "secret.h5", "w") as file:
        file["words"] = np.arange(4096)
    made = folder / "bases"
    sources = {"h5ad": bases.files(made), "zarr": bases.stores(made), "run": bases.runs(made)}
    sizes = {"h5ad": arguments.n, "zarr": arguments.stores, "run": arguments.runs}
    plan = [(kind, arguments.start + i) for kind, n in sizes.items() for i in range(n)]
    # all kinds side by side, so that a campaign that is stopped early has seen each
    plan.sort(key=lambda item: (item[1] - arguments.start) / sizes[item[0]])
    if arguments.only:
        kind, _, number = arguments.only.partition(":")
        plan = [(kind, int(number))]
    door, watch, rows = Door(), Watch(folder / "secret"), []
    started = time.monotonic()
    for kind, number in plan:
        rows.append(one(kind, number, arguments.seed, folder, sources, door, watch))
        if rows[-1]["outcome"] in BAD or arguments.only:
            print(rows[-1], flush=True)
        if len(rows) % 500 == 0:
            print(len(rows), dict(Counter(r["outcome"] for r in rows)),
                  f"{time.monotonic() - started:.0f} s", flush=True)  # fmt: skip
        if arguments.out and len(rows) % 100 == 0:
            report(rows, arguments)
    door.close()
    bad = [row for row in rows if row["outcome"] in BAD]
    if arguments.out:
        report(rows, arguments)
    if arguments.only:
        print(f"kept in {folder}")
    return int(len(bad) > 0)


def report(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """Counts of outcomes by kind of change so far, and every finding."""
    table = pd.DataFrame(rows)
    table["change"] = table["change"].str.replace(" and bytes", "")
    counts = table.groupby(["kind", "change", "outcome"]).agg(
        n=("number", "size"), seconds_max=("seconds", "max")
    )
    write_frame(arguments.out / "fuzz.csv", counts.reset_index().assign(seed=arguments.seed))
    write_frame(arguments.out / "fuzz_findings.csv", table[table["outcome"].isin(BAD)])


if __name__ == "__main__":
    sys.exit(main())

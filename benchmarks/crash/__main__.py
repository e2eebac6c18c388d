"""Kill the commands that write files, at random moments; nothing may be lost or half written.

    python -m benchmarks.crash --kills 60 --out assets/benchmarks/robustness

``fit`` is killed (SIGKILL) and resumed until it is done; the run must equal one that was never
killed, bit for bit. ``generate`` and ``effects`` are killed while they write over a good file,
``fetch`` while it downloads from a slow local server: the final file is whole, old or new.
``benchmark`` is killed with the fits that it started and called again until it is done; an upload
is killed while the gate reads it, while it is brought to the standard form and while it is kept.
After each kill every file at a final path is read. Commands run in forks of a process that has
the libraries loaded, so that the kills fall into the work and not into imports.
"""

import argparse
import hashlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd

from benchmarks.crash.files import CONTENT, damaged, same, whole
from cradle.benchmark.tables import COST
from cradle.files import write_frame

QUICK = ("--epochs", "8", "--set", "n_latent=4", "--set", "n_hidden=8", "--set", "patience=8")


def command(arguments: list[str], kill_after: float | None) -> tuple[bool, int]:
    """Run a command in a fork; whether it was killed on the way, and its exit status."""

    def work() -> int:
        import cradle.resuming
        from cradle.cli.main import main

        cradle.resuming.EVERY_SECONDS = 0.0
        return main(arguments)

    return forked(work, kill_after)


def forked(work: Callable[[], int], kill_after: float | None) -> tuple[bool, int]:
    """Run something in a fork, killed with all that it started; see ``command``."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        try:
            os._exit(work())
        finally:  # what fails in the fork ends there
            os._exit(1)
    os.setpgid(child, child)  # here too: a kill may come before the child has run at all
    started = time.monotonic()
    while kill_after is None or time.monotonic() - started < kill_after:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return False, os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.killpg(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code == -signal.SIGKILL, code


def fits(folder: Path, screen: Path, kills: int, draw: random.Random) -> list[dict[str, object]]:
    """Kill and resume ``fit`` until it is done; again with another folder until enough kills."""

    def arguments(out: str) -> list[str]:
        return ["fit", str(screen), "--model", "cradle_vae", "--out", str(folder / out), *QUICK,
                "--criteria", "umi_counts,mt_percent"]  # fmt: skip

    started = time.monotonic()
    assert command(arguments("whole"), None) == (False, 0)
    seconds = time.monotonic() - started
    rows: list[dict[str, object]] = []
    number = 0
    while sum(bool(row["killed"]) for row in rows) < kills:
        number += 1
        out, done, attempt = f"cut{number}", False, 0
        while not done:
            resume = ["--resume"] if (folder / out / "config.json").exists() else []
            # later kills come later, so that it ends on a machine that has become slower too
            kill_after = draw.uniform(0.05, 0.8 + 0.05 * attempt) * seconds
            killed, code = command([*arguments(out), *resume], kill_after)
            attempt += 1
            done = not killed
            there = folder / out
            bad = damaged(there) if there.exists() else []
            differs = same(folder / "whole", there) if done and code == 0 else []
            rows.append({"command": "fit", "killed": killed, "damaged": bad,
                         "failed": done and code != 0, "differs": differs})  # fmt: skip
    return rows


def writers(folder: Path, kills: int, draw: random.Random) -> list[dict[str, object]]:
    """Kill ``generate`` and ``effects`` over good files."""
    rows = []
    out = folder / "written"
    out.mkdir()
    common = [str(folder / "whole")]
    commands = {
        "generate": ["generate", *common, "--perturbation", "control", "--n-cells", "200",
                     "--out", str(out / "cells.h5ad")],
        "effects": ["effects", *common, "--out", str(out / "effects.csv")],
    }  # fmt: skip
    for name, arguments in commands.items():
        first = [a if a != "200" else "50" for a in arguments]
        assert command(first, None) == (False, 0)
        started = time.monotonic()
        command(arguments, None)
        seconds = time.monotonic() - started
        for _ in range(kills):
            killed, code = command(arguments, draw.uniform(0.02, 1.0) * seconds)
            rows.append({"command": name, "killed": killed, "damaged": damaged(out),
                         "failed": not killed and code != 0, "differs": []})  # fmt: skip
    return rows


def sweeps(folder: Path, screen: Path, kills: int, draw: random.Random) -> list[dict[str, object]]:
    """Kill ``benchmark`` and call it again until it is done; then with another folder."""

    def arguments(out: str) -> list[str]:
        return ["benchmark", str(screen), "--models", "cradle_vae,additive", "--out",
                str(folder / out), *QUICK, "--criteria", "umi_counts,mt_percent"]  # fmt: skip

    started = time.monotonic()
    assert command(arguments("sweep"), None) == (False, 0)
    seconds = time.monotonic() - started
    expected = _scores(folder / "sweep")
    rows: list[dict[str, object]] = []
    while sum(bool(row["killed"]) for row in rows) < kills:
        out, killed, attempt = f"sweep{len(rows)}", True, 0
        while killed:
            kill_after = draw.uniform(0.05, 1.0 + 0.1 * attempt) * seconds
            killed, code = command(arguments(out), kill_after)
            attempt += 1
            done = not killed and code == 0
            differs = [] if not done or _scores(folder / out).equals(expected) else ["table.csv"]
            rows.append({"command": "benchmark", "killed": killed,
                         "damaged": damaged(folder / out) if (folder / out).exists() else [],
                         "failed": not killed and code != 0, "differs": differs})  # fmt: skip
    return rows


def _scores(folder: Path) -> pd.DataFrame:
    """The table of a benchmark, without what a fit cost."""
    table = pd.read_csv(folder / "table.csv")
    return table[~table["metric"].isin(COST)].reset_index(drop=True)


def uploads(folder: Path, screen: Path, kills: int, draw: random.Random) -> list[dict[str, object]]:
    """Kill the reading and keeping of an uploaded file."""
    from cradle.ui import library, uploads

    os.environ["XDG_CACHE_HOME"] = str(folder / "uploading")
    content = screen.read_bytes()
    kept = library.upload_path("any").parent

    def work() -> int:
        uploads.accept(content, "mine")
        return 0

    started = time.monotonic()
    assert forked(work, None) == (False, 0)
    seconds = time.monotonic() - started
    rows = []
    for _ in range(kills):
        for path in kept.glob("upload-*"):
            path.unlink()
        killed, code = forked(work, draw.uniform(0.02, 1.0) * seconds)
        rows.append({"command": "upload", "killed": killed, "damaged": damaged(kept),
                     "failed": not killed and code != 0, "differs": []})  # fmt: skip
    return rows


class _Slow(BaseHTTPRequestHandler):
    """Serves the content in small pieces, ranges too."""

    def do_GET(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-")[6:].rstrip("-") or 0)
        self.send_response(206 if start else 200)
        self.send_header("ETag", '"one"')
        self.send_header("Content-Length", str(len(CONTENT) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        try:
            for at in range(start, len(CONTENT), 2**16):
                self.wfile.write(CONTENT[at : at + 2**16])
                time.sleep(0.02)
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        """Nothing."""


def fetches(folder: Path, kills: int, draw: random.Random) -> list[dict[str, object]]:
    """Kill ``fetch`` again and again; what has arrived is kept, the end is the whole file."""
    from cradle.data import catalogue

    server = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    checksum = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    file = catalogue.DatasetFile(
        "remote.h5ad", checksum=checksum, url=f"http://127.0.0.1:{server.server_port}/x"
    )
    row = replace(catalogue.DATASETS["norman"], name="remote", files=(file,))
    catalogue.DATASETS["remote"] = row  # type: ignore[index]
    os.environ |= {"no_proxy": "127.0.0.1", "XDG_CACHE_HOME": str(folder / "cache")}
    final = catalogue.cache_folder() / "remote.h5ad"
    rows = []
    for _ in range(kills):
        killed, code = command(["fetch", "remote"], draw.uniform(0.01, 0.4))
        bad = [] if not final.exists() or whole(final) else [final.name]
        rows.append({"command": "fetch", "killed": killed, "damaged": bad,
                     "failed": not killed and code != 0, "differs": []})  # fmt: skip
        if final.exists():
            final.unlink()
    killed, code = command(["fetch", "remote"], None)
    rows.append({"command": "fetch", "killed": killed, "damaged": damaged(final.parent),
                 "failed": code != 0 or not final.exists(), "differs": []})  # fmt: skip
    server.shutdown()
    return rows


def main() -> int:
    """Run the campaign; 1 when anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=60, help="kills of each command")
    parser.add_argument("--no-benchmark", action="store_true", help="leave `benchmark` alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for crash.csv")
    arguments = parser.parse_args()
    import cradle.evaluation.report
    import cradle.prediction
    import cradle.resuming  # noqa: F401
    from cradle.simulation import SimulationConfig, simulate

    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = SimulationConfig(n_cells=500, n_genes=250, n_perturbations=4, n_pairs=3)
        simulate(config).write_h5ad(folder / "screen.h5ad")
        rows = fits(folder, folder / "screen.h5ad", arguments.kills, draw)
        rows += writers(folder, arguments.kills, draw)
        rows += fetches(folder, arguments.kills, draw)
        if not arguments.no_benchmark:
            rows += sweeps(folder, folder / "screen.h5ad", arguments.kills, draw)
        rows += uploads(folder, folder / "screen.h5ad", arguments.kills, draw)
    for row in rows:
        if row["damaged"] or row["failed"] or row["differs"]:
            print(row)
    table = pd.DataFrame(rows).assign(n=1)
    for part in ("damaged", "differs"):
        table[part] = table[part].map(len) > 0
    summary = table.groupby("command")[["n", "killed", "damaged", "failed", "differs"]].sum()
    print(summary.to_string())
    if arguments.out:
        write_frame(arguments.out / "crash.csv", summary.reset_index())
    return int(summary[["damaged", "failed", "differs"]].to_numpy().sum() > 0)


if __name__ == "__main__":
    sys.exit(main())

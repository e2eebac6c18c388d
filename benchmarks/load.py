"""How the app bears many visitors: WebSocket sessions that rerun a page, and its memory.

    python -m benchmarks.load --sessions 1,10,50 --out assets/benchmarks/robustness

Starts the app on a free port and speaks Streamlit's own protocol: all sessions open a page, then
ask for reruns one after the other, without a pause, and go on to the next page together. The first
visitor of the server, who waits for imports, is not counted. ``seconds`` is the time from asking to
the end of the script, as a visitor waits for it; ``resident_mb`` is the server's memory while all
sessions are on that page. ``seconds`` are waits of visitors who all ask at once, again and again:
nearly the number of sessions times ``server_cpu_ms``, the server's processor time a
rerun, as Python runs one script at a time. ``client_cpu_ms`` is what the visitors themselves took
of the same cores. Errors are exceptions; boxes in which a page says what is wrong do not count.
Afterwards one session reruns the first page ``--reruns`` times while the server's memory is read;
``growth_mb`` is the change over the second half.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cradle.files import write_frame

#: A server imports what later pages need while its first visitor reads.
SETTLE_SECONDS = 20
ROOT = Path(__file__).resolve().parent.parent
#: Overview has no name of its own in the address.
ALL_PAGES = [
    "",
    *sorted(path.stem for path in (ROOT / "pages").glob("*.py") if path.stem != "overview"),
]


class Session:
    """One visitor: a WebSocket that asks for reruns and reads until the script has finished."""

    def __init__(self, port: int, page: str) -> None:
        self.port, self.page = port, page
        self.errors = 0

    async def __aenter__(self) -> "Session":
        from websockets.asyncio.client import connect

        self._socket = await connect(
            f"ws://127.0.0.1:{self.port}/_stcore/stream",
            subprotocols=["streamlit"],  # type: ignore[list-item]
            origin=f"http://127.0.0.1:{self.port}",  # type: ignore[arg-type]
            max_size=None,
            open_timeout=120,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()

    async def rerun(self) -> float:
        """Ask once; seconds until the script has finished."""
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        request = BackMsg()
        request.rerun_script.page_name = self.page
        started = time.monotonic()
        await self._socket.send(request.SerializeToString())
        while True:
            answer = ForwardMsg()
            answer.ParseFromString(await asyncio.wait_for(self._socket.recv(), 300))
            kind = answer.WhichOneof("type")
            if kind == "delta" and answer.delta.new_element.WhichOneof("type") == "exception":
                self.errors += 1
            if kind == "script_finished":
                return time.monotonic() - started


@dataclass(frozen=True)
class Visit:
    """What ``sessions`` on one page at once met."""

    page: str
    sessions: int
    seconds: list[float]  # of every rerun
    took: float
    errors: int
    resident_mb: float
    server_cpu: float  # seconds, of all reruns
    client_cpu: float

    def row(self) -> dict[str, object]:
        """Of the table."""
        median, p95 = np.percentile(self.seconds, [50, 95])
        return {
            "page": self.page or "overview",  # which has no address of its own
            "sessions": self.sessions,
            "reruns": len(self.seconds),
            "reruns_per_second": round(len(self.seconds) / self.took, 2),
            "median_s": round(float(median), 3),
            "p95_s": round(float(p95), 3),
            "server_cpu_ms": round(1000 * self.server_cpu / len(self.seconds), 1),
            "client_cpu_ms": round(1000 * self.client_cpu / len(self.seconds), 1),
            "errors": self.errors,
            "resident_mb": round(self.resident_mb, 1),
            "load_average": os.getloadavg()[0],
        }


async def visitors(
    port: int, pages: Sequence[str], n: int, reruns: int, process: int
) -> list[Visit]:
    """``n`` sessions at once, which stay open, on one page after the other."""
    found = []
    async with contextlib.AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(Session(port, pages[0])) for _ in range(n)]
        for page in pages:
            errors = sum(session.errors for session in sessions)
            for session in sessions:
                session.page = page
            await asyncio.gather(*(session.rerun() for session in sessions))  # first paint
            started, own = time.monotonic(), time.process_time()
            server = cpu_seconds(process)

            async def visit(session: Session) -> list[float]:
                return [await session.rerun() for _ in range(reruns)]

            seconds = await asyncio.gather(*(visit(session) for session in sessions))
            took, own = time.monotonic() - started, time.process_time() - own
            server = cpu_seconds(process) - server
            errors = sum(session.errors for session in sessions) - errors
            flat = [s for one in seconds for s in one]
            found.append(Visit(page, n, flat, took, errors, resident_mb(process), server, own))
    return found


async def memory(port: int, page: str, reruns: int, process: int) -> list[float]:
    """Resident memory of the server in MB, after each tenth of the reruns."""
    async with Session(port, page) as session:
        await session.rerun()
        seen = []
        for _ in range(10):
            for _ in range(max(1, reruns // 10)):
                await session.rerun()
            seen.append(resident_mb(process))
        return seen


def resident_mb(process: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_seconds(process: int) -> float:
    """Processor time of a process so far, in all its threads."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def app():  # type: ignore[no-untyped-def]
    """The app on a free port; gives the port and the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true",
               f"--server.port={port}"]  # fmt: skip
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2)
                break
            time.sleep(0.2)
        yield port, child.pid
    finally:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait()


def main() -> int:
    """Measure; 1 when a session met an error or the memory grows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--sessions", default="1,10,50")
    parser.add_argument("--per-session", type=int, default=5, help="reruns of each session")
    parser.add_argument("--reruns", type=int, default=500, help="for the memory")
    parser.add_argument("--pages", default="quality_control", help="names, or all")
    parser.add_argument("--out", type=Path, help="folder for load.csv and memory.csv")
    arguments = parser.parse_args()
    pages = ALL_PAGES if arguments.pages == "all" else arguments.pages.split(",")
    rows = []
    with app() as (port, process):
        asyncio.run(visitors(port, pages, 1, 2, process))
        time.sleep(SETTLE_SECONDS)
        for n in map(int, arguments.sessions.split(",")):
            for visit in asyncio.run(visitors(port, pages, n, arguments.per_session, process)):
                rows.append(visit.row())
                print(rows[-1], flush=True)
        seen = asyncio.run(memory(port, pages[0], arguments.reruns, process))
    growth = seen[-1] - seen[len(seen) // 2 - 1]
    print("memory, MB:", [round(mb) for mb in seen], f"growth_mb {growth:.1f}")
    if arguments.out:
        write_frame(arguments.out / "load.csv", pd.DataFrame(rows))
        steps = arguments.reruns // 10 * np.arange(1, 11)
        write_frame(arguments.out / "memory.csv",
                    pd.DataFrame({"reruns": steps, "resident_mb": np.round(seen, 1)}))  # fmt: skip
    return int(any(row["errors"] for row in rows) or growth > 30)


if __name__ == "__main__":
    sys.exit(main())

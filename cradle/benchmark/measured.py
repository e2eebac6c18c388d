"""Run a command, and write down how long it took and how much memory it held at most.

    python -m cradle.benchmark.measured REPORT.json COMMAND [ARGUMENT ...]

The peak that the system reports for a process includes that of the process which started it, up
to its ``exec``. So a benchmark, which holds a dataset, starts this one, which holds nothing.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def main(report: str, *command: str) -> int:
    """Exit code of the command; ``report`` gets wall_seconds, peak_mb (10⁶ bytes), exit_code."""
    # Ctrl-C reaches all of a terminal; the benchmark alone heeds it, and passes it on once
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started = time.monotonic()
    child = subprocess.Popen(command, close_fds=False)  # who holds the lock passes it on

    def stop(*_: Any) -> None:
        child.terminate()

    signal.signal(signal.SIGTERM, stop)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    found = {
        "wall_seconds": round(time.monotonic() - started, 2),
        "peak_mb": round(usage.ru_maxrss * unit / 1e6, 1),
        "exit_code": child.returncode,
    }
    beside = Path(f"{report}.tmp")
    beside.write_text(json.dumps(found))
    beside.replace(report)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""``python -m cradle``."""

import os
import signal
import sys
from pathlib import Path

from cradle.cli import termination
from cradle.cli.main import main


def _run() -> int:
    """Run the command; a background job also leaves its exit code in a file."""
    path, code = os.environ.pop("CRADLE_EXIT_FILE", None), 1
    try:
        code = main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    finally:
        if path:
            Path(path).write_text(str(code))
    return code


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, termination.end)
    sys.exit(_run())

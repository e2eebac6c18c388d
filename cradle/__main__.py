"""``python -m cradle``."""

import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from cradle.cli.main import main


def _terminated(*_: Any) -> NoReturn:
    """A stopped command must never look like a finished one, whatever a library makes of it."""
    sys.exit(1)


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
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(_run())

"""``python -m cradle``."""

import signal
import sys
from typing import Any, NoReturn

from cradle.cli.main import main


def _terminated(*_: Any) -> NoReturn:
    """A stopped command must never look like a finished one, whatever a library makes of it."""
    sys.exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(main())

"""SIGTERM ends a command, and is remembered where a library swallows the exception that does."""

import sys
import threading
from typing import Any, NoReturn

#: Set once the command was asked to end.
asked = threading.Event()


def end(*_: Any) -> NoReturn:
    """Handler of SIGTERM: a stopped command never looks like a finished one.

    An import in a bare ``try``, or a finalizer that happens to run, can lose the exception; a fit
    therefore looks at ``asked`` at the end of an epoch.
    """
    asked.set()
    sys.exit(1)

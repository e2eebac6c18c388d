"""How far a fit is, written into its run directory for whoever watches from another process."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cradle.files import write_frame, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRESS = "progress.json"
HISTORY = "history.csv"
_EVERY_SECONDS = 1.0


class StoppedError(Exception):
    """Raised by a progress callback to stop after the epoch, whose state is kept."""


@dataclass(frozen=True)
class FitProgress:
    """State of a fit after an epoch.

    Parameters
    ----------
    epochs
        Epochs done.
    max_epochs
        At most this many.
    best_epoch
        Number of the epoch with the best validation ELBO so far, from 0.
    patience
        Training stops after this many epochs without a better one.
    seconds
        Spent so far, all parts of an interrupted run counted, up to the last report of each.
    seconds_per_epoch
        Mean of the part that runs now.
    """

    epochs: int
    max_epochs: int
    best_epoch: int
    patience: int
    seconds: float
    seconds_per_epoch: float

    @property
    def seconds_left(self) -> tuple[float, float]:
        """At least and at most so long until training ends, at the present pace.

        The least is what patience asks for when no epoch is better than the best so far.
        """
        most = max(self.max_epochs - self.epochs, 0)
        least = max(min(self.best_epoch + self.patience + 1 - self.epochs, most), 0)
        return least * self.seconds_per_epoch, most * self.seconds_per_epoch


class Reporter:
    """Writes ``progress.json`` and ``history.csv`` while training runs, about once a second.

    Parameters
    ----------
    run
        Run directory.
    """

    def __init__(self, run: Path) -> None:
        self.run, self._before = run, seconds_before(run)
        self._started, self._epochs, self._written = time.monotonic(), 0, 0.0

    def tell(
        self,
        history: Sequence[dict[str, float]],
        max_epochs: int,
        best_epoch: int,
        patience: int,
        *,
        now: bool = False,
    ) -> None:
        """Report an epoch; at once with ``now``, else when the last report is old enough."""
        import pandas as pd  # the command line is quick without it

        self._epochs += 1
        clock = time.monotonic()
        if not now and clock - self._written < _EVERY_SECONDS:
            return
        self._written = clock
        spent = clock - self._started
        state = FitProgress(
            len(history), max_epochs, best_epoch, patience,
            round(self._before + spent, 3), round(spent / self._epochs, 4),
        )  # fmt: skip
        write_frame(self.run / HISTORY, pd.DataFrame(history))
        write_json(self.run / PROGRESS, asdict(state))


def read_progress(run: Path) -> FitProgress | None:
    """The last report of the fit in a folder; None where there is none."""
    try:
        return FitProgress(**json.loads((run / PROGRESS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def seconds_before(run: Path) -> float:
    """Seconds that earlier parts of an interrupted fit have spent; 0 for a new one."""
    told = read_progress(run)
    return 0.0 if told is None else told.seconds

"""What a command answers, as JSON or as text; everything else goes to stderr."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """Result of a command.

    Parameters
    ----------
    report
        What ``--json`` prints, one object.
    text
        What is printed without it.
    exit_code
        0 done, 2 the input is at fault although there is an answer.
    """

    report: Mapping[str, Any]
    text: str
    exit_code: int = 0

    def print(self, *, as_json: bool) -> None:
        """Write the answer to stdout, as one JSON object or as text."""
        text = json.dumps(plain(self.report), allow_nan=False) if as_json else self.text
        print(text, flush=True)


def log(message: str) -> None:
    """A line for the person who waits."""
    print(message, file=sys.stderr, flush=True)


def log_dropped(record: Mapping[str, Any]) -> None:
    """Say which cells of the file were left out, from ``uns["cradle"]``; nothing when none."""
    dropped = {kind: int(n) for kind, n in record.get("dropped", {}).items() if int(n)}
    if dropped:
        parts = [f"{n:,} {kind.replace('_', '-')}" for kind, n in dropped.items()]
        log(f"Cells left out: {', '.join(parts)}.")


def plain(value: Any) -> Any:
    """The same value of JSON's own types; numbers that JSON does not know become null."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return plain(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def number(value: Any, digits: int = 4) -> str:
    """A number for people; a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:,.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns aligned by spaces."""
    cells = [list(header), *([number(c) for c in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)

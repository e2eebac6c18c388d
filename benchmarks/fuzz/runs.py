"""Hostile and broken run directories, made from good ones."""

import csv
import gzip
import io
import json
import os
import pickle
import random
import shutil
import struct
from pathlib import Path
from typing import Any

from benchmarks.fuzz.damage import damage, other_value
from benchmarks.fuzz.h5ad import HOSTILE

_VALUES = (None, True, [], {}, 0, -1, 1, 10**9, 10**18, 1e308, float("nan"), float("inf"), "x", "",
           "../../../etc/passwd", [1, 2], {"a": 1}, "100000", 0.5)  # fmt: skip
_CELLS = (*HOSTILE, "inf", "1e400", "True", "None", "9" * 40, "0.5", "test", "train")


class _Payload:
    """Would run a command when unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = str(target)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.target,)


def mutate(bases: list[Path], out: Path, draw: random.Random, secret: Path) -> str:
    """Write a mutated copy of a run directory; returns what was changed."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(draw.choice(bases), out)
    path = draw.choice(sorted(p for p in out.rglob("*") if p.is_file() and p.name != "DONE"))
    chance = draw.random()
    if chance < 0.05:
        path.unlink()
        return f"{path.name} removed"
    if chance < 0.1:
        path.write_bytes(pickle.dumps(_Payload(secret.parent / "unpickled")))
        return f"{path.name} a pickle"
    if chance < 0.15:
        path.unlink()
        path.symlink_to(secret)
        return f"{path.name} a link"
    if chance < 0.35:
        path.write_bytes(damage(path.read_bytes(), draw))
        return f"{path.name} bytes"
    if path.suffix == ".json":
        _json(path, draw)
    elif path.suffix in (".csv", ".gz"):
        _table(path, draw)
    elif path.suffix == ".safetensors":
        _tensors(path, draw)
    return f"{path.name} content"


def _json(path: Path, draw: random.Random) -> None:
    content = json.loads(path.read_text())
    for _ in range(draw.choice((1, 1, 2, 5))):
        other_value(content, draw, (*_VALUES, draw.choice(HOSTILE)), deeper=0.8, loss=0.3)
    if draw.random() < 0.05:
        content = draw.choice(_VALUES)
    path.write_text(json.dumps(content))


def _table(path: Path, draw: random.Random) -> None:
    packed = path.suffix == ".gz"
    text = (gzip.decompress(path.read_bytes()) if packed else path.read_bytes()).decode()
    rows = list(csv.reader(io.StringIO(text)))
    for _ in range(draw.choice((1, 3, 10))):
        change = draw.randrange(7)
        row = draw.choice(rows) if rows else []
        if change == 0 and len(rows) > 1:
            rows.remove(row)
        elif change == 1:
            rows.append(list(row))
        elif change == 2 and rows:
            column = draw.randrange(len(rows[0]) or 1)
            rows = [r[:column] + r[column + 1 :] for r in rows]
        elif change == 3 and rows:
            rows = rows[:1]
        elif row:
            row[draw.randrange(len(row))] = draw.choice(_CELLS)
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    content = out.getvalue().encode("utf-8", "surrogatepass")
    path.write_bytes(gzip.compress(content) if packed else content)


def _tensors(path: Path, draw: random.Random) -> None:
    """Another header, or other numbers; the lengths stay consistent half of the time."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, body = json.loads(content[8 : 8 + length]), bytearray(content[8 + length :])
    name = draw.choice([k for k in header if k != "__metadata__"])
    change = draw.randrange(6)
    if change == 0:
        body[:4] = struct.pack("<f", draw.choice((float("nan"), float("inf"), 1e38)))
    elif change == 1:
        header[name]["shape"] = draw.choice(([2**40], [0], [1, 1], [-1], [2**62, 4]))
    elif change == 2:
        header[name]["dtype"] = draw.choice(("F64", "I32", "BOOL", "X"))
    elif change == 3:
        header[draw.choice(("../x", "a" * 3000, "weight"))] = header.pop(name)
    elif change == 4:
        header[name]["data_offsets"] = draw.choice(([0, 2**40], [4, 0], [-4, 4], [0, 4]))
    else:
        notes = header.get("__metadata__", {"format": "pt"})
        key = draw.choice(list(notes))
        notes[key] = draw.choice(
            ("", "null", "[]", "{}", "[1]", '{"a": [1]}', "x", notes[key][:-9])
        )
        header["__metadata__"] = notes
    text = json.dumps(header).encode()
    size = len(text) if draw.random() < 0.9 else draw.choice((0, 2**63, 10**12))
    path.write_bytes(struct.pack("<Q", size) + text + bytes(body))

"""Damage to the bytes of a file, whatever it holds, and to the values of JSON."""

import copy
import random
from collections.abc import Sequence
from typing import Any

_EXTREME = (b"\xff" * 8, b"\x00" * 8, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x7f" * 2)


def damage(content: bytes, draw: random.Random) -> bytes:
    """The content with one to three faults: flipped, lost, repeated, moved or extreme bytes."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 3))):
        draw.choice((_flip, _overwrite, _cut, _remove, _repeat, _blank, _extreme))(data, draw)
    return bytes(data)


def other_value(
    content: Any, draw: random.Random, values: Sequence[Any], *, deeper: float, loss: float
) -> None:
    """Give JSON another value somewhere, or take away a key.

    Parameters
    ----------
    deeper, loss
        Chances of going on into a list or an object, and of losing the key where it stops.
    """
    place = content
    while isinstance(place, (dict, list)) and place:
        key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
        inner = place[key]
        if isinstance(inner, (dict, list)) and inner and draw.random() < deeper:
            place = inner
            continue
        if isinstance(place, dict) and draw.random() < loss:
            del place[key]
        else:
            place[key] = copy.deepcopy(draw.choice(values))  # or a later change would be in it
        return


def _span(data: bytearray, draw: random.Random) -> tuple[int, int]:
    start = draw.randrange(max(len(data), 1))
    return start, min(len(data), start + draw.choice((1, 4, 16, 64, 512, 4096)))


def _flip(data: bytearray, draw: random.Random) -> None:
    for _ in range(draw.choice((1, 4, 16, 64)) if data else 0):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def _overwrite(data: bytearray, draw: random.Random) -> None:
    start, end = _span(data, draw)
    data[start:end] = draw.randbytes(end - start)


def _cut(data: bytearray, draw: random.Random) -> None:
    del data[draw.randrange(max(len(data), 1)) :]


def _remove(data: bytearray, draw: random.Random) -> None:
    start, end = _span(data, draw)
    del data[start:end]


def _repeat(data: bytearray, draw: random.Random) -> None:
    start, end = _span(data, draw)
    data[start:start] = data[start:end]


def _blank(data: bytearray, draw: random.Random) -> None:
    start, end = _span(data, draw)
    data[start:end] = b"\0" * (end - start)


def _extreme(data: bytearray, draw: random.Random) -> None:
    start, value = _span(data, draw)[0], draw.choice(_EXTREME)
    data[start : start + len(value)] = value

"""What follows from a table alone, kept for as long as the table is."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import TypeVar

import pandas as pd

T = TypeVar("T")


def once(function: Callable[[pd.DataFrame], T]) -> Callable[[pd.DataFrame], T]:
    """Call a function of one table once for each table, and share its answer.

    Made for tables of a shared cache, which nobody changes: the same object comes back on every
    run of a page, and no hash of its contents is needed to know it. The answer goes when the cache
    lets go of the table, so it must not hold the table itself; nobody changes it either.
    """
    kept: dict[int, tuple[weakref.ref[pd.DataFrame], T]] = {}

    @functools.wraps(function)
    def answer(table: pd.DataFrame) -> T:
        own = id(table)
        found = kept.get(own)
        if found is None or found[0]() is not table:
            found = weakref.ref(table, lambda _: kept.pop(own, None)), function(table)
            kept[own] = found
        return found[1]

    return answer

"""What follows from a table alone, kept for as long as the table is."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import pandas as pd

P = ParamSpec("P")
T = TypeVar("T")


def once(
    function: Callable[Concatenate[pd.DataFrame, P], T],
) -> Callable[Concatenate[pd.DataFrame, P], T]:
    """Call a function once for each table and the few further arguments; share its answers.

    Made for tables of a shared cache, which nobody changes: the same object comes back on every
    run of a page, and no hash of its contents is needed to know it. The answer goes when the cache
    lets go of the table, so it must not hold the table itself; nobody changes it either.
    """
    kept: dict[int, tuple[weakref.ref[pd.DataFrame], dict[object, T]]] = {}

    @functools.wraps(function)
    def answer(table: pd.DataFrame, /, *args: P.args, **kwargs: P.kwargs) -> T:
        own, asked = id(table), (args, *sorted(kwargs.items()))
        found = kept.get(own)
        if found is None or found[0]() is not table:
            found = kept[own] = weakref.ref(table, lambda _: kept.pop(own, None)), {}
        if asked not in found[1]:
            found[1][asked] = function(table, *args, **kwargs)
        return found[1][asked]

    return answer

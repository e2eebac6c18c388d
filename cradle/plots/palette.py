"""Colours, symbols and dashes that mean the same thing in every figure.

Okabe and Ito's colour-blind-safe palette. No meaning rests on colour alone: each source of cells
also has its own symbol and dash, and stands beside its name.
"""

from collections.abc import Iterable
from typing import NamedTuple

from cradle.data.schema import SPLITS


class Style(NamedTuple):
    """How one source of cells is drawn everywhere."""

    label: str
    color: str
    symbol: str
    dash: str


OBSERVED = Style("observed", "#0072B2", "circle", "solid")
ARTIFACT_OFF = Style("artifact off", "#009E73", "diamond", "dash")
ARTIFACT_ON = Style("artifact on", "#E69F00", "square", "dot")
STYLES = {style.label: style for style in (OBSERVED, ARTIFACT_OFF, ARTIFACT_ON)}

THRESHOLD = "#D55E00"
NEUTRAL = "#7F7F7F"
#: Verdicts of quality control, where single cells are coloured by them.
FAILS = Style("fails", THRESHOLD, "x", "solid")
PASSES = Style("passes", NEUTRAL, "circle-open", "solid")
VERDICTS = {style.label: style for style in (FAILS, PASSES)}
FAIL_ZONE = "rgba(213,94,0,0.12)"
PASS_ZONE = "rgba(0,158,115,0.07)"
MARKED = "#C2278B"  # cells that the reader has selected; seen on white and on dark
GRID = "rgba(127,127,127,0.22)"

CATEGORIES = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B8A800", "#7F7F7F",
)  # fmt: skip
SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star", "pentagon")
PATTERNS = ("", "/", ".", "x", "\\", "-", "+", "|")


def style_of(source: str) -> Style:
    """Style of a source of cells; unknown names are drawn grey rather than borrowed.

    Parameters
    ----------
    source
        A key of ``STYLES``, as it appears in the ``source`` column of tidy tables.
    """
    return STYLES.get(source, Style(source, NEUTRAL, "circle-open", "longdash"))


def numbered(names: Iterable[str]) -> dict[str, int]:
    """Place of each name among the categories, in order: a split has the same in every figure.

    Parameters
    ----------
    names
        In the order in which they appear; where splits are among them, these come first.
    """
    given = dict.fromkeys(names)
    splits = SPLITS if given.keys() & set(SPLITS) else ()
    order = dict.fromkeys([*splits, *given])
    return {name: i for i, name in enumerate(order) if name in given}


def fade(color: str, alpha: float) -> str:
    """``#RRGGBB`` as an ``rgba`` string, for fills under a line of the full colour."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"

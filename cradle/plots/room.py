"""Margins in which the axes of a figure fit, so that a browser draws it once less.

Plotly finds out what room labels need only once it has drawn them, and then draws all anew. An
estimate that is too small costs that time and nothing else; one that is too large, some pixels.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

_SIZE = 12  # pixels of the app's labels
_LINE = 15.6
_LEAST = 21  # half a label stands over the end of an axis
_THOUSAND = 800  # from here on an axis may count to a thousand
#: Pixels around the labels of a side or below, without and with a title; labels hidden, with one.
_ASIDE = {False: 22.0, True: 50.0}
_BELOW = {False: 22.0, True: 52.0}
_TITLE_ALONE = 46.0
_TICK = 7.0  # that a heat map has outside
_SCALE = 30.0  # from the plot to the labels of a colour scale, its thickness apart
#: Widths in parts of the type size; the last fits whatever is left.
_WIDTHS = ((r"[MW@%]", 0.84), (r"[A-Zmw]", 0.6), (r"[iljtfr.,:;|'() -]", 0.33), (r".", 0.51))


def make_room(fig: go.Figure) -> go.Figure:
    """Give a figure that is ready to be shown its margins, and return it."""
    left = [_aside(axis, fig) for axis in fig.select_yaxes()]
    below = [_below(axis, fig) for axis in fig.select_xaxes()]
    right = [_beside(bar) for bar in map(_scale, fig.data) if bar is not None]
    tick = _TICK * any(trace.type == "heatmap" for trace in fig.data)
    fig.update_layout(
        margin_l=max([_LEAST, *left]) + tick, margin_b=max([_LEAST, *below]) + tick,
        margin_r=max([fig.layout.margin.r or 0, *right]),
    )  # fmt: skip
    return fig


def _aside(axis: Any, fig: go.Figure) -> float:
    titled = bool(axis.title.text)
    if axis.showticklabels is False:
        return _TITLE_ALONE * titled
    # the labels of numbers are up to Plotly
    labels = _labels(axis, fig) or {_number(_columns(axis, fig))}
    return _ASIDE[titled] + max(map(width, labels)) * (axis.tickfont.size or _SIZE) / _SIZE


def _below(axis: Any, fig: go.Figure) -> float:
    titled = bool(axis.title.text)
    if axis.showticklabels is False:
        return _TITLE_ALONE * titled
    labels = _labels(axis, fig)
    lines = max((label.count("<br>") + 1 for label in labels), default=1) * _LINE
    if axis.tickangle == -90:
        lines = max(map(width, labels), default=lines) * (axis.tickfont.size or _SIZE) / _SIZE
    return _BELOW[titled] + lines


def _beside(bar: Any) -> float:
    bar.update(x=1, xpad=8)  # as far from the plot on a wide page as on a narrow one
    labels = map(width, bar.ticktext or ("−0.5",))
    return float(_SCALE + (bar.thickness or 30) + max(labels) + 20 * bool(bar.title.text))


def _columns(axis: Any, fig: go.Figure) -> list[Any]:
    """What is drawn along an axis, trace by trace; the first axis is the one not named."""
    which = axis.plotly_name  # such as yaxis2, which traces call y2
    name, letter = which.replace("axis", ""), which[0]
    return [trace[letter] for trace in fig.data
            if (trace[which[:5]] or letter) == name and trace[letter] is not None]  # fmt: skip


def _labels(axis: Any, fig: go.Figure) -> set[str]:
    """The words that stand at an axis; none where it counts."""
    if axis.ticktext is not None:
        return set(map(str, axis.ticktext))
    return {value for column in _columns(axis, fig) for value in column if isinstance(value, str)}


def _number(columns: Sequence[Any]) -> str:
    """About the longest number that stands at an axis."""
    values = [np.abs(np.asarray(column, float)) for column in columns]
    largest = np.fmax.reduce([np.fmax.reduce(v, initial=0.0) for v in values], initial=0.0)
    return "10000" if largest >= _THOUSAND else "−0.5"


def _scale(trace: Any) -> Any:
    """The colour scale of a trace, where it shows one."""
    if trace.type == "heatmap":
        return None if trace.showscale is False else trace.colorbar
    marker = getattr(trace, "marker", None)
    return marker.colorbar if marker is not None and marker.showscale else None


def width(text: str) -> float:
    """Pixels that a label takes, of its longest line, at the app's type size."""
    lines = re.sub(r"<(?!br>)[^>]*>", "", text).split("<br>")
    return _SIZE * max(map(_ems, lines))


def _ems(line: str) -> float:
    total = 0.0
    for pattern, wide in _WIDTHS:
        line, n = re.subn(pattern, "", line)
        total += n * wide
    return total

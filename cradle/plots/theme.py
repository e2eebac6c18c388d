"""Paper, ink and type of all figures, on a light page and on a dark one.

Streamlit would lay its own theme over a figure each time that it appears, by a template that
Plotly cannot compare with the one before, and so draws everything twice. A figure that brings its
look along, and says by a revision that it is the same, is drawn once. When the theme of the system
changes under an open page, its figures follow at the next action.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go


class Ink(NamedTuple):
    """Colours of the paper and of what is written on it; those of the page around."""

    paper: str
    text: str
    strong: str


LIGHT = Ink(paper="#FFFFFF", text="#56616E", strong="#1B2733")
DARK = Ink(paper="#11181F", text="#C4CDD6", strong="#E8EDF2")

_FONT = '"Source Sans", sans-serif'
_PAD = 8  # pixels from the axes to their labels
_STANDOFF = {"x": 20, "y": 24}  # pixels from labels to the title of an axis


def dress(fig: go.Figure, ink: Ink) -> go.Figure:
    """Give a finished figure its paper, ink and type, and return it.

    Parameters
    ----------
    fig
        Changed in place. The size of its title and the type of its ticks, annotations and traces
        stay as they are.
    ink
        ``LIGHT`` or ``DARK``.
    """
    fig.layout.template = None
    fig.update_layout(
        font={"family": _FONT, "size": 12, "color": ink.text},
        title_font={"color": ink.strong, "weight": 700},
        paper_bgcolor=ink.paper, plot_bgcolor=ink.paper, margin_pad=_PAD,
        legend={"font": {"color": ink.strong}, "bgcolor": ink.paper},
        hoverlabel={"bgcolor": ink.paper, "bordercolor": ink.text, "font": {"color": ink.strong}},
        hovermode="closest",
    )  # fmt: skip
    fig.update_xaxes(title_standoff=_STANDOFF["x"], title_font_size=14)
    fig.update_yaxes(title_standoff=_STANDOFF["y"])
    fig.for_each_yaxis(lambda axis: axis.title.font.update(size=axis.title.font.size or 14))
    for trace in fig.data:
        for path, values in _arrays(trace.to_plotly_json()):
            trace[path] = None  # what equals the value that is there is not set
            trace[path] = values.tolist()
    fig.layout.datarevision = hashlib.blake2b(fig.to_json().encode(), digest_size=8).hexdigest()
    return fig


def _arrays(properties: dict[str, Any], above: str = "") -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Dotted path and value of every array: a browser decodes each anew, and takes it for another,
    where a list stays what it is."""
    for name, value in properties.items():
        if isinstance(value, dict):
            yield from _arrays(value, f"{above}{name}.")
        elif isinstance(value, np.ndarray):
            yield f"{above}{name}", value

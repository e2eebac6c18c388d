"""What all figures share: margins, grid, title, and room to be read on a phone."""

import math
import textwrap

import plotly.graph_objects as go

from cradle.plots.palette import GRID, NEUTRAL

#: Characters of a title that fit beside the mode bar on a phone.
TITLE_WIDTH = 38
#: The same beside the longer mode bar of figures in which points can be selected.
NARROW_TITLE = 27
#: The same below the mode bar, where that leaves too little beside it.
WHOLE_TITLE = 44
_MODE_BAR = 26  # pixels

_LEGEND_ROW = 19  # pixels
_PHONE = 50  # characters of a legend that fit beside each other on a phone, with its symbols
_SYMBOL = 6  # characters


def _legend_rows(fig: go.Figure) -> int:
    """Rows of the legend on a phone, at most three; it grows upwards, into the title."""
    sizes = [len(str(trace.name)) + _SYMBOL for trace in fig.data if trace.showlegend is not False]
    if sum(sizes) <= _PHONE:
        return 1
    a_row = max(1, _PHONE // max(sizes))  # all are as wide as the widest
    return min(3, math.ceil(len(sizes) / a_row))


def add_diagonal(fig: go.Figure, low: float, high: float) -> None:
    """Where predicted equals observed, said on the line: an entry more in the legend is a row more
    on a phone."""
    fig.add_scatter(x=[low, high], y=[low, high], mode="lines", hoverinfo="skip", showlegend=False,
                    name="predicted = observed",
                    line={"color": NEUTRAL, "dash": "dash", "width": 1.5})  # fmt: skip
    fig.add_annotation(
        x=high, y=high, text="predicted = observed", showarrow=False, xanchor="right", xshift=-10,
        yanchor="bottom", font={"size": 11},
    )  # fmt: skip


def _lines(title: str, width: int) -> list[str]:
    """As few lines as the width allows, and of those the evenest: no word stands alone."""
    longest = max((len(word) for word in title.split()), default=1)
    wraps = [textwrap.wrap(title, w) for w in range(min(longest, width), width + 1)]
    return min(wraps, key=len) or [""]  # the first, so the narrowest, of those


def finish(
    fig: go.Figure,
    *,
    title: str,
    x: str = "",
    y: str = "",
    height: int = 380,
    legend: bool = False,
    title_width: int = TITLE_WIDTH,
    title_lines: int = 1,
    title_below: bool = False,
) -> go.Figure:
    """Give a figure its title, axis titles and margins, and return it.

    Parameters
    ----------
    fig
        Figure that the caller has just made; it is changed in place.
    title
        The finding, or the quantity shown.
    x, y
        Axis titles, with units.
    height
        Pixels.
    legend
        Whether the legend stands above the plot.
    title_width
        Characters of a line of the title; fewer where the mode bar has more buttons.
    title_lines
        Lines for which there is room at least: figures of a row start at the same height.
    title_below
        Whether the title stands below the mode bar, in lines of up to ``WHOLE_TITLE`` characters.
    """
    title_width = WHOLE_TITLE if title_below else title_width
    top = _MODE_BAR if title_below else 0
    lines = _lines(title, title_width)
    extra = top + 20 * (max(len(lines), title_lines) - 1)
    extra += _LEGEND_ROW * (_legend_rows(fig) - 1) if legend else 0
    fig.update_layout(
        title={
            "text": "<br>".join(lines), "font": {"size": 15}, "x": 0, "xanchor": "left",
            "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 10 + top, "l": 4},
        },
        height=height + extra,
        margin={"l": 8, "r": 8, "t": (74 if legend else 42) + extra, "b": 8},
        showlegend=legend,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        hoverlabel={"namelength": -1},
        dragmode=False,
    )  # fmt: skip
    fig.update_xaxes(showgrid=False, zeroline=False, automargin=True)
    fig.update_yaxes(gridcolor=GRID, zeroline=False, automargin=True)
    if x:
        fig.update_xaxes(title_text=x)
    if y:
        fig.update_yaxes(title_text=y)
    return fig

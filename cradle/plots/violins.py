"""Violins drawn from kernel densities, with the threshold and its zones (Baek 2025, figure 3)."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cradle.plots.layout import finish
from cradle.plots.palette import FAIL_ZONE, MARKED, PASS_ZONE, THRESHOLD, fade, style_of

_HALF_WIDTH = 0.42
_TITLE = 20  # characters; three violins stand in a row


def violins(
    curves: pd.DataFrame,
    *,
    title: str,
    unit: str,
    threshold: float | None = None,
    fails: str | None = None,
    height: int = 320,
    marked: pd.DataFrame | None = None,
) -> go.Figure:
    """One violin per source of cells.

    Parameters
    ----------
    curves
        Columns ``source``, ``value``, ``density``, ``n``, ``median``, as ``densities`` returns.
    title
        Name of the quantity.
    unit
        Title of the value axis.
    threshold
        Where the criterion starts to fail, in the unit of ``value``; None draws no line.
    fails
        ``low`` or ``high``: the side of the threshold that fails.
    height
        Pixels.
    marked
        Cells that stand out: columns ``source`` and ``value``.
    """
    fig = go.Figure()
    sources = list(dict.fromkeys(curves["source"]))
    for position, source in enumerate(sources):
        _add_violin(fig, position, source, curves[curves["source"] == source])
        if marked is not None:
            _add_marks(fig, position, marked.loc[marked["source"] == source, "value"])
    # In three lines, so that labels stand side by side in a narrow column.
    labels = [f"{source.replace(' ', '<br>')}<br>n = {_n(curves, source):,}" for source in sources]
    fig.update_xaxes(
        tickvals=list(range(len(sources))), ticktext=labels, range=[-0.6, len(sources) - 0.4],
        tickangle=0,
    )  # fmt: skip
    finish(fig, title=title, y=unit, height=height, title_width=_TITLE)
    if threshold is not None and fails is not None:
        _add_zones(fig, curves, threshold, fails)
    return fig


def _n(curves: pd.DataFrame, source: str) -> int:
    return int(curves.loc[curves["source"] == source, "n"].iloc[0])


def _add_violin(fig: go.Figure, position: int, source: str, curve: pd.DataFrame) -> None:
    style = style_of(source)
    value = curve["value"].to_numpy()
    width = _HALF_WIDTH * (curve["density"] / curve["density"].max()).to_numpy()
    median = float(curve["median"].iloc[0])
    fig.add_scatter(
        x=np.r_[position - width, (position + width)[::-1]],
        y=np.r_[value, value[::-1]],
        fill="toself",
        mode="lines",
        line={"color": style.color, "width": 1.5, "dash": style.dash},
        fillcolor=fade(style.color, 0.35) if style.color.startswith("#") else style.color,
        hoverinfo="skip",
        name=source,
    )
    fig.add_scatter(
        x=[position],
        y=[median],
        mode="markers",
        marker={"symbol": style.symbol, "size": 9, "color": style.color,
                "line": {"color": "white", "width": 1}},
        hovertemplate=f"{source}<br>median %{{y:,.4~g}}<extra></extra>",
        name=f"{source}, median",
    )  # fmt: skip


def _add_marks(fig: go.Figure, position: int, values: pd.Series) -> None:
    """Selected cells as crosses, spread sideways by a fixed draw so that they can be told apart."""
    aside = np.random.default_rng(position).uniform(-0.14, 0.14, len(values))
    fig.add_scatter(
        x=position + aside, y=values, mode="markers", name="selected",
        marker={"symbol": "x-thin", "size": 5, "opacity": 0.8,
                "line": {"color": MARKED, "width": 1.2}},
        hovertemplate="selected cell: %{y:,.4~g}<extra></extra>",
    )  # fmt: skip


def _add_zones(fig: go.Figure, curves: pd.DataFrame, threshold: float, fails: str) -> None:
    low, high = _value_range(curves, threshold)
    below, above = (FAIL_ZONE, PASS_ZONE) if fails == "low" else (PASS_ZONE, FAIL_ZONE)
    zone = {"line_width": 0, "layer": "below"}
    fig.add_hrect(y0=low, y1=threshold, fillcolor=below, **zone)
    fig.add_hrect(y0=threshold, y1=high, fillcolor=above, **zone)
    fig.add_hline(y=threshold, line={"color": THRESHOLD, "dash": "dash", "width": 2})
    words = ("fail ↓", "pass ↑") if fails == "low" else ("pass ↓", "fail ↑")
    for text, anchor in zip(words, ("top", "bottom"), strict=True):
        fig.add_annotation(
            x=1, xref="paper", xanchor="right", y=threshold, yanchor=anchor, text=text,
            showarrow=False, font={"size": 11, "color": THRESHOLD},
        )  # fmt: skip
    fig.update_yaxes(range=[low, high])


def _value_range(curves: pd.DataFrame, threshold: float) -> tuple[float, float]:
    low = min(curves["value"].min(), threshold)
    high = max(curves["value"].max(), threshold)
    margin = 0.06 * (high - low) or 1.0
    floor = 0.0 if low >= 0 and threshold >= 0 else -np.inf
    return float(max(low - margin, floor)), float(high + margin)

"""Violins drawn from kernel densities, with the threshold and its zones (Baek 2025, figure 3)."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cradle.plots.layout import finish
from cradle.plots.palette import FAIL_ZONE, MARKED, PASS_ZONE, THRESHOLD, fade, style_of

_HALF_WIDTH = 0.42
_TITLE = 27  # characters; three violins stand in a row
_UNIT = 12  # pixels; a violin is hardly taller than its unit is long
_BESIDE = 42  # pixels in which the words at a threshold stand beside the violins
_HEAD = 0.24  # of the axis, in which nothing is drawn but how many cells lie above it


def violins(
    curves: pd.DataFrame,
    *,
    title: str,
    unit: str,
    threshold: float | None = None,
    fails: str | None = None,
    height: int = 320,
    marked: pd.DataFrame | None = None,
    title_lines: int = 1,
) -> go.Figure:
    """One violin per source of cells; where curves end below the largest values, it says so.

    Parameters
    ----------
    curves
        Columns ``source``, ``value``, ``density``, ``n``, ``median``, ``above``, ``largest``, as
        ``densities`` returns.
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
        Cells that stand out: columns ``source`` and ``value``; those above the axis are drawn at
        its end.
    title_lines
        Lines for which the title has room at least, so that figures of a row start alike.
    """
    fig = go.Figure()
    end = float(curves["value"].max()) if curves["above"].any() else math.inf
    sources = list(dict.fromkeys(curves["source"]))
    for position, source in enumerate(sources):
        _add_violin(fig, position, source, curves[curves["source"] == source])
        if marked is not None:
            _add_marks(fig, position, marked.loc[marked["source"] == source, "value"], end)
    # In three lines, so that labels stand side by side in a narrow column.
    labels = [f"{source.replace(' ', '<br>')}<br>n = {_n(curves, source):,}" for source in sources]
    fig.update_xaxes(
        tickvals=list(range(len(sources))), ticktext=labels, range=[-0.6, len(sources) - 0.4],
        tickangle=0,
    )  # fmt: skip
    finish(fig, title=title, y=unit, height=height, title_width=_TITLE, title_lines=title_lines)
    fig.update_yaxes(title_font_size=_UNIT)
    if end < math.inf:
        fig.update_yaxes(range=_value_range(curves, end))
        _add_rest(fig, curves, sources)
    if threshold is not None and fails is not None:
        _add_zones(fig, _value_range(curves, threshold), threshold, fails)
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


def _add_marks(fig: go.Figure, position: int, values: pd.Series, end: float) -> None:
    """Selected cells as crosses, spread sideways by a fixed draw so that they can be told apart."""
    aside = np.random.default_rng(position).uniform(-0.14, 0.14, len(values))
    fig.add_scatter(
        x=position + aside, y=values.clip(upper=end), mode="markers", name="selected",
        customdata=values,
        marker={"symbol": "x-thin", "size": 5, "opacity": 0.8,
                "line": {"color": MARKED, "width": 1.2}},
        hovertemplate="selected cell: %{customdata:,.4~g}<extra></extra>",
    )  # fmt: skip


def _add_rest(fig: go.Figure, curves: pd.DataFrame, sources: list[str]) -> None:
    """How many cells of each source lie above the axis, and how far."""
    for source, rest in curves.groupby("source")[["above", "largest"]].first().iterrows():
        if rest["above"]:
            cells = "cell" if rest["above"] == 1 else "cells"
            fig.add_annotation(
                x=sources.index(str(source)), y=1, yref="y domain", yanchor="top",
                showarrow=False, font={"size": 11},
                text=f"↑ {rest['above']:,.0f} {cells}<br>up to {rest['largest']:,.3g}",
            )  # fmt: skip


def _add_zones(fig: go.Figure, reach: tuple[float, float], threshold: float, fails: str) -> None:
    low, high = reach
    below, above = (FAIL_ZONE, PASS_ZONE) if fails == "low" else (PASS_ZONE, FAIL_ZONE)
    zone = {"line_width": 0, "layer": "below"}
    fig.add_hrect(y0=low, y1=threshold, fillcolor=below, **zone)
    fig.add_hrect(y0=threshold, y1=high, fillcolor=above, **zone)
    fig.add_hline(y=threshold, line={"color": THRESHOLD, "dash": "dash", "width": 2})
    words = ("fail ↓", "pass ↑") if fails == "low" else ("pass ↓", "fail ↑")
    for text, anchor in zip(words, ("top", "bottom"), strict=True):
        fig.add_annotation(
            x=1, xref="paper", xanchor="left", y=threshold, yanchor=anchor, text=text,
            showarrow=False, font={"size": 11, "color": THRESHOLD},
        )  # fmt: skip
    fig.update_layout(margin_r=_BESIDE)
    fig.update_yaxes(range=[low, high])


def _value_range(curves: pd.DataFrame, threshold: float) -> tuple[float, float]:
    low = min(curves["value"].min(), threshold)
    high = max(curves["value"].max(), threshold)
    margin = 0.06 * (high - low) or 1.0
    head = _HEAD * (high - low) if curves["above"].any() else margin
    floor = 0.0 if low >= 0 and threshold >= 0 else -np.inf
    return float(max(low - margin, floor)), float(high + head)

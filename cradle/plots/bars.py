"""Counts and rates: composition of a screen, pass rates, overlap of criteria."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from cradle.plots.layout import finish
from cradle.plots.palette import CATEGORIES, NEUTRAL, OBSERVED, PATTERNS, THRESHOLD, numbered


def stacked_bars(
    table: pd.DataFrame, *, category: str, part: str, title: str, x: str = "cells"
) -> go.Figure:
    """Horizontal bars of cell counts, stacked by ``part``; splits in their own order.

    Parameters
    ----------
    table
        Columns ``category``, ``part`` and ``n_cells``; categories are drawn in the order given,
        first on top.
    category, part
        Column names.
    title, x
        Figure and axis titles.
    """
    fig = go.Figure()
    table = table.dropna(subset=[part])
    parts = table[part].astype(str)
    for name, i in numbered(parts).items():
        rows = table[parts == name]
        fig.add_bar(
            y=rows[category].astype(str), x=rows["n_cells"], name=name, orientation="h",
            marker={"color": CATEGORIES[i % 8], "pattern": {"shape": PATTERNS[i % 8]}},
            hovertemplate=f"%{{y}}<br>{name}: %{{x:,}} cells<extra></extra>",
        )  # fmt: skip
    order = list(dict.fromkeys(table[category].astype(str)))
    fig.update_layout(barmode="stack")
    finish(fig, title=title, x=x, height=160 + 20 * len(order), legend=len(fig.data) > 1)
    fig.update_yaxes(categoryorder="array", categoryarray=order[::-1], dtick=1, showgrid=False)
    return fig


def rate_dots(
    table: pd.DataFrame, *, category: str, title: str, x: str, emphasise: Sequence[str] = ()
) -> go.Figure:
    """Rates with their intervals, one row per category.

    Parameters
    ----------
    table
        Columns ``category``, ``rate``, ``low``, ``high`` (all in percent) and ``n``.
    category
        Column name; drawn in the order given, first on top.
    title, x
        Figure and axis titles.
    emphasise
        Categories drawn as diamonds in the threshold's colour (the control, for comparison).
    """
    marked = table[category].isin(list(emphasise))
    fig = go.Figure()
    fig.add_scatter(
        y=table[category].astype(str), x=table["rate"], mode="markers",
        customdata=table[["low", "high", "n"]],
        error_x={"type": "data", "symmetric": False, "array": table["high"] - table["rate"],
                 "arrayminus": table["rate"] - table["low"], "color": NEUTRAL, "thickness": 1.5,
                 "width": 0},
        marker={"size": 9, "color": marked.map({True: THRESHOLD, False: OBSERVED.color}),
                "symbol": marked.map({True: "diamond", False: OBSERVED.symbol})},
        hovertemplate="%{y}: %{x:.1f} %<br>95 % interval %{customdata[0]:.1f}–"
                      "%{customdata[1]:.1f} %<br>%{customdata[2]:,} cells<extra></extra>",
    )  # fmt: skip
    finish(fig, title=title, x=x, height=110 + 20 * len(table))
    fig.update_xaxes(range=[min(98.0, float(table["low"].min())) - 2, 101])
    fig.update_layout(margin_r=16)  # half of the last number
    fig.update_yaxes(autorange="reversed", dtick=1, showgrid=False)
    return fig


def overlap_bars(table: pd.DataFrame, criteria: Sequence[str], *, title: str) -> go.Figure:
    """Cells by the exact set of criteria they fail: bars above, the sets as dots below.

    Parameters
    ----------
    table
        Boolean columns named by ``criteria`` and ``n_cells``; one row per set, largest first.
    criteria
        Rows of the dot matrix, top to bottom.
    title
        Figure title.
    """
    fig = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.04,
                        row_heights=[0.6, 0.4])  # fmt: skip
    sets = [" + ".join(c for c in criteria if row[c]) for _, row in table.iterrows()]
    positions = list(range(len(table)))
    fig.add_bar(
        x=positions, y=table["n_cells"], text=table["n_cells"].map("{:,.0f}".format),
        textposition="outside",
        # upright and of one size: on a phone a bar is narrower than its number
        textangle=-90 if len(table) > 8 else 0, textfont_size=11, constraintext="none",
        marker_color=THRESHOLD, cliponaxis=False, customdata=sets, row=1, col=1,
        hovertemplate="%{customdata}<br>%{y:,} cells<extra></extra>",
    )  # fmt: skip
    for shown, colour in ((False, "rgba(127,127,127,0.25)"), (True, THRESHOLD)):
        at = [(p, c) for p in positions for c in criteria if bool(table[c].iloc[p]) == shown]
        fig.add_scatter(
            x=[p for p, _ in at], y=[c for _, c in at], mode="markers", hoverinfo="skip",
            marker={"size": 11, "color": colour, "symbol": "circle" if shown else "circle-open"},
            row=2, col=1,
        )  # fmt: skip
    finish(fig, title=title, height=300 + 22 * len(criteria))
    # A single set must not become one bar as wide as the page.
    fig.update_xaxes(showticklabels=False, range=[-0.6, max(len(table), 8) - 0.4])
    fig.update_yaxes(title_text="cells", range=[0, 1.15 * float(table["n_cells"].max())], row=1,
                     col=1)  # fmt: skip
    fig.update_yaxes(categoryorder="array", categoryarray=list(criteria)[::-1], row=2, col=1)
    return fig

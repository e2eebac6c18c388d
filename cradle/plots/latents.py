"""Inside a model: masks, the artifact in latent space, one cell before and after."""

from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cradle.plots.heatmap import DIVERGING
from cradle.plots.layout import finish
from cradle.plots.palette import ARTIFACT_OFF, ARTIFACT_ON, FAIL_ZONE, NEUTRAL, OBSERVED, THRESHOLD

MAX_NAMED = 60  # rows that have room for their name


def mask_map(
    table: pd.DataFrame, *, title: str, kind: Literal["probability", "shift"], x: str = ""
) -> go.Figure:
    """Perturbed genes by latents.

    Parameters
    ----------
    table
        Index: perturbed genes, first on top; columns: latents, in the order to draw them.
    title
        Title of the figure.
    kind
        What the values are: probabilities that the mask is on, or shifts in latent units.
    x
        Title of the axis of latents whose numbers are to be read; by default they are not.
    """
    values = table.to_numpy(float)
    if kind == "probability":
        look = {"colorscale": "Cividis", "zmin": 0.0, "zmax": 1.0}
        bar = {"tickvals": [0, 0.1, 0.5, 0.9, 1],
               "ticktext": ["0 off", "0.1", "0.5", "0.9", "1 on"]}  # fmt: skip
        words = "on with probability %{z:.2f}"
    else:
        end = max(float(np.abs(values).max(initial=0.0)), 1e-6)
        look = {"colorscale": DIVERGING, "zmin": -end, "zmax": end}
        bar = {"title": {"text": "latent units", "side": "right"}}
        words = "shift %{z:+.2f} latent units"
    names = [str(latent) for latent in table.columns]
    fig = go.Figure(
        go.Heatmap(
            z=values, x=names, y=list(table.index), colorbar={"thickness": 8, "xpad": 4, **bar},
            hovertemplate=f"%{{y}}, latent %{{x}}<br>{words}<extra></extra>", **look,
        )
    )  # fmt: skip
    row = 17 if len(table) <= MAX_NAMED else max(3, 1000 // len(table))
    finish(fig, title=title, x=x or f"{len(names)} latents, alike ones side by side",
           height=130 + row * max(len(table), 6))  # fmt: skip
    # a latent's number is a category, and means nothing; too many to be read
    read = bool(x) and len(names) <= MAX_NAMED
    fig.update_xaxes(type="category", showticklabels=read, tickangle=0,
                     dtick=1 if read else None, tickfont={"size": 9})  # fmt: skip
    fig.update_yaxes(autorange="reversed", showgrid=False, dtick=1, tickfont={"size": 11},
                     showticklabels=len(table) <= MAX_NAMED)  # fmt: skip
    return fig


def vector(table: pd.DataFrame, *, title: str) -> go.Figure:
    """A vector in latent space with its intervals, smallest component first.

    Parameters
    ----------
    table
        Columns ``latent``, ``mean``, ``lower`` and ``upper``, latent units.
    title
        Title of the figure.
    """
    rows = table.sort_values("mean", kind="stable")
    fig = go.Figure()
    fig.add_hline(y=0, line={"color": NEUTRAL, "width": 1})
    fig.add_scatter(
        x=list(range(1, len(rows) + 1)), y=rows["mean"], mode="markers", text=rows["latent"],
        marker={"color": ARTIFACT_ON.color, "symbol": ARTIFACT_ON.symbol, "size": 6},
        error_y={"type": "data", "symmetric": False, "array": rows["upper"] - rows["mean"],
                 "arrayminus": rows["mean"] - rows["lower"], "color": NEUTRAL, "thickness": 1,
                 "width": 0},
        hovertemplate="latent %{text}: %{y:+.2f} latent units<extra></extra>",
    )  # fmt: skip
    return finish(fig, title=title, x="latents, smallest component first",
                  y="artifact (latent units)", height=420)  # fmt: skip


def count_bars(table: pd.DataFrame, *, category: str, n: str, title: str, x: str) -> go.Figure:
    """Numbers of QC-failed cells, one bar a category, with the number beside it.

    Parameters
    ----------
    table
        Columns ``category`` and ``n``; drawn in the order given, first on top.
    category, n
        Column names.
    title, x
        Titles of the figure and of the value axis.
    """
    fig = go.Figure(
        go.Bar(
            y=table[category].astype(str), x=table[n], orientation="h",
            text=table[n].map("{:,.0f}".format), textposition="outside", cliponaxis=False,
            marker_color=ARTIFACT_ON.color,
            hovertemplate="%{y}: %{x:,} cells<extra></extra>",
        )
    )  # fmt: skip
    finish(fig, title=title, x=x, height=110 + 18 * len(table))
    fig.update_xaxes(range=[0, 1.12 * max(int(table[n].max()), 1)])
    fig.update_yaxes(autorange="reversed", dtick=1, showgrid=False, tickfont={"size": 11})
    return fig


_STATES = {
    "observed": ("this cell, observed", OBSERVED),
    "before": ("model, artifact on", ARTIFACT_ON),
    "after": ("model, artifact off", ARTIFACT_OFF),
}


def criteria_moves(table: pd.DataFrame, *, title: str, mad: float) -> go.Figure:
    """Distance of a cell to the median of the training cells on the bad side, per criterion.

    Parameters
    ----------
    table
        Columns ``name`` and, in MADs with positive on the bad side, ``observed``, ``before`` and
        ``after``, the latter two with ``_low`` and ``_high``; first criterion on top.
    title
        Title of the figure.
    mad
        The threshold k.
    """
    fig = go.Figure()
    for i, (state, (words, style)) in enumerate(_STATES.items()):
        rows = np.arange(len(table)) + (i - 1) * 0.22
        bars = None
        if f"{state}_low" in table:
            bars = {"type": "data", "symmetric": False, "color": style.color, "thickness": 1.5,
                    "array": table[f"{state}_high"] - table[state],
                    "arrayminus": table[state] - table[f"{state}_low"]}  # fmt: skip
        fig.add_scatter(
            x=table[state], y=rows, mode="markers", name=words, error_x=bars, text=table["name"],
            marker={"color": style.color, "symbol": style.symbol, "size": 10},
            hovertemplate=f"%{{text}}, {words}: %{{x:+.1f}} MAD<extra></extra>",
        )  # fmt: skip
    numbers = table.drop(columns="name").to_numpy(float)
    low, high = min(-1.0, float(numbers.min())) - 0.5, max(mad + 1, float(numbers.max())) + 0.5
    fig.add_vrect(x0=mad, x1=high, fillcolor=FAIL_ZONE, line_width=0, layer="below")
    fig.add_vline(x=mad, line={"color": THRESHOLD, "width": 2})
    fig.add_annotation(x=mad, y=0, yref="paper", text=f"fails, k = {mad:g}", showarrow=False,
                       xanchor="left", yanchor="bottom", font={"size": 11})  # fmt: skip
    fig.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    finish(fig, title=title, x="MADs to the bad side of the median",
           height=190 + 62 * len(table), legend=True)  # fmt: skip
    fig.update_layout(margin_t=fig.layout.margin.t + 40)  # on a phone each entry takes a row
    fig.update_xaxes(range=[low, high])
    fig.update_yaxes(tickvals=list(range(len(table))), ticktext=table["name"], showgrid=False,
                     range=[len(table) - 0.2, -0.5])  # room for a word below  # fmt: skip
    return fig


def before_after(table: pd.DataFrame, *, title: str) -> go.Figure:
    """Expression of genes in one cell: observed, and by the model with the artifact on and off.

    Parameters
    ----------
    table
        Columns ``gene``, ``observed``, ``before`` and ``after``, log2(1 + 1e4·x/library size);
        first gene on top.
    title
        Title of the figure.
    """
    fig = go.Figure()
    # one trace with gaps: a browser takes as long for each trace as for many points
    moves = table[["before", "after"]].assign(gap=np.nan).to_numpy(float).ravel()
    fig.add_scatter(x=moves, y=table["gene"].repeat(3), mode="lines", showlegend=False,
                    hoverinfo="skip", line={"color": NEUTRAL, "width": 2})  # fmt: skip
    for state, (words, style) in _STATES.items():
        hollow = state == "observed"
        fig.add_scatter(
            x=table[state], y=table["gene"], mode="markers", name=words,
            marker={"color": style.color, "size": 9, "line": {"width": 2 if hollow else 0},
                    "symbol": f"{style.symbol}{'-open' if hollow else ''}"},
            hovertemplate=f"%{{y}}, {words}: %{{x:.2f}}<extra></extra>",
        )  # fmt: skip
    finish(fig, title=title, x="log2(1 + 10,000 · x / library size)",
           height=180 + 19 * len(table), legend=True)  # fmt: skip
    fig.update_layout(margin_t=fig.layout.margin.t + 40)
    fig.update_yaxes(autorange="reversed", dtick=1, categoryorder="array",
                     categoryarray=list(table["gene"]))  # fmt: skip
    return fig

"""Predicted against observed effects, and two-dimensional maps of cells."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cradle.plots.layout import NARROW_TITLE, add_diagonal, finish
from cradle.plots.palette import (
    CATEGORIES,
    NEUTRAL,
    OBSERVED,
    STYLES,
    SYMBOLS,
    THRESHOLD,
    VERDICTS,
    numbered,
)

WEBGL_ABOVE = 5_000
MAX_POINTS = 30_000
SPOTS = 200  # along the wider axis: some pixels, at most what a point measures
_OPACITY = 0.65


def thin(frame: pd.DataFrame, by: str, limit: int = MAX_POINTS) -> pd.DataFrame:
    """At most ``limit`` rows, the same ones every time, in the order of the table.

    Parameters
    ----------
    frame
        One row per point.
    by
        Column whose groups keep their shares.
    limit
        Greatest number of rows; lasso sends every selected point back to the server.
    """
    if len(frame) <= limit:
        return frame
    rng = np.random.default_rng(0)
    # A random order within groups, cut at one quantile of it, keeps each group's share.
    rank = frame.assign(_u=rng.random(len(frame))).groupby(by, observed=True)["_u"].rank(pct=True)
    kept = np.sort(np.argsort(rank.to_numpy(), kind="stable")[:limit])
    return frame.iloc[kept]


def spots(effects: pd.DataFrame) -> pd.DataFrame:
    """Of points that would cover each other, the first.

    Most effects of a screen lie on top of one another near zero, where a browser draws ten times
    as many points as can be seen. Outliers are never left out, as a random share would.

    Parameters
    ----------
    effects
        Columns ``observed``, ``predicted`` (log2 units) and ``targeted`` (bool); targeted genes
        cover targeted genes only. Rows where either effect is missing or infinite are left out.

    Returns
    -------
    DataFrame
        The rows kept, in their order, with ``n``: how many points lie on the spot, which is
        1 / ``SPOTS`` of the wider of the two axes high and wide.
    """
    there = effects[np.isfinite(effects[["observed", "predicted"]]).all(axis=1)]
    points = there[["observed", "predicted"]].to_numpy(float)
    if not len(points):
        return there.assign(n=0)
    step = np.ptp(points, axis=0).max() / SPOTS or 1.0
    across, up = np.floor((points - points.min(axis=0)) / step).astype(int).T
    # one whole number a spot: whole rows are sorted ten times as slowly
    spot = 2 * (across * (SPOTS + 1) + up) + there["targeted"].to_numpy(int)
    _, first, n = np.unique(spot, return_index=True, return_counts=True)
    order = np.argsort(first)
    return there.iloc[first[order]].assign(n=n[order])


def effect_scatter(
    table: pd.DataFrame, *, title: str, others: pd.DataFrame | None = None, other_name: str = ""
) -> go.Figure:
    """Predicted against observed treatment effect, one point per perturbation and gene.

    Parameters
    ----------
    table
        Columns ``perturbation``, ``gene``, ``observed``, ``predicted`` (log2 units), ``targeted``
        (bool), an integer ``row`` returned by a selection, and ``n``, the points that a point
        stands for, as ``spots`` counts them.
    title
        Figure title.
    others
        The same points as a baseline predicts them, drawn hollow underneath.
    other_name
        The baseline's name.
    """
    fig = go.Figure()
    if others is not None:
        _points(fig, others, other_name, NEUTRAL, "circle-open", 5)
    _points(fig, table[~table["targeted"]], "genes", OBSERVED.color, "circle", 6)
    _points(fig, table[table["targeted"]], "targeted genes", THRESHOLD, "diamond", 9)
    add_diagonal(fig, float(table[["observed", "predicted"]].min().min()),
                 float(table[["observed", "predicted"]].max().max()))  # fmt: skip
    finish(fig, title=title, x="observed effect (log2 units)", y="predicted effect (log2 units)",
           height=520, legend=True, title_width=NARROW_TITLE)  # fmt: skip
    fig.update_layout(clickmode="event+select", dragmode="zoom")
    return fig


def _points(
    fig: go.Figure, table: pd.DataFrame, name: str, color: str, symbol: str, size: int
) -> None:
    if table.empty:
        return
    kind = go.Scattergl if len(table) > WEBGL_ABOVE else go.Scatter
    more = (table["n"] - 1).map(lambda n: f"<br>and {n:,} more here" if n else "")
    fig.add_trace(
        kind(
            x=table["observed"], y=table["predicted"], mode="markers", name=name,
            customdata=table["row"], text=table["perturbation"] + " · " + table["gene"] + more,
            # as dark as the points that it stands for would be, one over another
            marker={"color": color, "symbol": symbol, "size": size,
                    "opacity": 1 - (1 - _OPACITY) ** table["n"]},
            hovertemplate="observed %{x:.2f}, predicted %{y:.2f}<br>%{text}<extra></extra>",
            selected={"marker": {"opacity": 1.0}}, unselected={"marker": {"opacity": 0.4}},
        )
    )  # fmt: skip


def cell_map(
    points: pd.DataFrame,
    *,
    title: str,
    axes: tuple[str, str],
    color: str,
    numeric: bool,
    unit: str = "",
    selected: Sequence[int] | None = None,
) -> go.Figure:
    """Cells in two dimensions, one trace, so that recolouring never moves a selection.

    Parameters
    ----------
    points
        Columns ``x``, ``y``, an integer ``row``, ``label`` for hovering, and ``color``.
    title
        Figure title.
    axes
        Axis titles.
    color
        Column shown; categories get a colour and a symbol, numbers a scale.
    numeric
        Whether ``color`` is a number.
    unit
        Title of the colour scale.
    selected
        Positions in ``points`` that stand out.
    """
    marker, legend = _scale(points[color], unit) if numeric else _classes(points[color])
    kind = go.Scattergl if len(points) > WEBGL_ABOVE else go.Scatter
    fig = go.Figure(
        kind(
            x=points["x"], y=points["y"], mode="markers", customdata=points["row"],
            text=points["label"], hovertemplate="%{text}<extra></extra>",
            marker=marker | {"size": 5, "opacity": 0.75}, showlegend=False,
            selectedpoints=None if selected is None else list(selected),
            unselected={"marker": {"opacity": 0.12}},
        )
    )  # fmt: skip
    for name, item in legend.items():
        fig.add_scatter(x=[None], y=[None], mode="markers", name=name, marker=item | {"size": 9})
    finish(fig, title=title, x=axes[0], y=axes[1], height=560, legend=bool(legend),
           title_below=True)  # fmt: skip
    fig.update_layout(dragmode="lasso")
    fig.update_xaxes(showticklabels=False)
    fig.update_yaxes(showticklabels=False, showgrid=False)
    return fig


def _scale(values: pd.Series, unit: str) -> tuple[dict[str, object], dict[str, dict[str, object]]]:
    bar = {"title": {"text": unit, "side": "right"}, "thickness": 12}
    return {"color": values, "colorscale": "Cividis", "showscale": True, "colorbar": bar}, {}


def _classes(values: pd.Series) -> tuple[dict[str, object], dict[str, dict[str, object]]]:
    look: dict[str, dict[str, object]] = {
        name: {"color": CATEGORIES[i % 8], "symbol": SYMBOLS[(i + i // 8) % 8]}
        for name, i in numbered(values.astype(str)).items()
    }
    known = STYLES | VERDICTS
    for name in known.keys() & look.keys():
        look[name] = {"color": known[name].color, "symbol": known[name].symbol}
    text = values.astype(str)
    return {
        key: text.map({n: s[key] for n, s in look.items()}) for key in ("color", "symbol")
    }, look

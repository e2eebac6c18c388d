"""Genetic interactions: all pairs of genes at once, and predicted against observed."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cradle.plots.layout import add_diagonal, finish
from cradle.plots.palette import ARTIFACT_OFF, CATEGORIES, GRID, NEUTRAL

#: One sign for each way to stand against the sum, so that the map can be read without colour.
SIGNS = {
    "more than the sum": "+", "less than the sum": "−", "something else": "≠",
    "near the sum": "·", "unclear": "?",
}  # fmt: skip
_UNCLEAR = "unclear"  # where a colour is shown, no sign says so: most predictions are
_SCALE = "PuOr"
_MANY = 20  # genes from which a cell is narrower than a letter on a phone
_DONE = {"observed": "measured", "predicted": "predicted"}
_REACH = 1.0  # multiples of the sum on either side of 1 that the colours span


def pair_map(table: pd.DataFrame, *, title: str) -> go.Figure:
    """Genes against genes: predictions below the diagonal, measurements above it.

    Parameters
    ----------
    table
        Columns ``first``, ``second`` (``first`` before ``second`` in the alphabet), and for
        ``observed`` and ``predicted`` the columns ``*_scale``, ``*_standing`` (a key of
        ``SIGNS``; absent where there is nothing to show) and ``*_kind``.
    title
        Figure title.

    A pair that is unclear has a sign only where it has no colour.
    """
    genes = sorted({*table["first"], *table["second"]})
    place = {gene: i for i, gene in enumerate(genes)}
    values = np.full((len(genes), len(genes)), np.nan)
    signs = np.full(values.shape, "", dtype=object)
    hover = np.full(values.shape, "", dtype=object)
    for side, transposed in (("observed", False), ("predicted", True)):
        names = ("first", "second", f"{side}_scale", f"{side}_standing", f"{side}_kind")
        for first, second, scale, stands, kind in table[list(names)].itertuples(index=False):
            at = (place[first], place[second])
            at = at[::-1] if transposed else at
            hover[at] = f"{first} + {second}<br>not {_DONE[side]}"
            if not isinstance(stands, str):
                continue
            values[at] = scale
            if stands != _UNCLEAR or not np.isfinite(scale):
                signs[at] = SIGNS[stands]
            amount = f"{scale:.2f} × the sum" if np.isfinite(scale) else "too few genes respond"
            hover[at] = f"{first} + {second}<br>{side}: {amount}, {stands}<br>class: {kind}"
    many = len(genes) > _MANY
    look: dict[str, Any] = {
        "x": genes, "y": genes, "text": signs, "customdata": hover, "texttemplate": "%{text}",
        "xgap": 1, "ygap": 1, "hovertemplate": "%{customdata}<extra></extra>",
        "hoverongaps": False, "textfont": {"size": 10 if many else 14, "weight": "bold"},
    }  # fmt: skip
    # white means the sum, so what is not known needs a colour of its own
    unknown = np.where(np.isnan(values) & (hover != ""), 0.0, np.nan)
    fig = go.Figure(
        [go.Heatmap(z=unknown, colorscale=[[0, GRID], [1, GRID]], showscale=False, **look),
         go.Heatmap(z=values, colorscale=_SCALE, zmid=1.0, zmin=1 - _REACH, zmax=1 + _REACH,
                    colorbar={"thickness": 8, "tickvals": [0, 1, 2],
                              "ticktext": ["0×", "1×", "2×"], "xpad": 4}, **look)]
    )  # fmt: skip
    finish(fig, title=title, height=180 + 19 * max(len(genes), 12))
    # the columns come as the rows do, so every second name will do where all would touch
    fig.update_xaxes(tickangle=-90, dtick=2 if many else 1, tickfont={"size": 9})
    fig.update_yaxes(showgrid=False, autorange="reversed", dtick=1, tickfont={"size": 10})
    return fig


def predicted_interactions(table: pd.DataFrame, *, title: str) -> go.Figure:
    """Predicted against observed size of measured pairs, as multiples of the sum of the singles.

    Parameters
    ----------
    table
        One row a pair: ``pair``, ``support``, and for ``observed`` and ``predicted`` the columns
        ``*_scale``, ``*_scale_low``, ``*_scale_high`` and ``*_standing``.
    title
        Figure title.
    """
    fig = go.Figure()
    looks = {"seen": ("in training", NEUTRAL, "circle-open"),
             "held-out combination": ("held out", ARTIFACT_OFF.color, "diamond")}  # fmt: skip
    for support, rows in table.groupby("support", sort=False):
        name, color, symbol = looks.get(str(support), (str(support), CATEGORIES[3], "x"))
        fig.add_scatter(
            x=rows["observed_scale"], y=rows["predicted_scale"], mode="markers", name=name,
            text=rows["pair"], customdata=rows[["observed_standing", "predicted_standing"]],
            error_x=_bars(rows, "observed", color), error_y=_bars(rows, "predicted", color),
            marker={"color": color, "symbol": symbol, "size": 10, "line": {"width": 2}},
            hovertemplate="%{text}<br>observed %{x:.2f}: %{customdata[0]}<br>"
                          "predicted %{y:.2f}: %{customdata[1]}<extra></extra>",
        )  # fmt: skip
    ends = [name for side in ("observed", "predicted") for name in
            (f"{side}_scale_low", f"{side}_scale_high")]  # fmt: skip
    spread = table[ends].to_numpy(float)
    low, high = min(0.5, np.nanmin(spread, initial=0.5)), max(1.5, np.nanmax(spread, initial=1.5))
    add_diagonal(fig, low, high)
    for add in (fig.add_hline, fig.add_vline):
        add(1.0, line={"color": NEUTRAL, "width": 1})
    finish(fig, title=title, x="observed pair (× the sum of its singles)",
                  y="predicted pair (× the sum)", height=460, legend=True)  # fmt: skip
    return fig


def _bars(rows: pd.DataFrame, side: str, color: str) -> dict[str, object]:
    middle = rows[f"{side}_scale"]
    return {
        "type": "data", "symmetric": False, "color": color, "thickness": 1.2, "width": 0,
        "array": rows[f"{side}_scale_high"] - middle,
        "arrayminus": middle - rows[f"{side}_scale_low"],
    }  # fmt: skip

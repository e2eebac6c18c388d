"""Effects of a few perturbations side by side."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cradle.plots.layout import finish

#: Blue down, red up, white none: told apart by all kinds of colour vision.
DIVERGING = [[0.0, "#2166AC"], [0.25, "#92C5DE"], [0.5, "#F7F7F7"], [0.75, "#F4A582"],
          [1.0, "#B2182B"]]  # fmt: skip
#: The same, pale enough for numbers in one dark ink, on a light page and on a dark one.
PALE = [[0.0, "#67A9CF"], [0.5, "#F7F7F7"], [1.0, "#EF8A62"]]
INK = "#1B2733"


def effect_heatmap(table: pd.DataFrame, *, title: str, limit: float | None = None) -> go.Figure:
    """Genes by perturbations, with the number in each field.

    Parameters
    ----------
    table
        Index: genes, first on top; columns: perturbations; values: effects, log2 units.
    title
        Title of the figure.
    limit
        End of the colour scale; the largest effect by default.
    """
    values = table.to_numpy(dtype=float)
    end = limit or max(float(np.nanmax(np.abs(values), initial=0.0)), 1e-6)
    fig = go.Figure(
        go.Heatmap(
            z=values, x=list(table.columns), y=list(table.index), zmin=-end, zmax=end,
            colorscale=PALE, text=np.char.mod("%+.2f", values), texttemplate="%{text}",
            textfont={"size": 11, "color": INK}, xgap=2, ygap=1,
            colorbar={"title": {"text": "log2 units", "side": "right"}, "thickness": 10},
            hovertemplate="%{y}<br>%{x}: %{z:+.3f} log2 units<extra></extra>",
        )
    )  # fmt: skip
    finish(fig, title=title, height=110 + 22 * len(table))
    fig.update_yaxes(autorange="reversed", dtick=1, showgrid=False)
    return fig.update_xaxes(side="bottom", tickangle=-25)

"""Models beside each other: a score with its spread over seeds, between floor and ceiling."""

import pandas as pd
import plotly.graph_objects as go

from cradle.plots.layout import finish
from cradle.plots.palette import ARTIFACT_OFF, CATEGORIES, NEUTRAL, OBSERVED, THRESHOLD

_DASHES = ("dash", "dot", "dashdot", "longdash", "longdashdot")
_BOUNDS = {"ceiling": (THRESHOLD, "solid"), "replicate": (OBSERVED.color, "dash"),
           "observed": (OBSERVED.color, "solid")}  # fmt: skip


def model_scores(
    models: pd.DataFrame, seeds: pd.DataFrame, references: pd.DataFrame, *, title: str, x: str
) -> go.Figure:
    """Mean and standard deviation over seeds of each model, with lines for what to compare to.

    Parameters
    ----------
    models
        Columns ``name``, ``mean``, ``sd`` (NaN for one seed) and ``n_seeds``, first on top.
    seeds
        Columns ``name`` and ``value``, one row per model and seed.
    references
        Columns ``name``, ``kind`` (floor, ceiling, replicate, observed) and ``mean``.
    title, x
        Figure and axis titles.
    """
    fig = go.Figure()
    fig.add_scatter(
        x=seeds["value"], y=seeds["name"], mode="markers", name="one seed",
        marker={"symbol": "line-ns", "size": 11, "line": {"width": 1.5, "color": NEUTRAL}},
        hovertemplate="%{y}<br>one seed: %{x:.3f}<extra></extra>",
    )  # fmt: skip
    fig.add_scatter(
        x=models["mean"], y=models["name"], mode="markers", name="mean ± sd over seeds",
        customdata=models[["sd", "n_seeds"]],
        error_x={"type": "data", "array": models["sd"].fillna(0.0), "thickness": 2,
                 "color": ARTIFACT_OFF.color},
        marker={"color": ARTIFACT_OFF.color, "symbol": ARTIFACT_OFF.symbol, "size": 11},
        hovertemplate="%{y}<br>%{x:.3f} ± %{customdata[0]:.3f}, %{customdata[1]} seeds"
                      "<extra></extra>",
    )  # fmt: skip
    ends = [models["name"].iloc[0], models["name"].iloc[-1]] if len(models) else []
    floors = 0
    for row in references.itertuples():
        if row.kind == "floor":
            color, dash = CATEGORIES[(3, 7, 6, 4, 5)[floors % 5]], _DASHES[floors % 5]
            floors += 1
        else:
            color, dash = _BOUNDS.get(str(row.kind), (NEUTRAL, "dot"))
        fig.add_vline(x=row.mean, line={"color": color, "dash": dash, "width": 2})
        # A line of the layout has no legend; this trace is its entry and says its value.
        fig.add_scatter(x=[row.mean] * len(ends), y=ends, mode="lines", name=str(row.name),
                        line={"color": color, "dash": dash, "width": 2},
                        hovertemplate=f"{row.name}: {row.mean:.3f}<extra></extra>")  # fmt: skip
    rows = -(-(len(references) + 2) // 2)  # of the legend on a phone, two entries a row
    finish(fig, title=title, x=x, height=170 + 20 * rows + 30 * len(models), legend=True)
    fig.update_layout(margin_t=fig.layout.margin.t + 8 * max(0, rows - 1))
    fig.update_yaxes(autorange="reversed", dtick=1, type="category", showgrid=False)
    return fig

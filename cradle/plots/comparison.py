"""Models beside each other: a score with its spread over seeds, between floor and ceiling."""

import pandas as pd
import plotly.graph_objects as go

from cradle.plots.layout import finish
from cradle.plots.palette import ARTIFACT_OFF, NEUTRAL, OBSERVED, THRESHOLD, Style

#: What models are compared to: one row each, and a line through all rows.
REFERENCES = {
    "floor": Style("simple rule", NEUTRAL, "square-open", "dash"),
    "ceiling": Style("ceiling", THRESHOLD, "triangle-left-open", "solid"),
    "replicate": Style("observed", OBSERVED.color, "circle-open", "dot"),
}
_DRAWN = 1e-9  # no bar of a spread that is zero but for rounding
_SAME = {"observed": "replicate"}


def model_scores(
    models: pd.DataFrame, seeds: pd.DataFrame, references: pd.DataFrame, *, title: str, x: str,
    ascending: bool = False,
) -> go.Figure:  # fmt: skip
    """Mean and standard deviation over seeds of each model among what it is compared to.

    Parameters
    ----------
    models
        Columns ``name``, ``mean``, ``sd`` (NaN for one seed) and ``n_seeds``.
    seeds
        Columns ``name`` and ``value``, one row per model and seed.
    references
        Columns ``name``, ``kind`` (floor, ceiling, replicate, observed), ``mean`` and ``sd``;
        they vary where each seed is a screen of its own.
    title, x
        Figure and axis titles.
    ascending
        Whether the smallest mean stands on top, for scores of which less is better.
    """
    fig = go.Figure()
    ours = {"color": ARTIFACT_OFF.color, "symbol": ARTIFACT_OFF.symbol, "size": 11}
    fig.add_scatter(
        x=models["mean"], y=models["name"], mode="markers", name="model ± sd",
        customdata=models[["sd", "n_seeds"]], marker=ours,
        error_x={"type": "data", "array": models["sd"].fillna(0.0), "thickness": 2,
                 "color": ARTIFACT_OFF.color},
        hovertemplate="%{y}<br>%{x:.3f} ± %{customdata[0]:.3f}, %{customdata[1]} seeds"
                      "<extra></extra>",
    )  # fmt: skip
    fig.add_scatter(
        x=seeds["value"], y=seeds["name"], mode="markers", name="one seed",
        marker={"symbol": "line-ns", "size": 11, "line": {"width": 1.5, "color": NEUTRAL}},
        hovertemplate="%{y}<br>one seed: %{x:.3f}<extra></extra>",
    )  # fmt: skip
    kinds = references["kind"].replace(_SAME)
    for kind, style in REFERENCES.items():
        rows = references[kinds == kind]
        if rows.empty:
            continue
        fig.add_scatter(
            x=rows["mean"], y=rows["name"], mode="markers", name=style.label,
            showlegend=kind == "floor",  # the others are rows of their own name
            marker={"color": style.color, "symbol": style.symbol, "size": 10,
                    "line": {"width": 2}},
            error_x={"type": "data", "array": rows["sd"].fillna(0.0), "thickness": 1.2,
                     "color": style.color, "visible": bool((rows["sd"] > _DRAWN).any())},
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )  # fmt: skip
        for value in rows["mean"]:
            fig.add_vline(
                x=value, opacity=0.6, line={"color": style.color, "dash": style.dash, "width": 1.3}
            )
    both = pd.concat([models[["name", "mean"]], references[["name", "mean"]]])
    names = both.sort_values("mean", ascending=ascending, kind="stable")["name"]
    finish(fig, title=title, x=x, height=190 + 27 * len(names), legend=True)
    # Beside names as long as these a phone has room for one entry of the legend in a row.
    fig.update_layout(margin_t=fig.layout.margin.t + 12)
    fig.update_yaxes(categoryorder="array", categoryarray=list(names)[::-1], dtick=1,
                     type="category", showgrid=False)  # fmt: skip
    return fig

"""Treatment effects of single genes, with their intervals."""

import pandas as pd
import plotly.graph_objects as go

from cradle.plots.layout import finish
from cradle.plots.palette import ARTIFACT_OFF, NEUTRAL, OBSERVED, Style


def top_genes(
    table: pd.DataFrame,
    *,
    title: str,
    names: tuple[str, str] = ("predicted, artifact off", "observed"),
    x: str = "effect against control (log2 units)",
    style: Style = ARTIFACT_OFF,
    beside: Style = OBSERVED,
) -> go.Figure:
    """Predicted effects with intervals, the observed ones beside them, one row per gene.

    Parameters
    ----------
    table
        Columns ``gene`` and ``predicted``, optionally ``lower``, ``upper``, ``observed`` and
        ``added_up``, in log2 units; drawn in the order given, first on top.
    title
        Figure title.
    names
        Legend of ``predicted`` and ``observed``.
    x
        Title of the value axis.
    style, beside
        How ``predicted`` and ``observed`` are drawn; the latter hollow.
    """
    fig = go.Figure()
    fig.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    if "observed" in table and table["observed"].notna().any():
        fig.add_scatter(
            x=table["observed"], y=table["gene"], mode="markers", name=names[1],
            marker={"color": beside.color, "symbol": f"{beside.symbol}-open", "size": 10,
                    "line": {"width": 2}},
            hovertemplate=f"%{{y}}: {names[1]} %{{x:+.2f}}<extra></extra>",
        )  # fmt: skip
    if "added_up" in table:
        fig.add_scatter(
            x=table["added_up"], y=table["gene"], mode="markers", name="single genes added up",
            marker={"color": NEUTRAL, "symbol": "line-ns-open", "size": 12, "line": {"width": 2}},
            hovertemplate="%{y}: single genes added up %{x:+.2f}<extra></extra>",
        )  # fmt: skip
    fig.add_scatter(
        x=table["predicted"], y=table["gene"], mode="markers", name=names[0],
        error_x=_interval(table, style),
        marker={"color": style.color, "symbol": style.symbol, "size": 9},
        hovertemplate=f"%{{y}}: {names[0]} %{{x:+.2f}}<extra></extra>",
    )  # fmt: skip
    finish(fig, title=title, x=x, height=130 + 19 * len(table), legend=True)
    fig.update_yaxes(autorange="reversed", dtick=1)
    return fig


def _interval(table: pd.DataFrame, style: Style) -> dict[str, object] | None:
    if "lower" not in table or table["lower"].isna().all():
        return None
    return {
        "type": "data", "symmetric": False, "color": style.color, "thickness": 1.5,
        "array": table["upper"] - table["predicted"],
        "arrayminus": table["predicted"] - table["lower"],
    }  # fmt: skip

"""Inside a PerturbedVAE: its graph of responsive latents, and what its blocks tell."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cradle.plots.layout import finish
from cradle.plots.palette import CATEGORIES, NEUTRAL, OBSERVED, THRESHOLD

#: Edges that are drawn at most, the strongest.
MAX_EDGES = 60
#: Raising and lowering: told apart by the head of the arrow, too.
_SIGNS = {1: ("raises", CATEGORIES[2], 2, "triangle-right"), -1: ("lowers", THRESHOLD, 6, "circle")}
_NODE = 0.10  # radius that arrows leave free, the circle of the nodes being 1


def latent_graph(nodes: pd.DataFrame, edges: pd.DataFrame, *, title: str) -> go.Figure:
    """Responsive latents on a circle, an arrow from each to those that it drives.

    Parameters
    ----------
    nodes
        Columns ``latent`` and ``gene``, in the order to go round, clockwise from the top.
    edges
        Columns ``source``, ``target`` (latents) and ``weight``, the strongest first.
    title
        Title of the figure.
    """
    fig = go.Figure()
    angle = np.pi / 2 - 2 * np.pi * np.arange(len(nodes)) / max(len(nodes), 1)
    place = {
        latent: np.array([np.cos(a), np.sin(a)])
        for latent, a in zip(nodes["latent"], angle, strict=True)
    }
    drawn = edges.head(MAX_EDGES)
    largest = max(float(drawn["weight"].abs().max()), 1e-6) if len(drawn) else 1.0
    for source, target, weight in _rows(drawn):
        _arrow(fig, place[source], place[target], weight, largest)
    _hover(fig, drawn, place)
    _nodes(fig, nodes, angle)
    for words, color, _, symbol in _SIGNS.values():
        fig.add_scatter(x=[None], y=[None], mode="markers", name=words,
                        marker={"color": color, "symbol": symbol, "size": 11})  # fmt: skip
    finish(fig, title=title, height=560, legend=True)
    fig.update_xaxes(visible=False, range=[-1.5, 1.5], scaleanchor="y", constrain="domain")
    return fig.update_yaxes(visible=False, range=[-1.3, 1.3])


def _rows(edges: pd.DataFrame) -> list[tuple[int, int, float]]:
    columns = (edges[name].tolist() for name in ("source", "target", "weight"))
    return list(zip(*columns, strict=True))


def _arrow(
    fig: go.Figure, start: np.ndarray, end: np.ndarray, weight: float, largest: float
) -> None:
    unit = (end - start) / max(float(np.linalg.norm(end - start)), 1e-9)
    tail, tip = start + _NODE * unit, end - _NODE * unit
    _, color, head, _ = _SIGNS[1 if weight > 0 else -1]
    fig.add_annotation(
        x=tip[0], y=tip[1], ax=tail[0], ay=tail[1], xref="x", yref="y", axref="x", ayref="y",
        text="", showarrow=True, arrowhead=head, arrowcolor=color, arrowsize=1.0,
        arrowwidth=1 + 3 * abs(weight) / largest, opacity=0.85,
    )  # fmt: skip


def _hover(fig: go.Figure, drawn: pd.DataFrame, place: dict[int, np.ndarray]) -> None:
    """Points that cannot be seen, a third along each arrow, that tell its weight."""
    at = [place[a] + (place[b] - place[a]) / 3 for a, b, _ in _rows(drawn)]
    fig.add_scatter(
        x=[p[0] for p in at], y=[p[1] for p in at], mode="markers", showlegend=False,
        marker={"size": 12, "opacity": 0}, customdata=drawn[["source", "target", "weight"]],
        hovertemplate="latent %{customdata[0]} → %{customdata[1]}: %{customdata[2]:+.2f}"
                      "<extra></extra>",
    )  # fmt: skip


def _nodes(fig: go.Figure, nodes: pd.DataFrame, angle: np.ndarray) -> None:
    fig.add_scatter(
        x=np.cos(angle), y=np.sin(angle), mode="markers+text", text=nodes["latent"].astype(str),
        showlegend=False, textfont={"color": "white", "size": 11}, customdata=nodes["gene"],
        marker={"size": 24, "color": OBSERVED.color, "line": {"width": 1, "color": NEUTRAL}},
        hovertemplate="latent %{text}, moved most by %{customdata}<extra></extra>",
    )  # fmt: skip
    for (x, y), gene in zip(
        zip(np.cos(angle), np.sin(angle), strict=True), nodes["gene"], strict=True
    ):
        side = "left" if x > 0.2 else "right" if x < -0.2 else "center"
        fig.add_annotation(
            x=x + 0.12 * np.sign(x) * (abs(x) > 0.2), y=y + (0.17 * np.sign(y) if abs(x) <= 0.2
                                                             else 0.0),
            text=gene, showarrow=False, xanchor=side, font={"size": 11},
        )  # fmt: skip


def probe_dots(table: pd.DataFrame, *, chance: float, title: str) -> go.Figure:
    """Accuracy of linear probes, one row a block, between chance and everything.

    Parameters
    ----------
    table
        Columns ``block``, ``accuracy``, ``low``, ``high`` and ``shuffled`` (percent); first on
        top.
    chance
        Accuracy of guessing, percent.
    title
        Title of the figure.
    """
    fig = go.Figure()
    fig.add_vline(x=chance, line={"color": THRESHOLD, "width": 2, "dash": "dash"})
    fig.add_annotation(x=chance, y=0, yref="paper", text=f"chance, {chance:.1f} %",
                       showarrow=False, xanchor="left", yanchor="bottom",
                       font={"size": 11})  # fmt: skip
    fig.add_scatter(
        x=table["shuffled"], y=table["block"], mode="markers", name="labels shuffled",
        marker={"color": NEUTRAL, "symbol": "x", "size": 9},
        hovertemplate="%{y}, labels shuffled: %{x:.1f} %<extra></extra>",
    )  # fmt: skip
    fig.add_scatter(
        x=table["accuracy"], y=table["block"], mode="markers", name="perturbation",
        marker={"color": OBSERVED.color, "symbol": OBSERVED.symbol, "size": 11},
        error_x={"type": "data", "symmetric": False, "array": table["high"] - table["accuracy"],
                 "arrayminus": table["accuracy"] - table["low"], "color": OBSERVED.color,
                 "thickness": 1.5},
        hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
    )  # fmt: skip
    finish(fig, title=title, x="cells told right (%)",
           height=200 + 44 * len(table), legend=True)  # fmt: skip
    fig.update_xaxes(range=[0, 105])
    return fig.update_yaxes(showgrid=False, range=[len(table) - 0.2, -0.6])

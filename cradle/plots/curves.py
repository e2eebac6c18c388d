"""How training went: one curve an epoch."""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from cradle.plots.layout import finish
from cradle.plots.palette import CATEGORIES, NEUTRAL, OBSERVED

_DASHES = ("solid", "dash", "dot", "dashdot")
MAX_POINTS = 1_000


def learning_curve(history: pd.DataFrame, *, title: str, height: int = 300) -> go.Figure:
    """Training loss and validation bound of one run; lower is better.

    Parameters
    ----------
    history
        Columns epoch, train_loss and val_elbo (nats per cell), one row an epoch.
    title
        The finding, or the run.
    height
        Pixels.
    """
    shown = _thin(history)
    fig = go.Figure()
    for name, values, color, dash in (
        ("training loss", shown["train_loss"], NEUTRAL, "dot"),
        ("validation −ELBO", -shown["val_elbo"], OBSERVED.color, "solid"),
    ):
        fig.add_scatter(
            x=shown["epoch"] + 1, y=values, name=name, mode="lines",
            line={"color": color, "dash": dash, "width": 2},
            hovertemplate=f"epoch %{{x}}<br>{name} %{{y:.2f}}<extra></extra>",
        )  # fmt: skip
    best = history.iloc[int(history["val_elbo"].to_numpy().argmax())]
    fig.add_scatter(
        x=[best["epoch"] + 1], y=[-best["val_elbo"]], name="best", mode="markers",
        marker={"symbol": "star", "size": 11, "color": OBSERVED.color},
        hovertemplate="best epoch %{x}<br>validation −ELBO %{y:.2f}<extra></extra>",
    )  # fmt: skip
    finish(fig, title=title, x="epoch", y="nats per cell", height=height, legend=True,
           title_width=24)  # fmt: skip
    fig.update_yaxes(range=_span(shown), separatethousands=True)
    return fig


def validation_curves(histories: Mapping[str, pd.DataFrame], *, title: str) -> go.Figure:
    """Validation −ELBO of several runs over their epochs.

    Parameters
    ----------
    histories
        Name of the run -> its history, as for ``learning_curve``.
    title
        Title of the figure.
    """
    fig = go.Figure()
    for i, (name, history) in enumerate(histories.items()):
        shown = _thin(history)
        fig.add_scatter(
            x=shown["epoch"] + 1, y=-shown["val_elbo"], name=name, mode="lines",
            line={"color": CATEGORIES[i % 8], "dash": _DASHES[i % 4], "width": 2},
            hovertemplate=f"{name}<br>epoch %{{x}}: %{{y:.2f}}<extra></extra>",
        )  # fmt: skip
    return finish(fig, title=title, x="epoch", y="validation −ELBO (nats per cell)", height=320,
                  legend=True)  # fmt: skip


def _thin(history: pd.DataFrame) -> pd.DataFrame:
    """Every n-th epoch of a long history, and always the last."""
    step = len(history) // MAX_POINTS + 1
    return history.iloc[(len(history) - 1) % step :: step]


def _span(shown: pd.DataFrame) -> list[float] | None:
    """Range of the values after the first steep epochs, which would hide everything later."""
    if len(shown) < 20:
        return None
    late = shown.iloc[len(shown) // 10 :]
    values = pd.concat([late["train_loss"], -late["val_elbo"]])
    low, high = float(values.min()), float(values.max())
    margin = 0.08 * (high - low or 1.0)
    return [low - margin, high + margin]

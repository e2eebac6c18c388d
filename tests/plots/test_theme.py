"""A figure brings its look along, in a form that a browser need not draw twice."""

import json
import tomllib
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio
import pytest

from cradle.plots.layout import finish
from cradle.plots.theme import DARK, LIGHT, Ink, dress

CONFIG = Path(__file__).parents[2] / ".streamlit" / "config.toml"


def _figure(x: float = 0.5) -> go.Figure:
    fig = go.Figure()
    fig.add_scatter(
        x=np.array([x, 1.0]), y=np.array([3, 4]), customdata=np.arange(4).reshape(2, 2),
        marker={"color": np.array([0.1, np.nan])}, error_x={"array": np.array([0.1, 0.2])},
    )  # fmt: skip
    fig.add_heatmap(z=np.array([[1.0, 2.0]]))
    return finish(fig, title="Title", x="x", y="y")


def test_what_is_sent_holds_no_template_and_no_encoded_array() -> None:
    sent = json.loads(pio.to_json(dress(_figure(), LIGHT).to_dict(), validate=False))
    assert "template" not in sent["layout"]
    assert "bdata" not in json.dumps(sent)
    points, tiles = sent["data"]
    assert (points["x"], points["y"]) == ([0.5, 1.0], [3, 4])
    assert points["customdata"] == [[0, 1], [2, 3]]
    assert points["marker"]["color"] == [0.1, None]
    assert points["error_x"]["array"] == [0.1, 0.2]
    assert tiles["z"] == [[1.0, 2.0]]


def test_the_revision_is_the_same_for_equal_figures_alone() -> None:
    revisions = {dress(_figure(), LIGHT).layout.datarevision for _ in range(3)}
    assert len(revisions) == 1
    assert dress(_figure(0.6), LIGHT).layout.datarevision not in revisions


def test_a_figure_that_says_its_own_type_keeps_it() -> None:
    fig = _figure().update_layout(title_font_size=11).update_yaxes(tickfont_size=9)
    dress(fig, DARK)
    assert (fig.layout.title.font.size, fig.layout.yaxis.tickfont.size) == (11, 9)
    assert fig.layout.title.text == "Title"


def _luminance(color: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize(("name", "ink"), [("light", LIGHT), ("dark", DARK)])
def test_ink_is_that_of_the_page_and_can_be_read_on_its_paper(name: str, ink: Ink) -> None:
    page = tomllib.loads(CONFIG.read_text())["theme"][name]
    assert (ink.paper, ink.strong) == (page["backgroundColor"], page["textColor"])
    for color in (ink.text, ink.strong):
        light, dark = sorted((_luminance(color), _luminance(ink.paper)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5

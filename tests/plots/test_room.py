"""Room for labels, estimated before a browser measures it."""

import plotly.graph_objects as go
import pytest
from plotly.subplots import make_subplots

from cradle.plots.layout import finish
from cradle.plots.room import make_room, width


def _left(fig: go.Figure) -> float:
    return float(make_room(fig).layout.margin.l)


def test_long_names_get_more_room_than_short_ones() -> None:
    short, long = go.Figure(go.Bar(x=[1], y=["A"])), go.Figure(go.Bar(x=[1], y=["CEBPA+CEBPB"]))

    assert 95 <= _left(long) <= 110  # ten capitals of 7 pixels, a sign, and what stands around
    assert _left(short) < 50


def test_titles_and_lines_of_labels_get_room_below() -> None:
    plain = make_room(finish(go.Figure(go.Bar(x=[1], y=[1])), title=""))
    titled = make_room(finish(go.Figure(go.Bar(x=[1], y=[1])), title="", x="cells"))
    fig = go.Figure(go.Bar(x=[1], y=[1]))
    fig.update_xaxes(tickvals=[1], ticktext=["one<br>two<br>three"])

    # measured: 67 pixels for a line of labels and a title
    assert 67 <= titled.layout.margin.b <= 70
    assert plain.layout.margin.b < titled.layout.margin.b - 20
    assert make_room(fig).layout.margin.b == pytest.approx(plain.layout.margin.b + 2 * 15.6)


def test_each_axis_makes_room_for_its_own_traces() -> None:
    fig = make_subplots(rows=2, cols=1)
    fig.add_bar(x=[1], y=[2], row=1, col=1)
    fig.add_scatter(x=[1], y=["a long label"], row=2, col=1)
    alone = go.Figure(go.Scatter(x=[1], y=["a long label"]))
    fig.update_yaxes(title_text="cells", row=1, col=1)

    assert _left(fig) == pytest.approx(_left(alone))


def test_large_numbers_get_more_room() -> None:
    assert _left(go.Figure(go.Bar(y=[5000.0, None]))) > _left(go.Figure(go.Bar(y=[0.5])))


def test_a_colour_scale_gets_room_beside_the_plot() -> None:
    values = {"z": [[0.0, 1.0]], "colorbar": {"thickness": 8}}
    shown, hidden = go.Heatmap(**values), go.Heatmap(**values, showscale=False)

    assert make_room(go.Figure(shown)).layout.margin.r > 50
    assert make_room(go.Figure(hidden)).layout.margin.r == 0


def test_making_room_twice_changes_nothing() -> None:
    fig = make_room(go.Figure(go.Heatmap(z=[[1.0]], y=["gene"], colorbar={"thickness": 8})))
    before = fig.to_json()

    assert make_room(fig).to_json() == before


def test_a_label_is_as_wide_as_its_widest_line_without_markup() -> None:
    assert width("<b>AB</b><br>A") == width("AB") > width("A")

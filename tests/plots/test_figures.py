"""Figures say what they show: positions, zones, styles, sizes; the browser test looks at them."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from cradle.plots.bars import overlap_bars, rate_dots, stacked_bars
from cradle.plots.density import densities
from cradle.plots.effects import top_genes
from cradle.plots.layout import finish
from cradle.plots.palette import CATEGORIES, FAIL_ZONE, PASS_ZONE, STYLES, THRESHOLD, fade, style_of
from cradle.plots.scatter import SPOTS, cell_map, effect_scatter, spots, thin
from cradle.plots.violins import violins


@pytest.fixture
def curves() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"source": np.repeat(["observed", "artifact off"], 200), "v": rng.gamma(3, 2, 400)}
    )
    return densities(frame, "v", "source")


def test_styles_differ_in_more_than_colour() -> None:
    for field in ("color", "symbol", "dash"):
        assert len({getattr(style, field) for style in STYLES.values()}) == len(STYLES)
    assert style_of("something else").color not in {s.color for s in STYLES.values()}
    assert fade("#0072B2", 0.5) == "rgba(0,114,178,0.5)"


@pytest.mark.parametrize(("fails", "below"), [("low", FAIL_ZONE), ("high", PASS_ZONE)])
def test_violin_shades_the_side_that_fails(curves: pd.DataFrame, fails: str, below: str) -> None:
    fig = violins(curves, title="UMI counts", unit="counts", threshold=4.0, fails=fails)
    zones = {shape.y1: shape.fillcolor for shape in fig.layout.shapes if shape.type == "rect"}
    line = next(shape for shape in fig.layout.shapes if shape.type == "line")
    assert zones[4.0] == below
    assert (line.y0, line.line.color, line.line.dash) == (4.0, THRESHOLD, "dash")


def test_violin_sends_curves_and_not_cells(curves: pd.DataFrame) -> None:
    fig = violins(curves, title="UMI counts", unit="counts")
    assert max(len(trace.x) for trace in fig.data) == 2 * 128
    assert [text.split("<br>") for text in fig.layout.xaxis.ticktext] == [
        ["observed", "n = 200"],
        ["artifact", "off", "n = 200"],
    ]
    assert not fig.layout.shapes


def test_violin_marks_the_selected_cells_in_their_own_violin(curves: pd.DataFrame) -> None:
    marked = pd.DataFrame({"source": ["artifact off"] * 3, "value": [1.0, 2.0, 3.0]})
    fig = violins(curves, title="UMI counts", unit="counts", marked=marked)
    crosses = [trace for trace in fig.data if trace.name == "selected" and len(trace.y)]
    assert len(crosses) == 1
    assert list(crosses[0].y) == [1.0, 2.0, 3.0]
    assert np.abs(np.array(crosses[0].x) - 1).max() < 0.2  # the second violin


@pytest.mark.parametrize("drawn", [True, False])
def test_violin_says_how_many_cells_lie_above_its_axis(drawn: bool) -> None:
    most = np.linspace(1, 5, 48)
    frame = pd.DataFrame(
        {"source": ["observed"] * 50 + ["artifact off"] * 48, "v": [*most, 40.0, 80.0, *most]}
    )
    tall = densities(frame, "v", "source", threshold=3.0, fails="high")
    marked = pd.DataFrame({"source": "observed", "value": [2.0, 80.0]})
    fig = violins(tall, title="MT", unit="%", threshold=3.0 if drawn else None, fails="high",
                  marked=marked)  # fmt: skip
    assert fig.layout.yaxis.range[1] < 9
    said = {note.x: note.text for note in fig.layout.annotations if note.text.startswith("↑")}
    assert said == {0: "↑ 2 cells<br>up to 80"}
    crosses = next(trace for trace in fig.data if trace.name == "selected")
    assert max(crosses.y) < 9
    assert list(crosses.customdata) == [2.0, 80.0]


def test_words_at_the_threshold_stand_beside_the_violins(curves: pd.DataFrame) -> None:
    fig = violins(curves, title="UMI counts", unit="counts", threshold=4.0, fails="low")
    words = {note.text: note for note in fig.layout.annotations}
    assert set(words) == {"fail ↓", "pass ↑"}
    assert {(note.x, note.xanchor) for note in words.values()} == {(1, "left")}
    assert fig.layout.margin.r >= 40


def test_violins_of_a_row_start_at_the_same_height(curves: pd.DataFrame) -> None:
    titles = ("Doublets", "Mitochondrial share: 12.5 % of control cells fail")
    short, long = (violins(curves, title=t, unit="%", title_lines=2).layout for t in titles)
    assert (short.margin.t, short.height) == (long.margin.t, long.height)


def test_violin_with_a_single_value_is_drawn(curves: pd.DataFrame) -> None:
    flat = densities(pd.DataFrame({"source": ["observed"] * 3, "v": [0.0] * 3}), "v", "source")
    fig = violins(flat, title="Doublets", unit="call", threshold=0.0, fails="high")
    assert fig.layout.yaxis.range[0] < fig.layout.yaxis.range[1]


def test_stacked_bars_keep_the_given_order() -> None:
    table = pd.DataFrame(
        {"perturbation": ["B", "B", "A"], "split": ["train", "val", "train"], "n_cells": [5, 1, 3]}
    )
    fig = stacked_bars(table, category="perturbation", part="split", title="Cells")
    assert list(fig.layout.yaxis.categoryarray) == ["A", "B"]
    assert [trace.name for trace in fig.data] == ["train", "val"]
    assert len({trace.marker.pattern.shape for trace in fig.data}) == 2


@pytest.mark.parametrize("first", ["train", "test"])
def test_a_split_looks_the_same_in_whatever_order_the_cells_come(first: str) -> None:
    rest = [split for split in ("train", "val", "test", "unused") if split != first]
    table = pd.DataFrame({"kind": "single", "split": [first, *rest], "n_cells": 1})
    bars = stacked_bars(table, category="kind", part="split", title="Cells").data
    assert [bar.name for bar in bars] == ["train", "val", "test", "unused"]
    assert [bar.marker.color for bar in bars] == list(CATEGORIES[:4])
    few = stacked_bars(table[table["split"] == "test"], category="kind", part="split", title="C")
    assert few.data[0].marker.color == bars[2].marker.color
    points = pd.DataFrame({"x": 0.0, "y": 0.0, "row": range(4), "label": "a",
                           "color": table["split"]})  # fmt: skip
    legend = cell_map(points, title="t", axes=("1", "2"), color="color", numeric=False).data[1:]
    assert [(item.name, item.marker.color) for item in legend] == [
        (bar.name, bar.marker.color) for bar in bars
    ]


@pytest.mark.parametrize(("names", "rows"), [
    (["train", "test"], 1), (["genes", "targeted genes", "predicted = observed"], 3),
    (list("abcdefghij"), 2), ([f"a rather long name {i}" for i in range(9)], 3),
])  # fmt: skip
def test_a_legend_of_several_rows_on_a_phone_has_room_below_the_title(
    names: list[str], rows: int
) -> None:
    fig = go.Figure([go.Scatter(x=[0], y=[0], name=name) for name in names])
    plain = finish(go.Figure(fig), title="t")
    finish(fig, title="t", legend=True)
    room = fig.layout.margin.t - plain.layout.margin.t
    assert room == 32 + 19 * (rows - 1)
    assert fig.layout.height - plain.layout.height == 19 * (rows - 1)


def test_numbers_above_many_bars_stand_upright_at_their_own_size() -> None:
    table = pd.DataFrame({"a": True, "b": [i % 2 == 0 for i in range(15)], "n_cells": 1_000})
    few, many = (overlap_bars(table.head(n), ["a", "b"], title="t").data[0] for n in (8, 15))
    assert (few.textangle, many.textangle) == (0, -90)
    assert few.constraintext == many.constraintext == "none"


def test_rates_show_their_interval_and_mark_the_control() -> None:
    table = pd.DataFrame(
        {"p": ["A", "control"], "rate": [80.0, 90.0], "low": [70.0, 85.0],
         "high": [88.0, 93.0], "n": [50, 200]}
    )  # fmt: skip
    trace = rate_dots(table, category="p", title="t", x="%", emphasise=["control"]).data[0]
    assert list(trace.error_x.array) == [8.0, 3.0]
    assert list(trace.error_x.arrayminus) == [10.0, 5.0]
    assert list(trace.marker.symbol) == ["circle", "diamond"]


def test_overlap_has_one_dot_per_set_and_criterion() -> None:
    table = pd.DataFrame({"a": [True, True], "b": [False, True], "n_cells": [7, 2]})
    fig = overlap_bars(table, ["a", "b"], title="Overlap")
    hollow, full = fig.data[1], fig.data[2]
    assert list(zip(full.x, full.y, strict=True)) == [(0, "a"), (1, "a"), (1, "b")]
    assert list(zip(hollow.x, hollow.y, strict=True)) == [(0, "b")]
    assert list(fig.data[0].y) == [7, 2]


def _effects(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"perturbation": "A", "gene": [f"G{i}" for i in range(n)], "n": 1,
         "observed": rng.normal(size=n),
         "predicted": rng.normal(size=n), "targeted": np.arange(n) == 0, "row": np.arange(n)}
    )  # fmt: skip


@pytest.mark.parametrize(("n", "kind"), [(50, "scatter"), (5_002, "scattergl")])
def test_effect_scatter_uses_webgl_above_5000_points(n: int, kind: str) -> None:
    fig = effect_scatter(_effects(n), title="Agreement")
    assert fig.data[0].type == kind
    assert fig.data[1].name == "targeted genes"
    assert fig.data[0].customdata[0] == 1


def test_effect_scatter_draws_the_baseline_underneath() -> None:
    table = _effects(20)
    fig = effect_scatter(table, title="Agreement", others=table, other_name="additive")
    assert fig.data[0].name == "additive"
    assert fig.data[0].marker.symbol == "circle-open"


def test_a_point_says_how_many_it_stands_for() -> None:
    table = _effects(3).assign(n=[1, 1, 1_235])
    assert list(effect_scatter(table, title="Agreement").data[0].text) == [
        "A · G1", "A · G2<br>and 1,234 more here"]  # fmt: skip


def test_spots_leave_out_only_what_lies_on_a_point_that_is_drawn() -> None:
    rng = np.random.default_rng(1)
    crowd = rng.normal(0, 0.01, (4_000, 2))
    far = rng.uniform(-5, 5, (50, 2))
    points = np.r_[crowd, far]
    table = pd.DataFrame(points, columns=["observed", "predicted"]).assign(
        targeted=np.arange(len(points)) % 1000 == 0, row=np.arange(len(points)))  # fmt: skip
    kept = spots(table)
    assert len(kept) < 120
    assert kept["n"].sum() == len(table)
    assert kept["row"].is_monotonic_increasing
    step = np.ptp(points, axis=0).max() / SPOTS
    for targets, group in table.groupby("targeted"):
        drawn = kept.loc[kept["targeted"] == targets, ["observed", "predicted"]].to_numpy()
        away = np.abs(group[["observed", "predicted"]].to_numpy()[:, None] - drawn).max(-1).min(1)
        assert away.max() <= step


def test_spots_of_missing_few_and_equal_effects() -> None:
    table = _effects(4).drop(columns="n")
    assert spots(table)["n"].tolist() == [1, 1, 1, 1]
    assert spots(table.assign(predicted=[np.nan, 1.0, 2.0, 3.0]))["row"].tolist() == [1, 2, 3]
    assert spots(table.assign(predicted=np.nan)).empty
    same = spots(table.assign(observed=1.0, predicted=2.0, targeted=False))
    assert same[["row", "n"]].to_numpy().tolist() == [[0, 4]]


def test_thin_keeps_shares_and_repeats() -> None:
    frame = pd.DataFrame({"g": ["a"] * 900 + ["b"] * 100, "row": np.arange(1000)})
    kept = thin(frame, by="g", limit=200)
    assert len(kept) == 200
    assert kept["g"].value_counts().to_dict() == pytest.approx({"a": 180, "b": 20}, abs=1)
    assert kept["row"].is_monotonic_increasing
    pd.testing.assert_frame_equal(kept, thin(frame, by="g", limit=200))
    assert thin(frame, by="g", limit=1000) is frame


def test_cell_map_is_one_trace_with_a_legend_and_keeps_the_selection() -> None:
    points = pd.DataFrame(
        {"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 0.5], "row": [4, 5, 6], "label": ["l"] * 3,
         "source": ["observed", "artifact off", "observed"], "score": [0.1, 0.2, 0.3]}
    )  # fmt: skip
    fig = cell_map(points, title="t", axes=("a", "b"), color="source", numeric=False, selected=[1])
    assert list(fig.data[0].customdata) == [4, 5, 6]
    assert fig.data[0].selectedpoints == (1,)
    assert [trace.name for trace in fig.data[1:]] == ["observed", "artifact off"]
    assert fig.data[0].marker.symbol[0] != fig.data[0].marker.symbol[1]
    scale = cell_map(points, title="t", axes=("a", "b"), color="score", numeric=True, unit="%")
    assert len(scale.data) == 1
    assert scale.data[0].marker.colorbar.title.text == "%"


def test_cells_that_fail_look_as_failing_does_elsewhere_and_not_as_a_source_of_cells() -> None:
    points = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0], "row": [0, 1], "label": ["l"] * 2,
                           "verdict": ["fails", "passes"]})  # fmt: skip
    marker = (
        cell_map(points, title="t", axes=("a", "b"), color="verdict", numeric=False).data[0].marker
    )
    assert marker.color[0] == THRESHOLD
    assert not set(marker.color) & {style.color for style in STYLES.values()}
    assert len(set(marker.symbol)) == 2


def test_top_genes_show_intervals_only_where_there_are_some() -> None:
    table = pd.DataFrame(
        {"gene": ["A", "B"], "predicted": [1.0, -1.0], "lower": [0.5, -1.5], "upper": [2.0, -0.5],
         "observed": [0.9, -0.8]}
    )  # fmt: skip
    fig = top_genes(table, title="Top genes")
    predicted = fig.data[1]
    assert list(predicted.error_x.array) == [1.0, 0.5]
    assert list(predicted.error_x.arrayminus) == [0.5, 0.5]
    without = top_genes(table[["gene", "predicted"]], title="Top genes")
    assert without.data[0].error_x.array is None


def test_title_of_a_map_stands_below_the_longest_mode_bar_as_wide_as_a_phone() -> None:
    points = pd.DataFrame({"x": [0.0], "y": [0.0], "row": [0], "label": ["a"], "color": ["a"]})
    fig = cell_map(points, title="UMAP of 2,446 cells by observed or generated",
                   axes=("1", "2"), color="color", numeric=False)  # fmt: skip
    assert fig.layout.title.text == "UMAP of 2,446 cells by observed or generated"
    assert fig.layout.title.pad.t >= 34

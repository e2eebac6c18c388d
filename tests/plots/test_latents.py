"""Figures of the page Inside the model: what is drawn is what the tables hold."""

import numpy as np
import pandas as pd

from cradle.plots.latents import before_after, count_bars, criteria_moves, mask_map, vector
from cradle.plots.palette import ARTIFACT_OFF, ARTIFACT_ON, OBSERVED


def test_masks_keep_order_and_scale() -> None:
    table = pd.DataFrame([[0.0, 1.0], [0.4, 0.9], [0.2, 0.3]], index=list("CAB"), columns=[2, 1])
    fig = mask_map(table, title="Masks", kind="probability")
    (heat,) = fig.data
    assert list(heat.y) == ["C", "A", "B"]
    assert list(heat.x) == ["2", "1"]
    assert (heat.zmin, heat.zmax) == (0, 1)
    np.testing.assert_array_equal(heat.z, table)
    shift = mask_map(table - 1, title="Shifts", kind="shift").data[0]
    assert shift.zmin == -shift.zmax == -1


def test_a_screen_with_many_genes_stays_of_a_height_that_can_be_read() -> None:
    table = pd.DataFrame(np.zeros((1500, 3)))
    fig = mask_map(table.set_axis(table.index.astype(str), axis=0), title="", kind="probability")
    assert fig.layout.height < 5000
    assert fig.layout.yaxis.showticklabels is False


def test_vector_is_sorted_with_its_intervals() -> None:
    table = pd.DataFrame({"latent": [1, 2], "mean": [0.5, -1.0], "lower": [0.0, -3.0],
                          "upper": [1.0, 0.5]})  # fmt: skip
    dots = vector(table, title="Artifact").data[0]
    assert list(dots.y) == [-1.0, 0.5]
    assert list(dots.text) == [2, 1]
    assert list(dots.error_y.array) == [1.5, 0.5]
    assert list(dots.error_y.arrayminus) == [2.0, 0.5]


def test_counts_of_zero_have_a_bar_and_a_number() -> None:
    table = pd.DataFrame({"perturbation": ["A", "B"], "n": [3, 0]})
    fig = count_bars(table, category="perturbation", n="n", title="Counts", x="cells")
    assert list(fig.data[0].text) == ["3", "0"]
    assert fig.layout.xaxis.range[1] > 3
    assert count_bars(table.tail(1), category="perturbation", n="n", title="", x="").data


def test_each_source_of_cells_has_its_colour_and_symbol_everywhere() -> None:
    genes = pd.DataFrame({"gene": ["g", "h"], "observed": [0.0, 2.0], "before": [1.0, 2.0],
                          "after": [0.5, 3.0]})  # fmt: skip
    moves = pd.DataFrame({"name": ["Genes detected"], "observed": [4.0], "before": [3.5],
                          "before_low": [3.0], "before_high": [5.0], "after": [1.0],
                          "after_low": [0.0], "after_high": [2.0]})  # fmt: skip
    for fig in (before_after(genes, title="Genes"), criteria_moves(moves, title="QC", mad=3)):
        drawn = {t.name: t for t in fig.data if t.name}
        for name, style in (("this cell, observed", OBSERVED), ("model, artifact on", ARTIFACT_ON),
                            ("model, artifact off", ARTIFACT_OFF)):  # fmt: skip
            assert drawn[name].marker.color == style.color
            assert drawn[name].marker.symbol.startswith(style.symbol)


def test_the_moves_of_genes_are_one_trace_with_gaps() -> None:
    genes = pd.DataFrame({"gene": ["A", "B"], "observed": 0.0, "before": [1.0, 2.0],
                          "after": [3.0, 4.0]})  # fmt: skip
    (moves,) = [t for t in before_after(genes, title="").data if t.mode == "lines"]
    np.testing.assert_array_equal(moves.x, [1, 3, np.nan, 2, 4, np.nan])
    assert list(moves.y) == ["A"] * 3 + ["B"] * 3
    assert not moves.connectgaps


def test_the_zone_of_failing_starts_at_the_threshold() -> None:
    moves = pd.DataFrame({"name": ["x"], "observed": [9.0], "before": [1.0], "after": [-4.0]})
    fig = criteria_moves(moves, title="QC", mad=4)
    zone = next(shape for shape in fig.layout.shapes if shape.type == "rect")
    assert zone.x0 == 4
    low, high = fig.layout.xaxis.range
    assert low < -4
    assert high > 9

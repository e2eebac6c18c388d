"""Figures of the pages Compare models and Interactions."""

import numpy as np
import pandas as pd

from cradle.plots.comparison import model_scores
from cradle.plots.interactions import SIGNS, pair_map, predicted_interactions


def test_scores_show_spread_seeds_and_reference_lines() -> None:
    models = pd.DataFrame(
        {"name": ["A", "B"], "mean": [0.9, 0.8], "sd": [0.02, np.nan], "n_seeds": [3, 1]}
    )
    seeds = pd.DataFrame({"name": ["A", "A", "B"], "value": [0.88, 0.92, 0.8]})
    references = pd.DataFrame(
        {"name": ["Ceiling", "Additive"], "kind": ["ceiling", "floor"], "mean": [0.97, 0.95],
         "sd": [0.0, 0.03]}
    )  # fmt: skip
    fig = model_scores(models, seeds, references, title="ATE-ρ", x="ATE-ρ ↑")
    by_name = {trace.name: trace for trace in fig.data}
    assert list(by_name["model ± sd"].error_x.array) == [0.02, 0.0]
    assert list(by_name["simple rule"].error_x.array) == [0.03]
    assert not by_name["ceiling"].error_x.visible
    assert list(by_name["one seed"].x) == [0.88, 0.92, 0.8]
    assert sorted(shape.x0 for shape in fig.layout.shapes) == [0.95, 0.97]
    assert len({trace.marker.symbol for trace in fig.data}) == len(fig.data)
    # drawn from below, so the best stands on top
    assert list(fig.layout.yaxis.categoryarray) == ["B", "A", "Additive", "Ceiling"]
    turned = model_scores(models, seeds, references, title="", x="", ascending=True)
    assert list(turned.layout.yaxis.categoryarray) == ["Ceiling", "Additive", "A", "B"]


def _pairs() -> pd.DataFrame:
    return pd.DataFrame(
        {"pair": ["A+B", "A+C"], "first": ["A", "A"], "second": ["B", "C"],
         "support": ["seen", "never measured"],
         "predicted_scale": [0.9, 0.5], "predicted_kind": ["additive", "suppression"],
         "predicted_standing": ["near the sum", "less than the sum"],
         "predicted_scale_low": [0.8, 0.4], "predicted_scale_high": [1.0, 0.6],
         "observed_scale": [1.4, np.nan], "observed_kind": ["additive", None],
         "observed_standing": ["more than the sum", None],
         "observed_scale_low": [1.3, np.nan], "observed_scale_high": [1.5, np.nan]}
    )  # fmt: skip


def test_pair_map_has_predictions_below_and_measurements_above_the_diagonal() -> None:
    unknown, heat = pair_map(_pairs(), title="Pairs").data
    assert list(heat.x) == list(heat.y) == ["A", "B", "C"]
    assert heat.z[1][0] == 0.9  # row B, column A: predicted
    assert heat.z[0][1] == 1.4  # row A, column B: measured
    assert np.isnan(heat.z[0][2])
    assert heat.zmid == 1.0
    assert len(set(SIGNS.values())) == len(SIGNS)
    assert unknown.z[0][2] == 0  # not measured: grey, where white is the sum
    assert np.isnan(unknown.z[0][1])
    assert np.isnan(unknown.z[0][0])  # the diagonal is no pair
    assert "not measured" in unknown.customdata[0][2]


def test_the_sign_of_a_pair_says_what_its_colour_says_whatever_its_class() -> None:
    heat = pair_map(_pairs(), title="Pairs").data[1]
    assert heat.text[0][1] == "+"  # 1.4 × the sum, of the class additive
    assert heat.text[2][0] == "−"
    assert "class: additive" in heat.customdata[0][1]


def test_an_unclear_pair_has_a_sign_only_where_it_has_no_colour() -> None:
    pairs = _pairs().assign(predicted_standing="unclear", predicted_scale=[0.9, np.nan])
    unknown, heat = pair_map(pairs, title="Pairs").data
    assert heat.text[1][0] == ""
    assert np.isnan(heat.z[2][0])
    assert unknown.text[2][0] == "?"


def test_signs_and_names_of_many_genes_have_room_on_a_phone() -> None:
    names = [f"G{i:02d}" for i in range(31)]
    pairs = pd.concat([_pairs().head(1).assign(first="G00", second=name) for name in names[1:]])
    many, few = pair_map(pairs, title="t"), pair_map(_pairs(), title="t")
    assert many.data[1].textfont.size < few.data[1].textfont.size
    assert (many.layout.xaxis.dtick, few.layout.xaxis.dtick) == (2, 1)
    assert many.layout.yaxis.dtick == 1  # every gene is named once


def test_predicted_interactions_keep_intervals_and_the_diagonal() -> None:
    rows = _pairs().iloc[:1]
    fig = predicted_interactions(rows, title="Measured pairs")
    points = fig.data[0]
    assert (points.x[0], points.y[0]) == (1.4, 0.9)
    np.testing.assert_allclose(points.error_x.array, [0.1])
    np.testing.assert_allclose(points.error_y.arrayminus, [0.1])
    diagonal = fig.data[-1]
    assert list(diagonal.x) == list(diagonal.y)
    assert diagonal.x[1] >= 1.5

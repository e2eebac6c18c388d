"""Learning curves and heat maps show the numbers that they were given."""

import numpy as np
import pandas as pd
import pytest

from cradle.plots.curves import MAX_POINTS, learning_curve, validation_curves
from cradle.plots.heatmap import effect_heatmap


def _history(n):
    epoch = np.arange(n)
    return pd.DataFrame(
        {"epoch": epoch, "train_loss": 100 / (epoch + 1) + 5, "val_elbo": -((epoch - n / 2) ** 2)}
    )


@pytest.mark.parametrize("n", [1, 2, 19, 50, 2 * MAX_POINTS + 7])
def test_the_curve_ends_with_the_last_epoch_and_marks_the_best(n):
    history = _history(n)
    loss, bound, best = learning_curve(history, title="t").data
    assert len(loss.x) <= MAX_POINTS + 1
    assert loss.x[-1] == bound.x[-1] == n
    assert bound.y[-1] == -history["val_elbo"].iloc[-1]
    assert best.x[0] == history["val_elbo"].idxmax() + 1
    assert best.y[0] == -history["val_elbo"].max()


def test_two_runs_differ_in_more_than_colour():
    fig = validation_curves({"a": _history(5), "b": _history(9)}, title="t")
    assert [len(line.x) for line in fig.data] == [5, 9]
    assert len({line.line.dash for line in fig.data}) == 2
    assert "nats per cell" in fig.layout.yaxis.title.text


def test_the_heat_map_is_centred_on_no_effect_and_says_its_numbers():
    table = pd.DataFrame({"A": [1.0, -3.0], "B": [0.0, 2.0]}, index=["G1", "G2"])
    (field,) = effect_heatmap(table, title="t").data
    assert (field.zmin, field.zmax) == (-3.0, 3.0)
    assert np.asarray(field.text).tolist() == [["+1.00", "+0.00"], ["-3.00", "+2.00"]]
    assert list(field.y) == ["G1", "G2"]
    effect_heatmap(table * 0, title="all zero")


def _luminance(colour: str) -> float:
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_numbers_in_the_heat_map_can_be_read_on_every_colour_of_it():
    (field,) = effect_heatmap(pd.DataFrame({"A": [1.0]}, index=["G"]), title="t").data
    ink = _luminance(field.textfont.color)
    for _, colour in field.colorscale:
        assert (_luminance(colour) + 0.05) / (ink + 0.05) >= 4.5

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

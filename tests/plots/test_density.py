"""Kernel densities against scipy and their own definition."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from cradle.plots.density import densities, kernel_density


def test_density_integrates_to_one() -> None:
    values = np.random.default_rng(0).gamma(2.0, 3.0, 500)
    curve = kernel_density(values)
    assert np.trapezoid(curve["density"], curve["value"]) == pytest.approx(1.0)
    assert curve["value"].min() == values.min()
    assert curve["value"].max() == values.max()


def test_density_of_many_normal_cells_is_the_normal_density() -> None:
    values = np.random.default_rng(1).normal(5.0, 2.0, 100_000)
    curve = kernel_density(values)
    middle = curve[curve["value"].between(1, 9)]
    np.testing.assert_allclose(middle["density"], norm(5, 2).pdf(middle["value"]), atol=0.01)


def test_density_leaves_out_what_is_not_measurable() -> None:
    with_gaps = kernel_density([1.0, np.nan, 2.0, 4.0])
    pd.testing.assert_frame_equal(with_gaps, kernel_density([1.0, 2.0, 4.0]))
    assert kernel_density([np.nan]).empty


def test_density_of_equal_values_is_one_point() -> None:
    assert kernel_density([3.0, 3.0]).to_numpy().tolist() == [[3.0, 1.0]]


def test_densities_per_group_keep_order_size_and_median() -> None:
    frame = pd.DataFrame({"source": ["b", "b", "b", "a", "a"], "v": [1.0, 2.0, 9.0, 4.0, np.nan]})
    curves = densities(frame, "v", "source")
    sizes = curves.drop_duplicates("source").set_index("source")
    assert list(sizes.index) == ["b", "a"]
    assert sizes["n"].to_dict() == {"b": 3, "a": 1}
    assert sizes["median"].to_dict() == {"b": 2.0, "a": 4.0}


@pytest.mark.parametrize(
    ("fails", "threshold", "end", "above"),
    [("high", 2.0, 6.0, 10),  # three times the threshold
     ("high", 0.1, 5.0, 20),  # 80 % of the group that lies higher
     ("low", 2.0, 99.0, 0), ("high", None, 99.0, 0)],
)  # fmt: skip
def test_curves_end_where_the_threshold_can_still_be_seen(
    fails: str, threshold: float | None, end: float, above: int
) -> None:
    values = [1.0] * 70 + [5.0] * 10 + [5.5, 6.0] * 5 + [99.0] * 10
    frame = pd.DataFrame({"source": ["a"] * 100 + ["b"] * 2, "v": [*values, 0.5, 1.5]})
    curves = densities(frame, "v", "source", threshold=threshold, fails=fails)
    found = curves.groupby("source")[["value", "n", "above", "largest"]].max()
    assert found.loc["a"].tolist() == pytest.approx([end, 100, above, 99.0], rel=0.03)
    assert found.loc["b", ["n", "above", "largest"]].tolist() == [2, 0, 1.5]
    assert found["value"].max() <= end + 0.1

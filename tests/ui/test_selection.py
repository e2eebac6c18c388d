"""What is said of selected cells, and that a selection outlives a new colouring only on its map."""

import pandas as pd
import pytest
import streamlit as st

from cradle.ui import selection


@pytest.fixture
def obs() -> pd.DataFrame:
    return pd.DataFrame(
        {"source": ["observed"] * 4 + ["artifact off"] * 2,
         "perturbation": ["control", "A", "A", "B", "A", "B"],
         "qc_fail": [True, False, True, False, False, False], "split": ["train"] * 6,
         "mt_percent": [1.0, 2.0, 3.0, float("nan"), 5.0, 6.0]}
    )  # fmt: skip


def test_composition_adds_up_to_the_selection_in_each_kind(obs: pd.DataFrame) -> None:
    table = selection.composition(obs, [1, 2, 4])
    assert list(table["by"].unique()) == ["source", "perturbation", "quality control"]
    assert (table.groupby("by")["selected"].sum() == 3).all()
    row = table.set_index(["by", "group"]).loc[("perturbation", "A")]
    assert (row["selected"], row["on_map"], row["percent_of_group"]) == (3, 3, 100)
    row = table.set_index(["by", "group"]).loc[("source", "observed")]
    assert (row["selected"], row["on_map"]) == (2, 4)
    assert row["percent_of_selected"] == pytest.approx(200 / 3)


def test_marks_are_few_of_each_source_and_have_values(obs: pd.DataFrame) -> None:
    values = obs.rename(columns={"mt_percent": "value"})[["source", "value"]]
    marked = selection.marks(values, limit=2)
    assert marked["source"].value_counts().to_dict() == {"observed": 2, "artifact off": 2}
    assert marked["value"].notna().all()
    pd.testing.assert_frame_equal(marked, selection.marks(values, limit=2))
    assert len(selection.marks(values)) == 5
    assert selection.criteria(obs) == ["mt_percent"]


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    state: dict[str, object] = {}
    monkeypatch.setattr(st, "session_state", state)
    return state


def test_a_lasso_leaves_the_figure_and_a_new_colouring_carries_it_over(
    session: dict[str, object],
) -> None:
    first, other = ("a map",), ("another map",)
    assert selection.to_draw(first, ("source",)) == []  # type: ignore[arg-type]
    assert selection.take([5, 3, 3]) == [3, 5]
    assert selection.to_draw(first, ("source",)) == []  # type: ignore[arg-type]
    assert selection.take([5, 3]) == [3, 5]
    assert selection.to_draw(first, ("split",)) == [3, 5]  # type: ignore[arg-type]
    assert selection.take([]) == [3, 5]  # the new figure reports nothing
    assert selection.take([7]) == [7]
    assert selection.take([]) == []  # a double click
    assert selection.take([7]) == [7]
    selection.clear()
    assert selection.rows() == []
    selection.take([7])
    assert selection.to_draw(other, ("split",)) == []  # type: ignore[arg-type]

"""What is drawn of large screens: a share of every perturbation, said on screen, scores of all."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cradle.data.sources import load
from cradle.ui import effects_view, selection

Open = Callable[..., AppTest]


def test_a_map_says_how_many_observed_cells_are_left_out(demo: Path, open_page: Open) -> None:
    app = open_page("embeddings", method="PCA", n_observed="100", n_generated="0")
    app.number_input(key="n_observed").set_value(100)
    app.button[0].click().run()
    assert not app.exception
    request = app.session_state["map_request"]
    labels = load(demo / "demo.h5ad").obs["perturbation"].astype(str)
    there = labels.isin(request.perturbations).sum()
    assert any(
        f"100 observed cells (of {there:,} observed ones, every perturbation in proportion)"
        in text.value for text in app.caption
    )  # fmt: skip
    drawn = next(t.value for t in app.dataframe if {"x", "y", "label"} <= set(t.value))
    assert len(drawn) == 100
    share = drawn["label"].str.partition(",")[0].value_counts() / 100
    expected = labels[labels.isin(request.perturbations)].value_counts(normalize=True)
    assert (share.reindex(expected.index) - expected).abs().max() < 0.02


def test_scores_use_all_points_where_points_that_cover_each_other_are_drawn_once(
    demo: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = open_page("treatment_effects")
    monkeypatch.setattr(effects_view, "_spots", lambda table: table.assign(n=1))
    whole = open_page("treatment_effects")
    assert any("drawn once" in text.value and "use all" in text.value for text in few.caption)
    assert not any("drawn once" in text.value for text in whole.caption)
    tables = [next(t.value for t in app.dataframe if "who" in t.value) for app in (whole, few)]
    assert tables[0].equals(tables[1])


def test_selected_cells_of_a_large_selection_are_marked_in_part(
    demo: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "MAX_MARKS", 5)
    app = open_page("embeddings", method="PCA", n_generated="0")
    app.button[0].click().run()
    app.session_state["map_selection"] = list(range(60))
    app.run()
    assert not app.exception
    assert any("at most 5 of each kind" in text.value for text in app.caption)


def test_without_a_run_the_way_to_one_is_the_page_train(no_run: Path, open_page: Open) -> None:
    for page in ("overview", "generate"):
        app = open_page(page)
        words = " ".join(box.value for box in (*app.markdown, *app.info, *app.warning))
        assert "Train" in words
        assert "python -m cradle fit" not in words

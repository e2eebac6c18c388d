"""Page Inside the model: each kind of run gets what it has, and is told what it has not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from cradle.evaluation.masks import Decided
from cradle.ui.inside_artifact import artifact_words, kind_words, strongly_changed
from cradle.ui.inside_cell import criteria_words, in_mads, unseen_by_model
from cradle.ui.inside_view import reading

Open = Callable[..., AppTest]
PAGE = "inside_the_model"


def _calm(app: AppTest) -> str:
    assert not app.exception, app.exception[0].value
    assert not [box.value for box in app.warning]
    return "\n".join(str(text.value) for text in [*app.markdown, *app.info, *app.caption])


def _failed(app: AppTest) -> pd.DataFrame:
    return next(d.value for d in app.dataframe if "fails" in d.value and "cell" in d.value)


def test_a_cradle_run_shows_all_its_parts(demo: Path, open_page: Open) -> None:
    app = open_page(PAGE)
    words = _calm(app)
    assert "undecided" in words
    assert "training starts every mask at 0.95" in words
    assert "QC-failed cells in training" in words
    assert "most likely of kind 1**. They fail, in brackets all failed cells:" in words
    failed = _failed(app)
    assert (failed["fails"].str.len() > 0).all()
    assert f"**Cell {failed['cell'].iloc[0]}**" in words
    app.segmented_control(key="mask_colour").set_value("shift").run()
    assert "Mean of mask × embedding" in _calm(app)


def test_the_reader_narrows_the_table_and_a_link_names_the_cell(
    demo: Path, open_page: Open
) -> None:
    app = open_page(PAGE)
    label = _failed(app)["perturbation"].iloc[-1]
    app.selectbox(key="cell_perturbation").set_value(label).run()
    rows = _failed(app)
    assert set(rows["perturbation"]) == {label}
    cell = rows["cell"].iloc[-1]
    assert f"**Cell {cell}**" in _calm(open_page(PAGE, cell=cell))


def test_a_cell_that_is_not_there_is_said(demo: Path, open_page: Open) -> None:
    (box,) = [w.value for w in open_page(PAGE, cell="gone").warning]
    assert "failed cell gone" in box


def test_thresholds_of_the_sidebar_do_not_change_what_the_model_calls_failed(
    demo: Path, open_page: Open
) -> None:
    at_three, at_five = open_page(PAGE, mad="3"), open_page(PAGE, mad="5")
    pd.testing.assert_frame_equal(_failed(at_three), _failed(at_five))


def test_without_cells_the_parts_of_the_model_remain(no_cells: Path, open_page: Open) -> None:
    app = open_page(PAGE)
    words = _calm(app)
    assert "not on this machine" in words
    assert "undecided" in words
    assert not [d for d in app.dataframe if "fails" in d.value and "cell" in d.value]


def test_a_model_without_artifact_says_so(further_runs: Path, open_page: Open) -> None:
    words = _calm(open_page(PAGE, run="sams"))
    assert "SAMS-VAE has no artifact" in words
    assert "undecided" in words
    assert "Not possible with this run" in words


def test_a_rule_has_nothing_inside(further_runs: Path, open_page: Open) -> None:
    app = open_page(PAGE, run="rule")
    assert "nothing learned inside it" in _calm(app)
    assert not app.subheader


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Decided(10, 80, 10), "The model is sparse: a row moves 2 of 20 latents"),
        (Decided(10, 30, 60), "for most masks the cells do not tell"),
        (Decided(60, 10, 30), "hardly left the value it started from"),
        (Decided(40, 30, 30), "read row by row"),
    ],
)
def test_the_reading_follows_from_the_counts(found: Decided, words: str) -> None:
    text = reading(found, 5, 20, 0.1, 0.95)
    assert words in text
    assert f"**{found.undecided} ({found.undecided} %) are undecided**" in text
    assert "10 % to be on" in text


def test_an_artifact_that_does_nothing_is_called_that() -> None:
    genes = pd.DataFrame({"gene": ["A", "B", "C"], "direction": ["up", "down", "up"],
                          "change": [1.0, -0.6, 0.01], "lower": [0.5, -1.5, 0.0],
                          "upper": [1.5, 0.3, 0.02]})  # fmt: skip
    strong = strongly_changed(genes)
    assert list(strong["gene"]) == ["A"], "B is uncertain, C is small"
    assert "1 of 3 genes" in artifact_words(strong, 3)
    assert "A ▲" in artifact_words(strong, 3)
    assert "hardly learned an artifact" in artifact_words(strong.head(0), 3)


@pytest.fixture
def criteria() -> pd.DataFrame:
    return pd.DataFrame(
        {"criterion": ["genes_detected", "mt_percent", "hb_percent"],
         "side": ["low", "high", "high"],
         "threshold": [400.0, 8.0, 0.0], "median": [700.0, 5.0, 0.0], "mad": [100.0, 1.0, 0.0],
         "observed": [300.0, 9.0, 0.1], "observed_fails": [True, True, True],
         "before": [500.0, 10.0, 0.0], "before_low": [300.0, 8.0, 0.0],
         "before_high": [800.0, 12.0, 0.1], "before_percent_failing": [25.0, 90.0, 50.0],
         "after": [600.0, 6.0, 0.0], "after_low": [400.0, 5.0, 0.0],
         "after_high": [900.0, 7.0, 0.1], "after_percent_failing": [5.0, 0.0, 40.0]}
    )  # fmt: skip


def test_distances_are_positive_where_cells_fail(criteria: pd.DataFrame) -> None:
    moved = in_mads(criteria).set_index("name")
    assert list(moved.index) == ["Genes detected", "Mitochondrial share"], "a MAD of 0 has no unit"
    detected, mito = moved.loc["Genes detected"], moved.loc["Mitochondrial share"]
    assert (detected["observed"], detected["before"], detected["after"]) == (4, 2, 1)
    assert (detected["before_low"], detected["before_high"]) == (-1, 4)
    assert (mito["observed"], mito["after_low"], mito["after_high"]) == (4, 0, 2)
    assert np.isfinite(moved.to_numpy(float)).all()


def test_criteria_are_said_with_their_units(criteria: pd.DataFrame) -> None:
    first, second, _ = criteria_words(criteria)
    assert "(fails below 400): the cell fails with 300." in first
    assert "(fails above 8 %): the cell fails with 9 %." in second
    assert "10 → **6 %**" in second
    assert "90 → **0 %**" in second


def test_a_flaw_that_the_panel_does_not_show_is_named(criteria: pd.DataFrame) -> None:
    fails = "UMI counts, Genes detected"
    assert unseen_by_model(fails, criteria) == []
    passing = criteria.assign(observed_fails=[False, False, True])
    assert unseen_by_model(fails, passing) == ["Genes detected"]
    assert unseen_by_model(fails, criteria.head(0)) == []


def test_what_the_cells_of_a_kind_fail_is_said_beside_all_failed_cells():
    marks = pd.DataFrame({"mt_percent": [True, True, False, False], "doublet": [False] * 4,
                          "hb_percent": [False, False, True, True]})  # fmt: skip
    words = kind_words(pd.Series([1, 1, 2, 1]), marks, 1)
    assert "**3 of 4 failed cells (75 %) are most likely of kind 1**" in words
    first, second = "Mitochondrial share in 67 % (50 %)", "Hemoglobin share in 33 % (50 %)"
    assert words.index(first) < words.index(second)
    assert "Doublet" not in words
    assert "No failed cell" in kind_words(pd.Series([2, 2, 2, 2]), marks, 1)

"""Counts and rates against counting by hand."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from cradle.ui import glance, summaries


def test_pass_rates_are_counts_with_wilson_intervals() -> None:
    fails = pd.Series([False, True, False, False, False, True])
    labels = pd.Series(["A", "A", "A", "A", "B", "B"])
    table = summaries.pass_rates(fails, labels).set_index("name")
    assert list(table.index) == ["B", "A"]
    assert table.loc["A", "rate"] == 75.0
    low, high = proportion_confint(3, 4, method="wilson")
    assert table.loc["A", ["low", "high"]].tolist() == pytest.approx([100 * low, 100 * high])


def test_overlap_counts_exact_sets() -> None:
    flags = pd.DataFrame({"fails_a": [1, 1, 0, 1, 0], "fails_b": [0, 1, 0, np.nan, 1]}, dtype=float)
    table = summaries.overlap(flags, ("a", "b"))
    sets = {(row.a, row.b): row.n_cells for row in table.itertuples()}
    assert sets == {(True, False): 2, (True, True): 1, (False, True): 1}
    assert table["n_cells"].is_monotonic_decreasing


def test_overlap_of_passing_cells_is_empty() -> None:
    assert summaries.overlap(pd.DataFrame({"fails_a": [0.0, 0.0]}), ("a",)).empty


def test_composition_from_cells_and_from_a_run_agree() -> None:
    cells = pd.DataFrame(
        {"perturbation": ["A"] * 3 + ["A+B"] * 2 + ["control"],
         "split": ["train", "train", "val", "test", "test", "train"]}
    )  # fmt: skip
    stored = pd.DataFrame(
        {"perturbation": ["A", "A+B", "control"], "n_train": [2, 0, 1], "n_val": [1, 0, 0],
         "n_test": [0, 2, 0]}
    )  # fmt: skip
    direct = summaries.composition(cells["perturbation"], cells["split"])
    pd.testing.assert_frame_equal(direct, summaries.stored_composition(stored))
    assert direct.drop_duplicates("perturbation")["kind"].tolist() == [
        "single", "combination", "control",
    ]  # fmt: skip
    assert direct["n_cells"].sum() == len(cells)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (0.96, "training cells does better: 0.96"),
        (0.9, "does as well"),
        (0.5, "reaches less: 0.50"),
    ],
)
def test_a_run_is_told_beside_the_additive_rule_in_plain_words(rule: float, words: str) -> None:
    scores = {"test": {"n_perturbations": 3, "ate_rho": 0.9},
              "floor": {"additive": {"test": {"ate_rho": rule}}}}  # fmt: skip
    assert words in glance.in_words(scores, "test", True)


def test_nothing_is_added_up_where_no_combination_is_scored() -> None:
    scores = {"test": {"n_perturbations": 3, "ate_rho": 0.4},
              "floor": {"additive": {"test": {"ate_rho": 0.53}}}}  # fmt: skip
    words = glance.in_words(scores, "test", False, pairs=False)
    assert "Adding up" not in words
    assert "the same gene has in the training cells, without a model, does better: 0.53" in words
    table = pd.DataFrame({"perturbation": ["control", "A", "A+B"], "n_test": [9, 3, 0]})
    assert not glance._with_pairs(table, "test")
    assert glance._with_pairs(table.assign(n_test=[9, 0, 3]), "test")
    assert glance._with_pairs(table, "all")


def test_negative_correlations_are_compared_as_numbers() -> None:
    scores = {"test": {"n_perturbations": 3, "ate_rho": -0.10},
              "floor": {"additive": {"test": {"ate_rho": -0.20}}}}  # fmt: skip
    assert "reaches less: -0.20" in glance.in_words(scores, "test", True)


def test_test_cells_of_trained_perturbations_are_not_said_to_be_of_unseen_ones() -> None:
    scores = {"test": {"n_perturbations": 3, "ate_rho": 0.9}}
    assert "3 perturbations that it never saw," in glance.in_words(scores, "test", True)
    words = glance.in_words(scores, "test", False)
    assert "3 perturbations that it was trained on, in cells kept apart," in words
    table = pd.DataFrame(
        {"perturbation": ["control", "A", "A+B"], "n_test": [9, 0, 5],
         "held_out": [False, False, True]}
    )  # fmt: skip
    assert summaries.unseen(table)
    assert not summaries.unseen(table.assign(n_test=[9, 3, 5]))
    assert not summaries.unseen(table.assign(n_test=[9, 0, 0]))


def test_a_figure_never_hides_a_few_rows_and_says_of_how_many_it_is() -> None:
    assert [summaries.rows_shown(n, 40) for n in (39, 41, 60, 61)] == [39, 41, 60, 40]
    names = ["control", *(f"G{i}" for i in range(70))]
    assert summaries.shown_words(names, 40, "largest") == ": the 40 largest of 70 and control"
    assert summaries.shown_words(names, 71, "largest") == ": 70 and control"
    assert summaries.shown_words(["A", "B"], 2, "lowest") == ": 2"

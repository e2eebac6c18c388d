"""What the scores against the truth are computed over, on the shipped demo."""

import json
import shutil

import pytest

from cradle.data.sources import load
from cradle.evaluation.metrics import ate_rho
from cradle.evaluation.scores import matched
from cradle.evaluation.truth import truth_of
from cradle.runs import Run
from cradle.ui.evidence import (
    compared_with_truth,
    covered_words,
    interacting_words,
    interval_words,
    truth_rows,
)
from cradle.ui.navigation import ROOT

DEMO = ROOT / "assets" / "runs" / "demo_cradle_vae"


def test_each_correlation_is_over_the_perturbations_that_are_counted_beside_it() -> None:
    run, truth = Run.load(DEMO), truth_of(load("demo"))
    assert truth is not None
    stored = json.loads((DEMO / "metrics.json").read_text())["truth"]
    groups = compared_with_truth(run, truth.interacting)
    assert [len(labels) for labels in groups.values()] == [36, 3, 1]
    for name, labels in groups.items():
        known, told = matched(truth.effects.rows(labels), run.predicted_effects)
        assert ate_rho(known.mean, told.mean) == pytest.approx(stored[name], abs=1e-4)


def test_what_needs_no_model_stands_beside_the_model() -> None:
    found = json.loads((DEMO / "metrics.json").read_text())["truth"]
    table = truth_rows("mine", found).set_index("who")
    assert list(table.index) == [
        "mine", "floor: Additive", "floor: Matching mean", "floor: Perturbed mean",
        "floor: Linear", "observed",
    ]  # fmt: skip
    heldout = table["effect_correlation_heldout"]
    assert heldout["mine"] == found["effect_correlation_heldout"]
    assert heldout["floor: Additive"] < heldout["mine"]
    assert table["artifact_correlation"].notna().sum() == 1
    earlier = {"effect_correlation_seen": 0.9}
    assert list(truth_rows("mine", earlier)["who"]) == ["mine"]


def test_pairs_that_interact_are_told_apart_by_whether_they_were_held_out() -> None:
    words = interacting_words(["A+B", "C+D", "E+F"], ["C+D", "G+H"])
    assert words == "Pairs whose genes interact, held out: C+D; trained on: A+B, E+F."
    assert interacting_words([], ["C+D"]) == ""


def test_intervals_are_said_beside_the_truth_where_they_were_compared() -> None:
    found = {"interval_coverage_seen": 0.948, "interval_coverage_heldout": None}
    words = covered_words(found)
    assert words == " The drawn 95 % intervals hold 95 % (trained on) of the true effects."
    assert covered_words({}) == ""


def test_intervals_are_called_widened_where_they_are(tmp_path) -> None:
    older = shutil.copytree(DEMO, tmp_path / "older")
    (older / "intervals.json").unlink()
    assert "widened" in interval_words(str(DEMO))
    assert "widened" not in interval_words(str(older))


def test_new_pairs_are_spoken_of_where_there_are_pairs() -> None:
    said = {
        label: "not in training" in interval_words(str(DEMO), label) for label in ("A", "A+B", None)
    }
    assert said == {"A": False, "A+B": True, None: True}


def test_cells_on_which_intervals_were_set_are_named_where_they_were() -> None:
    from streamlit.testing.v1 import AppTest

    def page(path: str, split: str) -> None:
        from cradle.ui.evidence import coverage

        coverage(path, split, "these")

    said = {
        split: "set on these very cells" in AppTest.from_function(
            page, args=(str(DEMO), split)).run(timeout=30).caption[0].value
        for split in ("test", "val")
    }  # fmt: skip
    assert said == {"test": False, "val": True}


def test_more_genes_than_any_cell_carries_are_warned_of() -> None:
    from streamlit.testing.v1 import AppTest

    def page(path: str, label: str) -> None:
        from cradle.ui import picker, store

        picker.support(store.run_at(path), label)

    warned = {
        label: [w.value for w in AppTest.from_function(
            page, args=(str(DEMO), label)).run(timeout=30).warning]
        for label in ("CBL+CEBPA", "CBL+CEBPA+CNN1")
    }  # fmt: skip
    assert warned["CBL+CEBPA"] == []
    (words,) = warned["CBL+CEBPA+CNN1"]
    assert "no training cell carries more than 2 perturbed genes" in words
    assert words.endswith("what the model says of 3.")

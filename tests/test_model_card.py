"""A model card counts what the run says, and names its limits."""

import json

import pytest

from cradle.fitting import fit
from cradle.model_card import limits, model_card, scores
from cradle.progress import FitProgress, read_progress, seconds_before
from cradle.ui.jobs_view import duration, in_words


@pytest.fixture(scope="module")
def run(_small_screen, tmp_path_factory):
    small = {"n_latent": 4, "n_hidden": 8}
    return fit(_small_screen.copy(), "sams_vae", small, out=tmp_path_factory.mktemp("r") / "run",
               epochs=2)  # fmt: skip


def test_the_card_adds_up(run):
    card = json.loads(json.dumps(model_card(run), allow_nan=False))
    table = run.perturbations
    assert card["data"]["train_cells"] == len(run.library_sizes) == table["n_train"].sum()
    assert card["support"]["held_out"] == sorted(run.held_out)
    support = card["support"]
    seen = table[(table["n_train"] > 0) & (table["perturbation"] != "control")]
    n_seen = support["single_perturbations_seen"] + support["combinations_seen"]
    assert n_seen == len(seen)
    few = table[(table["n_train"] < 30) & (table["n_train"] > 0)]["perturbation"]
    assert support["fewer_than_30_training_cells"] == sorted(few)
    rows = {(row["split"], row["who"]): row for row in card["scores"]}
    assert rows["test", "model"]["ate_rho"] == run.metrics["test"]["ate_rho"]
    assert card["training"]["epochs"] == 2


def test_limits_follow_from_the_run(run):
    said = " ".join(limits(run))
    assert "knows no artifact" in said
    assert "simulated" in said
    ahead = run.metrics["test"]["ate_rho"] > run.metrics["floor"]["additive"]["test"]["ate_rho"]
    assert ("is ahead of adding up" in said) is ahead
    assert ("is not ahead of adding up" in said) is not ahead


def test_a_run_without_scores_has_no_rows():
    assert scores(None) == []


def test_time_left_lies_between_patience_and_the_last_epoch(run):
    told = FitProgress(10, 100, best_epoch=6, patience=30, seconds=50.0, seconds_per_epoch=2.0)
    assert told.seconds_left == (54.0, 180.0)
    assert "54 s to 3 min 0 s left" in in_words(told)
    late = FitProgress(99, 100, best_epoch=98, patience=30, seconds=1.0, seconds_per_epoch=2.0)
    assert late.seconds_left == (2.0, 2.0)
    assert [duration(s) for s in (0.4, 59, 61, 3599, 7260)] == [
        "0 s", "59 s", "1 min 1 s", "60 min", "2 h 1 min",
    ]  # fmt: skip
    stored = read_progress(run.path)
    assert stored is not None
    assert seconds_before(run.path) == stored.seconds > 0
    assert stored.epochs == stored.max_epochs == 2, "the last epoch is always reported"

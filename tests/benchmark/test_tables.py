"""The tables: their columns, one row a key, and what people read."""

import numpy as np
import pandas as pd
import pytest

from cradle.benchmark.tables import KEYS, as_markdown, combined

COLUMNS = ["dataset", "fold", "model", "train_cells", "seed", "qc_mad", "split", "metric", "value"]


def _rows(model, seed, split="test", fold="0", **scores) -> pd.DataFrame:
    return pd.DataFrame(
        [("d", fold, model, "all", seed, 3.0, split, m, v) for m, v in scores.items()],
        columns=COLUMNS,
    )


def test_the_columns_are_those_of_the_interface():
    assert [*KEYS, "value"] == COLUMNS
    assert list(combined([]).columns) == COLUMNS
    assert list(combined([_rows("additive", 0, ate_rho=1.0)]).columns) == COLUMNS


def test_a_row_is_kept_once_and_the_first_stays():
    table = combined(
        [_rows("additive", 0, ate_rho=0.9), _rows("additive", 0, ate_rho=0.1, ate_r2=0.2)]
    )
    assert dict(zip(table["metric"], table["value"], strict=True)) == {
        "ate_rho": 0.9,
        "ate_r2": 0.2,
    }


def test_mean_and_sd_over_seeds_after_the_mean_over_folds():
    table = combined(
        [
            _rows("cradle_vae", 0, fold="0", ate_rho=0.6),
            _rows("cradle_vae", 0, fold="1", ate_rho=0.8),  # seed 0: 0.7
            _rows("cradle_vae", 1, fold="0", ate_rho=0.9),
            _rows("cradle_vae", 1, fold="1", ate_rho=0.9),  # seed 1: 0.9
        ]
    )
    text = as_markdown(table)
    assert f"| CRADLE-VAE | all | 0.800 ± {np.std([0.7, 0.9], ddof=1):.3f} |" in text
    assert "2 folds" in text


def test_floor_replicate_and_ceiling_stand_below_the_models():
    names = ("ceiling", "additive", "replicate", "cradle_vae", "control_mean")
    text = as_markdown(combined([_rows(name, 0, ate_rho=0.5) for name in names]))
    lines = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert lines[2:] == ["CRADLE-VAE", "Additive (floor)", "Control mean (floor)", "replicate",
                         "ceiling"]  # fmt: skip


def test_not_applicable_is_shown_not_scored():
    table = combined([_rows("sams_vae", 0, ate_rho=np.nan), _rows("cradle_vae", 0, ate_rho=0.5)])
    assert "| SAMS-VAE | all | – |" in as_markdown(table)


@pytest.mark.parametrize(
    ("metric", "heading"),
    [("ate_rho", "ATE-ρ ↑"), ("mmd", "MMD² ↓"), ("l2", "L2 ↓"), ("qcpr", "QC pass rate |")],
)
def test_headings_say_which_way_is_better(metric, heading):
    assert heading in as_markdown(combined([_rows("cradle_vae", 0, **{metric: 0.5})]))


def test_mean_level_and_distributions_stand_apart():
    text = as_markdown(combined([_rows("cradle_vae", 0, l2=1.0, e_distance=1.0, mmd=0.1)]))
    mean_level, distributions = text.split("### ")[1:]
    assert "E-distance" in mean_level
    assert "MMD²" not in mean_level
    assert "MMD²" in distributions


def test_failed_runs_are_named():
    assert "- `a-run`: out of memory" in as_markdown(combined([]), "", {"a-run": "out of memory"})


def test_columns_are_over_the_seeds_that_every_model_has():
    runs = [_rows("cradle_vae", 0, ate_rho=0.9), _rows("cradle_vae", 1, ate_rho=0.1)]
    text = as_markdown(combined([*runs, _rows("sams_vae", 0, ate_rho=0.8)]))
    assert "| CRADLE-VAE | all | 0.900 |" in text

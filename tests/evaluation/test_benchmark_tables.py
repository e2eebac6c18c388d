"""Benchmark tables: seeds, folds, not applicable, and the words about them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cradle.errors import InputError
from cradle.evaluation.benchmark_tables import (
    COLUMNS,
    describe,
    folds_left_out,
    kind_of,
    left_out,
    order,
    own_screens,
    pooled_spread,
    read_benchmark,
    seed_values,
    summarise,
    undefined,
)
from cradle.evaluation.verdict import gap, verdict

SHIPPED = Path(__file__).resolve().parents[2] / "assets" / "benchmarks"


def rows(model: str, values: list[float], metric: str = "ate_rho", fold: int = 0) -> pd.DataFrame:
    return pd.DataFrame(
        {"dataset": "d", "fold": fold, "model": model, "train_cells": "all",
         "seed": range(len(values)), "qc_mad": 3.0, "split": "test", "metric": metric,
         "value": values}
    )  # fmt: skip


def table(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)


def said(frame: pd.DataFrame, metric: str = "ate_rho") -> str:
    words = verdict(
        summarise(frame, metric), seed_values(frame, metric), metric, lambda row: str(row["model"])
    )
    return " ".join(words)


def test_where_cradle_vae_stands_is_said_when_others_are_ahead():
    others = [rows("sams_vae", [0.9, 0.9]), rows("cpa_vae", [0.8, 0.8])]
    words = said(table(*others, rows("cradle_vae", [0.7, 0.7])))
    place = "cradle_vae is number 3 of 3: 0.700 ± 0.000 (2 seeds), 0.200 ± 0.000 behind the best"
    assert place in words
    assert "is number" not in said(table(*others, rows("cradle_vae", [0.85, 0.85])))
    assert "is number" not in said(table(*others))


def test_cradle_vae_is_set_beside_each_model_by_paired_differences():
    own = rows("cradle_vae", [0.70, 0.90])
    frame = table(
        own, rows("sams_vae", [0.80, 1.00]), rows("cpa_vae", [0.95, 0.67]),
        rows("svae_plus", [0.69, 0.88]), rows("conditional_vae", [0.50, 0.70]),
    )  # fmt: skip
    assert (
        "Compared seed by seed, cradle_vae is **ahead of** svae_plus · conditional_vae; "
        "**level with** cpa_vae; **behind** sams_vae."
    ) in said(frame)
    assert "level with" not in said(table(own, rows("sams_vae", [0.8, 1.0]))), "two are told above"
    alone = [rows(model, [0.5]) for model in ("cradle_vae", "sams_vae", "cpa_vae")]
    assert "**ahead of**" not in said(table(*alone)), "one seed has no spread"


def test_times_are_not_held_against_rules_that_take_none():
    frame = table(rows("cradle_vae", [90.0, 91.0], "seconds"), rows("additive", [1, 1], "seconds"))
    assert "cradle_vae" in said(frame, "seconds")
    assert "additive" not in said(frame, "seconds")
    assert "additive" in said(frame.assign(metric="ate_rho"))


def test_mean_and_spread_are_over_seeds_after_folds_are_averaged():
    frame = table(rows("sams_vae", [0.2, 0.4]), rows("sams_vae", [0.6, 1.0], fold=1))
    found = summarise(frame, "ate_rho").iloc[0]
    assert found["mean"] == pytest.approx(0.55)  # of 0.4 and 0.7
    assert found["sd"] == pytest.approx(0.3 / np.sqrt(2))
    assert (found["n_seeds"], found["n_folds"]) == (2, 2)


def test_not_applicable_is_kept_and_is_no_zero():
    frame = table(rows("cradle_vae", [0.9]), rows("svae_plus", [np.nan]), rows("additive", [0.8]))
    found = summarise(frame, "ate_rho").set_index("model")
    assert np.isnan(found.loc["svae_plus", "mean"])
    assert found.loc["svae_plus", "n_seeds"] == 0
    assert list(found.index) == ["cradle_vae", "additive", "svae_plus"]


def test_the_best_comes_first_in_the_direction_of_the_metric():
    frame = table(rows("a", [1.0], "e_distance"), rows("b", [2.0], "e_distance"))
    assert list(summarise(frame, "e_distance")["model"]) == ["a", "b"]
    frame = frame.assign(metric="ate_rho")
    assert list(summarise(frame, "ate_rho")["model"]) == ["b", "a"]


def test_training_on_passing_cells_is_another_row():
    passing = rows("sams_vae", [0.7, 0.8]).assign(train_cells="passing")
    found = summarise(table(rows("sams_vae", [0.5, 0.6]), passing), "ate_rho")
    assert list(found["train_cells"]) == ["passing", "all"]


def test_winner_beyond_the_pooled_spread():
    frame = table(rows("cradle_vae", [0.90, 0.92]), rows("sams_vae", [0.80, 0.82]))
    words = said(frame)
    assert "**cradle_vae** has the best ATE-ρ of 2 trained models: 0.910 ± 0.014 (2 seeds)" in words
    assert "sams_vae is next: 0.810 ± 0.014 (2 seeds), 0.100 behind" in words
    assert "cradle_vae is better in 2 of 2, by 0.100 ± 0.000 on average" in words
    assert "the difference **exceeds** its spread" in words


def test_no_winner_within_the_spread():
    words = said(table(rows("cradle_vae", [0.80, 1.00]), rows("sams_vae", [0.90, 0.88])))
    assert "better in 1 of 2, by 0.010 ± 0.156 on average" in words
    assert "the difference is **within** its spread, so neither is ahead" in words


def test_seeds_that_move_both_models_alike_do_not_hide_a_difference():
    """The spread of each model is 0.14; seed by seed the first is always 0.02 better."""
    words = said(table(rows("cradle_vae", [0.80, 1.00]), rows("sams_vae", [0.78, 0.98])))
    assert "the difference **exceeds** its spread" in words


def test_rows_without_two_common_seeds_are_judged_by_the_pooled_spread():
    first = pd.Series({"model": "a", "train_cells": "all", "mean": 0.9, "sd": 0.3})
    second = pd.Series({"model": "b", "train_cells": "all", "mean": 0.8, "sd": 0.4})
    seeds = seed_values(table(rows("a", [0.9]), rows("b", [0.8])), "ate_rho")
    found = gap(first, second, seeds, 1)
    assert (found.size, found.spread, found.n) == pytest.approx((0.1, np.sqrt(0.125), 0))
    assert found.sign == 0
    assert np.isnan(gap(first, second.replace(0.4, np.nan), seeds, 1).spread)


def test_a_seed_is_called_what_it_is():
    frame = table(rows("cradle_vae", [0.9, 0.7]), rows("additive", [0.8, 0.5]))
    assert own_screens(frame)
    summary, seeds = summarise(frame, "ate_rho"), seed_values(frame, "ate_rho")
    words = verdict(summary, seeds, "ate_rho", lambda row: row["model"], "simulated screen")
    assert "0.800 ± 0.141 (2 simulated screens)" in " ".join(words)
    assert not own_screens(table(rows("cradle_vae", [0.9, 0.7]), rows("additive", [0.8, 0.8])))


def test_the_model_that_loses_is_named_and_so_is_the_gap_of_cradle_vae():
    frame = table(rows("sams_vae", [0.92, 0.92]), rows("cpa_vae", [0.91, 0.91]),
                  rows("cradle_vae", [0.90, 0.90]), rows("additive", [0.96, 0.96]))  # fmt: skip
    words = said(frame)
    assert "**sams_vae loses to** the simple rule “additive”" in words
    assert "by 0.040 ± 0.000. cradle_vae loses to that rule by 0.060 ± 0.000." in words
    assert "It loses" not in words


def test_one_seed_is_no_evidence():
    words = said(table(rows("cradle_vae", [0.8]), rows("sams_vae", [0.5])))
    assert "With a single seed there is no spread" in words


def test_it_is_said_plainly_when_the_additive_baseline_wins():
    model = rows("cradle_vae", [0.90, 0.92])
    words = said(table(model, rows("additive", [0.96, 0.96])))
    assert "**cradle_vae loses to** the simple rule “additive”, which needs no training" in words
    assert "by 0.050 ± 0.014" in words
    words = said(table(model, rows("additive", [0.86, 0.86])))
    assert "cradle_vae is ahead of the simple rule “additive”" in words
    words = said(table(model, rows("additive", [0.912, 0.912])))
    assert "**on a par with** the simple rule “additive”" in words


def test_losing_to_another_rule_is_said_beside_the_additive_one():
    model = rows("cradle_vae", [0.90, 0.92])
    frame = table(model, rows("additive", [0.5]), rows("perturbed_mean", [0.99]))
    words = said(frame)
    assert "cradle_vae is ahead of the simple rule “additive”" in words
    assert "**cradle_vae loses to** the simple rule “perturbed_mean”" in words


def test_lower_is_better_turns_the_verdict_around():
    frame = table(rows("cradle_vae", [1.0, 1.1], "l2"), rows("additive", [3.0, 3.0], "l2"))
    assert "cradle_vae is ahead of the simple rule “additive”" in said(frame, "l2")
    frame = table(rows("cradle_vae", [4.0, 4.1], "l2"), rows("additive", [3.0, 3.0], "l2"))
    assert "**cradle_vae loses to**" in said(frame, "l2")


def test_the_pass_rate_nearest_to_that_of_clean_cells_is_named_not_the_highest():
    frame = table(rows("cradle_vae", [0.99, 0.98], "qcpr_3"),
                  rows("sams_vae", [0.90, 0.91], "qcpr_3"),
                  rows("clean cells", [0.92, 0.92], "qcpr_3"))  # fmt: skip
    words = said(frame, "qcpr_3")
    assert "Truly clean cells of this simulation pass at 0.920" in words
    assert "**sams_vae** is nearest of 2 trained models: 0.905" in words
    assert "0.015 below them" in words
    assert "cradle_vae: 0.985 ± 0.007 (2 seeds), 0.065 above them" in words
    assert "best" not in words


def test_without_truly_clean_cells_no_pass_rate_is_put_first():
    words = said(table(rows("cradle_vae", [0.99], "qcpr_3"), rows("b", [0.9], "qcpr_3")), "qcpr_3")
    assert "no model is put first" in words
    assert said(rows("cradle_vae", [np.nan], "qcpr_3"), "qcpr_3") == ""
    assert "no criterion" in undefined("qcpr_3")
    assert undefined("seconds") == ""


def test_nobody_wins_where_neither_end_is_good():
    assert said(rows("cradle_vae", [0.1, 0.2], "fails_mt_percent"), "fails_mt_percent") == ""


def test_pooled_spread_is_the_root_of_the_mean_variance():
    assert pooled_spread(3.0, 4.0) == pytest.approx(np.sqrt(12.5))


def test_metrics_have_directions_and_an_order():
    assert describe("qcpr_4").higher_is_better is None
    assert describe("qcpr_4").arrow == ""
    assert describe("qcpr_4").label.endswith("at 4 MAD")
    assert describe("wasserstein_mt_percent").arrow == " ↓"
    assert describe("something_new") == ("something new", None, "", "")
    assert order({"zeta", "seconds", "qcpr_3", "ate_rho"}) == [
        "ate_rho",
        "qcpr_3",
        "seconds",
        "zeta",
    ]


def test_rows_that_are_no_models_are_known():
    names = ("cradle_vae", "additive", "ceiling", "replicate", "cradle_vae artifact on")
    assert [kind_of(name) for name in names] == ["model", "floor", "ceiling", "replicate", "other"]


def test_a_table_names_the_pass_rate_after_its_threshold(tmp_path):
    path = tmp_path / "table.csv"
    rows("a", [0.5], "qcpr").to_csv(path, index=False)
    assert list(read_benchmark(path)["metric"]) == ["qcpr_3"]


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "", ",".join(COLUMNS) + "\nd,0,m,all,0,x,t,m,y"])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(InputError, match="not a benchmark table"):
        read_benchmark(path)


@pytest.mark.parametrize("name", ["norman_subset", "papalexi"])
def test_committed_tables_can_be_read_and_judged(name):
    frame = read_benchmark(SHIPPED / name / "table.csv")
    frame = frame[(frame["split"] == "test") & (frame["qc_mad"] == 3)]
    words = said(frame)
    assert "cradle_vae" in words
    assert "“additive”" in words


def test_models_are_compared_on_the_seeds_that_all_of_them_have():
    """A hard screen (seed 1) must not count against the one model that was run on it."""
    own = rows("cradle_vae", [0.90, 0.30, 0.40])
    frame = table(own, rows("sams_vae", [0.80]), rows("additive", [0.70, 0.20, 0.10]))
    found = summarise(frame, "ate_rho").set_index("model")
    assert found["mean"].to_dict() == {"cradle_vae": 0.90, "sams_vae": 0.80, "additive": 0.70}
    assert set(found["n_seeds"]) == {1}
    assert set(seed_values(frame, "ate_rho")["seed"]) == {0}
    assert left_out(frame, "ate_rho") == [("cradle_vae", [1, 2])]
    assert "**cradle_vae** has the best ATE-ρ" in said(frame)


def test_a_model_without_any_value_takes_no_seed_from_the_others():
    frame = table(rows("cradle_vae", [0.9, 0.8]), rows("svae_plus", [np.nan, np.nan]))
    assert summarise(frame, "ate_rho").set_index("model").loc["cradle_vae", "n_seeds"] == 2
    assert left_out(frame, "ate_rho") == []


def test_folds_that_only_some_models_have_are_left_out():
    both, one = rows("cradle_vae", [0.9]), rows("cradle_vae", [0.1], fold=1)
    frame = table(both, one, rows("sams_vae", [0.8]))
    assert summarise(frame, "ate_rho").set_index("model")["mean"]["cradle_vae"] == 0.9


def test_folds_that_a_simple_rule_cannot_answer_are_left_out_for_all():
    frame = table(
        rows("cradle_vae", [0.6]), rows("cradle_vae", [1.0], fold=1), rows("additive", [0.7])
    )
    found = summarise(frame, "ate_rho").set_index("model")
    assert found["mean"].to_dict() == {"additive": 0.7, "cradle_vae": 0.6}
    assert folds_left_out(frame, "ate_rho") == ["1"]
    # a rule that answers nowhere leaves nothing out
    nowhere = rows("additive", [np.nan]), rows("additive", [np.nan], fold=1)
    assert folds_left_out(table(frame[frame["model"] == "cradle_vae"], *nowhere), "ate_rho") == []


def test_models_without_a_common_seed_are_not_put_in_order():
    frame = table(rows("cradle_vae", [0.9]), rows("sams_vae", [0.8]).assign(seed=1))
    assert len(summarise(frame, "ate_rho")) == 2
    assert "cannot be put in order" in said(frame)
    assert "best" not in said(frame)

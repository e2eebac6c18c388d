"""Which two requests are one run."""

from pathlib import Path

import pandas as pd
import pytest

from cradle.errors import InputError
from cradle.fitting import fit
from cradle.run_request import differing, run_request
from cradle.runs import Run

PAIRS = ("CEBPA+CEBPE", "CEBPE+KLF1")


def test_the_order_of_names_is_no_other_request(screen, tmp_path):
    given = {"criteria": ["umi_counts", "mt_percent"], "test_combinations": PAIRS}
    turned = {
        "criteria": ["mt_percent", "umi_counts"],
        "test_combinations": [" KLF1+CEBPE", "CEBPE+CEBPA"],
    }
    first = fit(screen, "control_mean", out=tmp_path / "run", **turned)
    assert first.config["criteria"] == ["umi_counts", "mt_percent"]
    assert first.config["test_combinations"] == list(PAIRS)
    assert fit(screen, "control_mean", out=tmp_path / "run", **given, resume=True) == first
    with pytest.raises(InputError, match="test_combinations differ"):
        fit(screen, "control_mean", out=tmp_path / "run", criteria=given["criteria"], resume=True)


def test_runs_of_versions_that_kept_names_as_given_are_the_same_runs():
    asked = run_request("hash", "additive", {}, criteria=["umi_counts", "mt_percent"],
                        test_combinations=PAIRS)  # fmt: skip
    earlier = asked | {
        "criteria": ["mt_percent", "umi_counts"],
        "test_combinations": ["KLF1+CEBPE", "CEBPE+CEBPA"],
    }
    assert differing(earlier, asked) == []
    assert differing(earlier, asked | {"seed": 1}) == ["seed"]


def test_nothing_held_out_is_another_run_than_what_the_seed_draws(screen, tmp_path):
    nothing = fit(screen, "control_mean", out=tmp_path / "nothing", test_combinations=[])
    drawn = fit(screen, "control_mean", out=tmp_path / "drawn")
    assert (nothing.held_out, len(drawn.held_out) > 0) == ((), True)
    assert nothing.config["test_combinations"] != drawn.config["test_combinations"]
    for there, other in ((nothing, None), (drawn, [])):
        with pytest.raises(InputError, match="test_combinations differ"):
            fit(screen, "control_mean", out=there.path, test_combinations=other, resume=True)
    again = fit(screen, "control_mean", out=nothing.path, test_combinations=[], resume=True)
    assert again == nothing


def test_nothing_held_out_is_the_same_where_the_file_has_a_split(screen, tmp_path):
    plain = fit(screen, "control_mean", out=tmp_path / "plain", test_combinations=())
    screen.obs["split"] = ["val" if i % 3 == 0 else "train" for i in range(screen.n_obs)]
    anew = fit(screen, "control_mean", out=tmp_path / "anew", test_combinations=())
    pd.testing.assert_series_equal(anew.split, plain.split)
    assert anew.provenance["data"]["split"] == "nothing held out, cells by seed 0"


@pytest.mark.parametrize("name", ["demo_cradle_vae", "norman_subset_cradle_vae"])
def test_shipped_runs_are_what_was_asked_for(name):
    run = Run.load(Path(__file__).parents[1] / "assets" / "runs" / name)
    keys = ("seed", "mad", "split_seed", "train_cells", "criteria")
    pairs = run.config["test_combinations"] if name.startswith("norman") else None
    asked = run_request(run.config["data_hash"], run.model_name, {}, test_combinations=pairs,
                        **{key: run.config[key] for key in keys})  # fmt: skip
    assert differing(run.config, asked) == []

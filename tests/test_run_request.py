"""Which two requests are one run."""

import json

import pytest

from cradle.errors import InputError
from cradle.fitting import fit
from cradle.run_request import differing, run_request

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


def test_runs_of_versions_that_kept_names_as_given_are_the_same_runs(tmp_path):
    asked = run_request("hash", "additive", {}, criteria=["umi_counts", "mt_percent"],
                        test_combinations=PAIRS)  # fmt: skip
    earlier = asked | {
        "criteria": ["mt_percent", "umi_counts"],
        "test_combinations": ["KLF1+CEBPE", "CEBPE+CEBPA"],
    }
    (tmp_path / "config.json").write_text(json.dumps(earlier))
    assert differing(tmp_path, asked) == []
    assert differing(tmp_path, asked | {"seed": 1}) == ["seed"]

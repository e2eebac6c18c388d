"""``benchmark``: one message and code 2 where the arguments are at fault."""

import pytest


@pytest.fixture
def benchmark(screen_file, tmp_path):
    return ("benchmark", screen_file, "--out", tmp_path / "b", "--models")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("cradle",), "cradle_vae"),
        (("additive", "--seeds", "one"), "list of whole numbers"),
        (("additive", "--seeds", "-1"), "out of range"),
        (("additive", "--mad", "0"), "not a positive number"),
        (("additive", "--train-cells", "failing"), "neither 'all' nor 'passing'"),
        (("additive", "--test-combinations", "CEBPA+NOPE"), "NOPE"),
        (("additive", "--rotate", "--test-combinations", "CEBPA+CEBPE"), "not allowed with"),
        (("cradle_vae", "--set", "n_latnet=3"), "n_latnet"),
        (("additive", "--criteria", "beauty"), "beauty"),
        ((",",), "list of names"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(refused, benchmark, given, says):
    refused(*benchmark, *given, says=says)
    assert not benchmark[3].exists()


def test_a_benchmark_without_models_is_refused(refused, screen_file, tmp_path):
    refused("benchmark", screen_file, "--out", tmp_path, says="--models")


def test_a_file_that_is_not_there_is_refused(refused, tmp_path):
    refused("benchmark", tmp_path / "no.h5ad", "--out", tmp_path / "b", "--models", "additive",
            says="no.h5ad")  # fmt: skip

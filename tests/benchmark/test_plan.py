"""Which runs a benchmark consists of."""

import pytest

from cradle.benchmark.plan import Fold, check_beside, folds_of, plan_runs, rotation
from cradle.cli.main import parser
from cradle.errors import InputError


def test_models_seeds_thresholds_cells_and_folds_are_multiplied():
    plans = plan_runs(
        ["cradle_vae", "additive", "additive"], seeds=(0, 1), mads=(3, 5),
        train_cells=("all", "passing"), folds=(Fold("0"), Fold("A+B", ("A+B",))),
    )  # fmt: skip
    assert len(plans) == 2 * 2 * 2 * 2 * 2
    assert len({plan.folder for plan in plans}) == len(plans)


def test_settings_are_those_of_the_networks():
    network, baseline = plan_runs(["cradle_vae", "additive"], settings={"n_latent": "6"}, epochs=2)
    assert network.request("h")["requested"] == {"n_latent": "6", "max_epochs": 2}
    assert baseline.request("h")["requested"] == {}


def test_the_command_line_reads_what_the_plan_asks_for(tmp_path):
    fold = Fold("0", ("A+B", "C+D"))
    (plan,) = plan_runs(["cradle_vae"], seeds=(7,), mads=(2.5,), train_cells=("passing",),
                        folds=(fold,), split_seed=3, criteria=("umi_counts",),
                        settings={"n_latent": "6"}, epochs=2)  # fmt: skip
    read = parser().parse_args(plan.arguments("x.h5ad", tmp_path))
    assert (read.model, read.seed, read.mad, read.train_cells) == ("cradle_vae", 7, 2.5, "passing")
    assert (read.split_seed, read.epochs, read.resume) == (3, 2, True)
    assert read.test_combinations == ("A+B", "C+D")
    assert (read.criteria, read.set) == (("umi_counts",), [("n_latent", "6")])


@pytest.mark.parametrize("held_out", [None, (), ("A+B",)])
def test_what_is_held_out_reaches_the_fit_as_the_plan_has_it(tmp_path, held_out):
    (plan,) = plan_runs(["additive"], folds=(Fold("0", held_out),))
    read = parser().parse_args(plan.arguments("x.h5ad", tmp_path))
    assert read.test_combinations == held_out


def test_unknown_models_and_settings_are_refused():
    with pytest.raises(InputError, match="no model of that name"):
        plan_runs(["cradle"])
    with pytest.raises(InputError, match="n_latnet"):
        plan_runs(["cradle_vae"], settings={"n_latnet": "6"})


def test_the_rotation_holds_out_each_eligible_pair_once():
    folds = rotation(["control", "A", "B", "A+B", "C+D", "A+B"])
    assert folds == (Fold("A+B", ("A+B",)),)  # C and D are nowhere else
    with pytest.raises(InputError, match="rotate"):
        rotation(["control", "A"])


def test_folds_are_numbered_and_measured():
    assert folds_of(["A", "B", "A+B"], [["A+B"], None]) == (Fold("0", ("A+B",)), Fold("1"))
    with pytest.raises(InputError, match="cannot be held out"):
        folds_of(["A", "B"], [["A+B"]])


def test_what_may_stand_beside_a_run(tmp_path):
    """Baselines have no settings, and a study may give each model its own."""
    (plan,) = plan_runs(["cradle_vae"], settings={"n_latent": "6"})
    there, other = plan.request("hash"), plan_runs(["sams_vae"], epochs=1)
    check_beside(plan_runs(["control_mean"], epochs=1), tmp_path, there, "0")
    check_beside(other, tmp_path, there, "0", settings_by_model=True)
    for plans, by_model in (
        (other, False),
        (plan_runs(["cradle_vae"], seeds=(1,), epochs=1), True),
    ):
        with pytest.raises(InputError, match="n_latent, max_epochs of"):
            check_beside(plans, tmp_path, there, "0", by_model)

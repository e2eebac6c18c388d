"""A fit comes to its end, or is refused before it has begun."""

import numpy as np
import pytest

from cradle.data.dosage import canonical, genes_of
from cradle.data.preparation import prepare, used_cells
from cradle.errors import InputError
from cradle.fitting import fit

QUICK = {"n_latent": 4, "n_hidden": 8, "batch_size": 128}
NAME = "CEBPA and CEBPB, both"


@pytest.mark.parametrize("model", ["cradle_vae", "svae_plus"])
def test_names_with_white_space_and_commas(screen, tmp_path, model):
    labels = screen.obs["perturbation"].astype(str)
    named = {label: [NAME if gene == "CEBPA" else gene for gene in genes_of(label)]
             for label in labels.unique()}  # fmt: skip
    screen.obs["perturbation"] = labels.map({k: canonical(v) for k, v in named.items()})
    run = fit(screen, model, QUICK, out=tmp_path / "run", epochs=1, criteria=("mt_percent",))
    assert run.predictor().treatment_effects(NAME).perturbations == (NAME,)
    assert set(run.predictor().generate(NAME, 2).obs["perturbation"]) == {NAME}


def test_an_empty_name_is_refused_before_training(screen, tmp_path):
    screen.var_names = ["", *screen.var_names[1:]]
    with pytest.raises(InputError, match="Some genes have no name"):
        fit(screen, "additive", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("model", "config"), [("additive", {}), ("cradle_vae", QUICK)])
def test_a_split_without_control_in_training_is_refused(screen, tmp_path, model, config):
    control = screen.obs["perturbation"] == "control"
    other = np.where(np.arange(screen.n_obs) % 5 == 0, "val", "train")
    screen.obs["split"] = np.where(control, "test", other)
    with pytest.raises(InputError, match=r"no control cells to learn from.* 0 of them in the spl"):
        fit(screen, model, config, out=tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()


def test_passing_cells_without_control_are_refused(screen, tmp_path):
    control = (screen.obs["perturbation"] == "control").to_numpy()
    usual = np.random.default_rng(0).uniform(2, 4, screen.n_obs)
    screen.obs["full_mt_percent"] = np.where(control, 90.0, usual)
    cells = prepare(screen, criteria=("mt_percent",)).adata.obs
    assert used_cells(cells, "all").all()
    with pytest.raises(InputError, match=r"no control cells to learn from.* 0 of these pass"):
        fit(screen, "cradle_vae", QUICK, out=tmp_path / "run", epochs=1, train_cells="passing",
            criteria=("mt_percent",))  # fmt: skip
    assert not (tmp_path / "run" / "config.json").exists()


def test_weights_by_the_fail_rate_need_failed_cells(screen, tmp_path):
    """Where none fails every cell would weigh nothing, and training would learn nothing."""
    with pytest.raises(InputError, match="would switch learning off"):
        fit(screen, "cradle_vae", QUICK | {"reconstruction_by_fail_rate": True}, epochs=1,
            out=tmp_path / "run", train_cells="passing")  # fmt: skip

"""Training: it stops at what it cannot count, and an interruption leaves no trace."""

import math
import signal

import numpy as np
import pandas as pd
import pytest
import torch

from cradle.errors import InputError, NonFiniteLossError
from cradle.fitting import fit
from cradle.runs import Run, read_tensors
from cradle.training import PerturbationTraining, Progress

QUICK = {"n_latent": 8, "n_hidden": 16, "batch_size": 128, "learning_rate": 3e-3}


class KillError(Exception):
    """Stands for a kill."""


def test_non_finite_loss_names_the_term(screen, tmp_path):
    broken = screen.copy()
    with pytest.raises(NonFiniteLossError, match=r"reconstruction.*step|step.*reconstruction"):
        fit(broken, "cradle_vae", {**QUICK, "learning_rate": 1e8}, out=tmp_path / "run", epochs=5)


def test_interrupted_and_resumed_equals_uninterrupted(screen, tmp_path, monkeypatch):
    monkeypatch.setattr("cradle.resuming.EVERY_SECONDS", 0.0)
    whole = fit(screen, "cradle_vae", QUICK, out=tmp_path / "whole", epochs=6)

    def stop_after_three(progress: Progress) -> None:
        if progress.epoch == 3:
            raise KillError

    with pytest.raises(KillError):
        fit(screen, "cradle_vae", QUICK, out=tmp_path / "cut", epochs=6, progress=stop_after_three)
    with pytest.raises(InputError, match="incomplete"):
        Run.load(tmp_path / "cut")
    resumed = fit(screen, "cradle_vae", QUICK, out=tmp_path / "cut", epochs=6, resume=True)

    a, b = (read_tensors(r.path / "weights.safetensors") for r in (whole, resumed))
    assert all(torch.equal(a[name], b[name]) for name in a)
    pd.testing.assert_frame_equal(whole.history, resumed.history)


@pytest.mark.parametrize("patience", [30, 1])
def test_a_run_that_was_cut_after_its_last_epoch_trains_no_further(
    screen, tmp_path, monkeypatch, patience
):
    monkeypatch.setattr("cradle.resuming.EVERY_SECONDS", 0.0)
    settings = {**QUICK, "learning_rate": 0.05, "patience": patience}
    whole = fit(screen, "cradle_vae", settings, out=tmp_path / "whole", epochs=9)

    def cut(*_):
        raise KillError

    with monkeypatch.context() as patch:
        patch.setattr("cradle.fitting._evaluate", cut)
        with pytest.raises(KillError):
            fit(screen, "cradle_vae", settings, out=tmp_path / "cut", epochs=9)
    resumed = fit(screen, "cradle_vae", settings, out=tmp_path / "cut", epochs=9, resume=True)
    pd.testing.assert_frame_equal(whole.history, resumed.history)
    a, b = (read_tensors(r.path / "weights.safetensors") for r in (whole, resumed))
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("content", ["", "[]", '{"epok": 1}', "{"])
def test_a_damaged_state_is_refused_by_name(screen, tmp_path, monkeypatch, content):
    monkeypatch.setattr("cradle.resuming.EVERY_SECONDS", 0.0)

    def cut(progress: Progress) -> None:
        raise KillError

    with pytest.raises(KillError):
        fit(screen, "cradle_vae", QUICK, out=tmp_path / "cut", epochs=3, progress=cut)
    (tmp_path / "cut" / "resume").mkdir(exist_ok=True)
    (tmp_path / "cut" / "resume" / "state.json").write_text(content)
    with pytest.raises(InputError, match=r"state\.json"):
        fit(screen, "cradle_vae", QUICK, out=tmp_path / "cut", epochs=3, resume=True)


def test_early_stopping_keeps_the_best_weights(screen, tmp_path):
    settings = {**QUICK, "learning_rate": 0.02, "patience": 3}
    run = fit(screen, "cradle_vae", settings, out=tmp_path / "run", epochs=200)
    history = run.history
    best = history["val_elbo"].idxmax()
    assert len(history) < 200
    assert len(history) - 1 - best == 3
    # the weights on disk are those of the best epoch: they reproduce its validation ELBO
    from cradle.data.loading import CellDataModule, Cells
    from cradle.data.preparation import prepare

    cells = prepare(screen).adata
    labels = sorted(cells.obs.loc[cells.obs["split"] == "train", "perturbation"].unique())
    sets = [
        Cells.from_anndata(
            cells[((cells.obs["split"] == split) & cells.obs["perturbation"].isin(labels))],
            labels,
            run.design,
        )
        for split in ("train", "val")
    ]
    data = CellDataModule(*sets, batch_size=128, seed=0, max_counterparts=50, both_directions=False)
    predictor = run.predictor()
    module = PerturbationTraining(predictor.model, predictor.model.config, len(sets[0]))
    total = 0.0
    with torch.no_grad():
        for batch in data.val_dataloader():
            torch.manual_seed(0)
            total += module.objective(batch).elbo.item() * len(batch.counts)
    assert math.isclose(total / len(sets[1]), history["val_elbo"][best], rel_tol=1e-5)


def test_same_seed_same_run_other_seed_another(screen, tmp_path):
    elbo = [
        fit(screen, "cradle_vae", QUICK, out=tmp_path / str(i), seed=seed, epochs=2)
        .history["val_elbo"]
        .to_list()
        for i, seed in enumerate((0, 0, 1))
    ]
    assert elbo[0] == elbo[1] != elbo[2]


def test_mixed_precision_trains_the_same_model(screen, tmp_path):
    """bfloat16 has three digits; sums over genes and latents keep theirs."""
    whole, mixed = (
        fit(screen, "cradle_vae", {**QUICK, "precision": name}, out=tmp_path / name, epochs=3)
        for name in ("32-true", "bf16-mixed")
    )
    np.testing.assert_allclose(mixed.history["val_elbo"], whole.history["val_elbo"], rtol=2e-3)
    assert mixed.history["val_elbo"].to_list() != whole.history["val_elbo"].to_list()
    tensors = read_tensors(mixed.path / "weights.safetensors")
    assert {t.dtype for t in tensors.values() if t.is_floating_point()} == {torch.float32}


@pytest.mark.usefixtures("interruptible")
def test_who_interrupts_a_fit_can_catch_it_and_interrupt_again(screen, tmp_path):
    """Lightning would end the process instead."""
    before = signal.getsignal(signal.SIGINT)

    def interrupt(progress: Progress) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(screen, "cradle_vae", QUICK, out=tmp_path / "run", epochs=3, progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is before

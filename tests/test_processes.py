"""Training on several processes is training on one, in shares."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cradle.data.loading import BatchSampler
from cradle.errors import InputError
from cradle.processes import Processes, accelerator, noise_seed
from cradle.runs import read_tensors

HERE = Path(__file__).resolve().parent


def start(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
    environment |= {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=HERE.parent, env=environment, capture_output=True,
        text=True, check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def test_two_processes_give_the_gradients_and_the_loss_of_one(tmp_path):
    """Over gloo, with unequal shares of the batch."""
    found = []
    for n in (1, 2):
        path = tmp_path / f"{n}.safetensors"
        start(str(HERE / "gradients.py"), str(n), str(path))
        found.append(read_tensors(path))
    one, two = found
    assert one.keys() == two.keys()
    assert one["train_loss"].abs() > 1
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=2e-4, atol=2e-6, msg=name)


def test_the_command_trains_on_two_processes_and_writes_one_run(screen_file, tmp_path):
    out = tmp_path / "run"
    done = start(
        "-m", "cradle", "fit", str(screen_file), "--model", "cradle_vae", "--epochs", "2",
        "--out", str(out), "--devices", "2", "--set", "n_latent=4", "--set", "n_hidden=8", "--json",
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["epochs"] == 2
    assert np.isfinite(report["val_elbo"])
    assert (out / "DONE").is_file()


def test_processes_divide_every_batch_among_them():
    whole = list(BatchSampler(103, 25, seed=1))
    shares = []
    for rank in range(3):
        sampler = BatchSampler(103, 25, seed=1)
        sampler.rank, sampler.n_processes = rank, 3
        shares.append(list(sampler))
    for number, (batch, parts) in enumerate(zip(whole, zip(*shares, strict=True), strict=True)):
        np.testing.assert_array_equal(np.sort(batch), np.sort(np.concatenate(parts)))
        assert sampler.size(number) == len(batch)


def test_each_process_draws_noise_of_its_own_in_each_epoch():
    drawn = set()
    for epoch in range(3):
        for rank in range(4):
            generator = torch.Generator().manual_seed(noise_seed(0, epoch, rank))
            drawn.add(tuple(torch.randn(4, generator=generator).tolist()))
    assert len(drawn) == 12
    assert noise_seed(2, 5, 0) == 2_000_011  # as one process alone, so that its runs stay


@pytest.mark.parametrize(("found", "name"), [(False, "cpu"), (True, "cuda")])
def test_a_gpu_is_used_where_torch_finds_one(monkeypatch, found, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found)
    assert accelerator() == name


@pytest.mark.parametrize("wrong", [{"devices": 0}, {"num_nodes": -1}, {"strategy": "fsdp"}])
def test_impossible_processes_are_refused(wrong):
    with pytest.raises(InputError, match="not possible"):
        Processes(**wrong)

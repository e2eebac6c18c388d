"""Gradients of one step on N processes: ``python tests/gradients.py N OUT``.

The noise of a cell follows from the cell, and the noise of shared variables is constant, so that
it is the same however many processes draw it. Lightning starts the other processes by running
this file again.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import scipy.sparse as sp
import torch
from torch.distributions import Normal

from cradle.data.loading import CellDataModule, Cells
from cradle.models.registry import model_spec
from cradle.processes import Processes
from cradle.training import EpochLoop, PerturbationTraining, train
from cradle.weights import write_tensors

N_CELLS, N_GENES = 61, 12  # two processes have unequal shares


def noise_of_the_cell(self: Normal, *_: object) -> torch.Tensor:
    return self.loc + self.scale * torch.sin(1e3 * self.loc.detach())


def take_the_chance_out() -> None:
    Normal.rsample = noise_of_the_cell  # type: ignore[method-assign,assignment]
    for name, value in {"randn": 0.3, "rand": 0.6}.items():
        setattr(torch, name, lambda shape, value=value, **_: torch.full(tuple(shape), value))


def main(n_processes: int, out: Path) -> None:
    rng = np.random.default_rng(0)
    cells = Cells(
        sp.csr_matrix(rng.poisson(2.0, (N_CELLS, N_GENES)).astype(np.float32)),
        rng.integers(0, 4, N_CELLS),
        (rng.random(N_CELLS) < 0.4).astype(np.float32),
        rng.uniform(30, 60, N_CELLS).astype(np.float32),
        torch.cat([torch.zeros(1, 3), torch.eye(3)]),
    )
    spec = model_spec("cradle_vae")
    settings = {"n_latent": 4, "n_hidden": 8, "encoder_dropout": 0.0, "batch_size": N_CELLS}
    config = spec.config(settings)
    assert spec.network is not None
    torch.manual_seed(0)
    module = PerturbationTraining(spec.network(cells.shape(), config), config, N_CELLS)
    take_the_chance_out()
    data = CellDataModule(
        cells, cells, batch_size=N_CELLS, seed=0, max_counterparts=9, both_directions=False
    )
    found = {}

    def keep() -> None:
        for name, parameter in module.model.named_parameters():
            found[name] = parameter.grad.clone()

    module.on_after_backward = keep
    loop = EpochLoop(data, seed=0, patience=1, max_epochs=1)
    processes = Processes(devices=n_processes)
    train(module, data, loop, processes)
    if processes.leads:
        history = loop.state.history[0]
        found |= {name: torch.tensor(history[name]) for name in ("train_loss", "val_elbo")}
        write_tensors(out, found)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))

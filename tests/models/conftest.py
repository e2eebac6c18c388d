"""A tiny batch and models small enough to differentiate everything."""

import pytest
import torch

from cradle.batches import CellBatch, Conditions, Counterparts, DataShape
from cradle.fitting import fit
from cradle.models.registry import MODELS
from cradle.runs import Run

NETWORKS = [name for name, row in MODELS.items() if row.is_network]
SMALL = {
    "n_latent": 4, "n_responsive": 2, "n_invariant": 2, "n_hidden": 8, "mask_prior": 0.3,
}  # fmt: skip


@pytest.fixture
def shape():
    share = torch.tensor([0.4, 0.2, 0.1, 0.05, 0.02, 0.01])
    return DataShape(6, 3, torch.zeros(6), torch.ones(6), share)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    dosage = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 1], [1, 0, 0]]).float()
    counts = torch.poisson(torch.full((5, 6), 4.0), generator=generator)
    conditions = Conditions(
        dosage, torch.tensor([0, 0, 1, 0, 1.0])[:, None], torch.full((5, 1), 60.0)
    )
    there = Counterparts(
        torch.poisson(torch.full((2, 6), 2.0), generator=generator),
        dosage[[1, 3]],
        torch.ones(2, 1),
        torch.tensor([-1, 0, -1, 1, -1]),
        2.5,
    )
    return CellBatch(counts, conditions, there)


@pytest.fixture(params=NETWORKS)
def any_network(request, shape):
    torch.manual_seed(0)
    row = MODELS[request.param]
    return row.network(shape, row.config(SMALL))


@pytest.fixture(scope="session", params=NETWORKS)
def any_run(request, _small_screen, tmp_path_factory) -> Run:
    """A run of each network, six epochs on the small screen."""
    settings = {
        "n_latent": 8, "n_responsive": 3, "n_invariant": 5, "n_hidden": 16, "batch_size": 128,
        "learning_rate": 3e-3, "kl_free_epochs": 2, "kl_warmup_epochs": 2,
    }  # fmt: skip
    out = tmp_path_factory.mktemp("networks") / request.param
    return fit(_small_screen.copy(), request.param, settings, out=out, epochs=6)

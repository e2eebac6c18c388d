"""Training step of CRADLE-VAE at its defaults, against the machine's matrix-multiply rate.

512 cells × 2,000 genes, one particle, negative-binomial counts with 10 % non-zeros, the
counterfactual term on, gradient clipping and optimizer included; the minibatches are drawn before.
The numerator of ``matmul_fraction`` is fixed, 6·512·(matrix weights of encoder and decoder): a
factor 2 for multiply and add, times 3 for one forward and two backward products. Work that is
saved raises the fraction, work beyond that lowers it. ``--genes`` and ``--perturbations`` take
other numbers; rounds end after a minute and a half.

In the same run: the step of ``cradle_vae_reference``, with the choices of the published code (five
particles among them), and the step in mixed precision (bfloat16), each over the step. A GPU is used
where there is one.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
import torch
from lightning_fabric.utilities import move_data_to_device

from benchmarks.screens import gamma_poisson, mean_counts
from cradle.batches import CellBatch
from cradle.data.dosage import dosage_rows
from cradle.data.loading import CellDataModule, Cells
from cradle.models.registry import model_spec
from cradle.training import PerturbationTraining

N_CELLS, N_GENES, N_BATCHES = 512, 2000, 8
N_PERTURBATIONS, FAIL_RATE = 100, 0.2
LIBRARY_SIZE = 10_000
MATRIX = 2048
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
WARM_UP, ROUNDS, ENOUGH_SECONDS = 10, 40, 90.0


def measure(
    genes: int = N_GENES, perturbations: int = N_PERTURBATIONS
) -> dict[str, dict[str, float]]:
    """Time steps and matrix products in turn; returns ``figures`` and ``ratios``."""
    torch.manual_seed(0)
    data = screen(genes, perturbations)
    module, reference = trained_module(data), trained_module(data, "cradle_vae_reference")
    batches = _batches(data)
    seconds, rounds = _alternate(
        {
            "step": one_step(module, batches),
            "product": _product(),
            "mixed": _in_mixed_precision(one_step(trained_module(data), batches)),
            "reference": one_step(reference, batches),
        }
    )
    weights = matrix_weights(module)
    step_rate = 6 * N_CELLS * weights / seconds["step"]
    product_rate = 2 * MATRIX**3 / seconds["product"]
    return {
        "figures": {
            "cells_per_second": N_CELLS / seconds["step"],
            "step_ms": 1e3 * seconds["step"],
            "matmul_gflops": product_rate / 1e9,
            "matrix_weights": float(weights),
            "rounds": float(rounds),
            "threads": float(torch.get_num_threads()),
            "gpu": float(DEVICE == "cuda"),
        },
        "ratios": {
            "matmul_fraction": step_rate / product_rate,
            "reference_step": seconds["reference"] / seconds["step"],
            "mixed_precision_step": seconds["mixed"] / seconds["step"],
        },
    }


def screen(n_genes: int = N_GENES, n_perturbations: int = N_PERTURBATIONS) -> CellDataModule:
    """Negative-binomial counts, single perturbations and control, a fifth of the cells failed."""
    rng = np.random.default_rng(0)
    n_cells = N_CELLS * N_BATCHES
    genes = [f"GENE{i}" for i in range(n_perturbations)]
    labels = ["control", *genes]
    cells = Cells(
        sp.csr_matrix(gamma_poisson(rng, np.tile(mean_counts(rng, n_genes), (n_cells, 1)))),
        rng.integers(0, len(labels), n_cells),
        (rng.random(n_cells) < FAIL_RATE).astype(np.float32),
        np.full(n_cells, LIBRARY_SIZE, dtype=np.float32),
        torch.from_numpy(dosage_rows(labels, genes)),
    )
    config = model_spec("cradle_vae").config()
    return CellDataModule(
        cells,
        cells,
        batch_size=N_CELLS,
        seed=0,
        max_counterparts=config.max_counterparts,
        both_directions=config.counterfactual_all_cells,
    )


def trained_module(data: CellDataModule, model: str = "cradle_vae") -> PerturbationTraining:
    """The model at its defaults, and what trains it."""
    cells = data.train_set.cells
    spec = model_spec(model)
    config = spec.config()
    assert (config.n_latent, config.n_hidden) == (200, 400)
    assert config.counterfactual_weight > 0
    assert spec.network is not None
    network = spec.network(cells.shape(), config)
    return PerturbationTraining(network, config, len(cells)).to(DEVICE)


def matrix_weights(module: PerturbationTraining) -> int:
    """Entries of the weight matrices of encoder and decoder."""
    parts = (module.model.encoder, module.model.decoder)
    return sum(p.numel() for part in parts for p in part.parameters() if p.ndim == 2)


def _batches(data: CellDataModule) -> list[CellBatch]:
    data.start_epoch(0)
    return [
        move_data_to_device(data.train_set[index], torch.device(DEVICE)) for index in data.sampler
    ]


def one_step(module: PerturbationTraining, batches: list[CellBatch]) -> Callable[[int], None]:
    """A step of the optimizer on the batch of this number, in turn."""
    optimizer = module.configure_optimizers()

    def step(i: int) -> None:
        optimizer.zero_grad(set_to_none=True)
        module.objective(batches[i % len(batches)]).loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), module.config.gradient_clip)
        optimizer.step()

    return step


def _in_mixed_precision(step: Callable[[int], None]) -> Callable[[int], None]:
    def mixed(i: int) -> None:
        with torch.autocast(DEVICE, torch.bfloat16):
            step(i)

    return mixed


def _product() -> Callable[[int], None]:
    a, b = torch.randn(2, MATRIX, MATRIX, device=DEVICE)
    result = torch.empty(MATRIX, MATRIX, device=DEVICE)

    def product(_: int) -> None:
        torch.mm(a, b, out=result)

    return product


def _alternate(actions: dict[str, Callable[[int], None]]) -> tuple[dict[str, float], int]:
    """Median seconds of each, taken in turn so that all see the same machine, and of how many
    rounds: fewer, but three at least, where they would take too long."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    end = time.perf_counter() + ENOUGH_SECONDS
    for i in range(WARM_UP + ROUNDS):
        for name, action in actions.items():
            started = time.perf_counter()
            action(i)
            if DEVICE == "cuda":
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - started)
        if i >= 5 and time.perf_counter() > end:
            break
    # the first ones warm up: ten, or half of few
    measured = {name: taken[min(WARM_UP, len(taken) // 2) :] for name, taken in times.items()}
    rounds = min(map(len, measured.values()))
    return {name: statistics.median(taken) for name, taken in measured.items()}, rounds

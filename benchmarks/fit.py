"""Training end to end, against the bare step; and the memory of the whole command.

*Throughput*: training cells × epochs over the seconds of the training loop, validation, weight
averaging and data loading included, against the cells per second of the step alone (forward,
backward, clipping, optimizer) on batches drawn before; epochs and rounds of steps in turn, the
least of each, so that both are means over batches of different difficulty.
*Memory*: ``python -m cradle fit`` on a file, quality control and evaluation included, in a process
of its own. ``memory_of_bar`` is its peak over 1.5 × the CSR matrix + 1.5 GB. *Disk*: the same
training loop on counts that stay in the file, against the one on counts in memory, and from a Zarr
store against the ``.h5ad``, with the time in which the counts are checked and unpacked; with
``--disk 1`` also the peak of the command with ``--on-disk``, without Scrublet, over that on a tenth
of the cells.
"""

import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.qc import WITHOUT_DOUBLETS
from benchmarks.screens import least_seconds, measured, write
from benchmarks.step import one_step
from cradle.data.cell_source import cell_source
from cradle.data.dosage import Design
from cradle.data.loading import CellDataModule, Cells
from cradle.data.sources import load
from cradle.models.registry import model_spec
from cradle.training import EpochLoop, PerturbationTraining, train

if TYPE_CHECKING:
    from anndata import AnnData

MODEL, EPOCHS, STEPS = "cradle_vae", 3, 8


def measure(
    cells: int = 100_000, genes: int = 5_000, trained: int = 10_240, memory: int = 1, disk: int = 0
) -> dict[str, dict[str, float]]:
    """Time training on ``trained`` cells; weigh the command on ``cells``, in memory, on disk."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "screen.h5ad"
        write(path, trained, genes)
        store = _as_store(path)
        sources = {"memory": path, "disk": path, "zarr": store}
        rates = {
            name: _rates(load(file, on_disk=name != "memory")) for name, file in sources.items()
        }
        unpacking = least_seconds(2, h5ad=lambda: _unpacked(path), zarr=lambda: _unpacked(store))
        end_to_end, bare = rates["memory"]
        figures = {
            "cells_per_second": end_to_end,
            "cells_per_second_from_disk": rates["disk"][0],
            "cells_per_second_from_zarr": rates["zarr"][0],
            "step_cells_per_second": bare,
            "unpack_seconds": unpacking["h5ad"],
            "unpack_seconds_zarr": unpacking["zarr"],
        }
        ratios = {
            "throughput_of_step": end_to_end / bare,
            "disk_of_memory": rates["disk"][0] / end_to_end,
            "zarr_of_disk": rates["zarr"][0] / rates["disk"][0],
            "zarr_unpacking_of_h5ad": unpacking["zarr"] / unpacking["h5ad"],
        }
        if memory:
            large = path.with_name("large.h5ad")  # the first file is still open
            csr_mb = write(large, cells, genes)
            found = _command(large, Path(folder) / "run")
            figures |= {"csr_mb": csr_mb, "command_seconds": found["wall_seconds"]}
            figures["peak_mb"] = found["peak_mb"]
            ratios["memory_of_bar"] = found["peak_mb"] / (1.5 * csr_mb + 1500)
        if disk:
            peaks = []
            for n in (cells // 10, cells):
                file = path.with_name(f"{n}.h5ad")
                write(file, n, genes)
                # Scrublet takes longer than all else and is measured elsewhere
                chosen = ("--on-disk", "--criteria", ",".join(WITHOUT_DOUBLETS))
                found = _command(file, Path(folder) / f"run{n}", *chosen)
                peaks.append(found["peak_mb"])
            figures |= {"disk_command_seconds": found["wall_seconds"], "disk_peak_mb": peaks[-1]}
            ratios["disk_memory_of_a_tenth"] = peaks[1] / peaks[0]
    return {"figures": figures, "ratios": ratios}


def _as_store(path: Path) -> Path:
    """The same screen as a Zarr store, as anndata writes it of itself."""
    import anndata as ad

    store = path.with_suffix(".zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what anndata says of its next format
        ad.read_h5ad(path).write_zarr(store)
    return store


def _unpacked(path: Path) -> None:
    """Check a screen, open it and unpack its counts, as a fit from the disk does first."""
    cell_source(load(path, on_disk=True))


def _command(path: Path, out: Path, *more: str) -> dict[str, float]:
    """Time and memory of one epoch of the command, with quality control and evaluation."""
    options = ("--model", MODEL, "--epochs", "1", "--genes", "all")
    return measured("-m", "cradle", "fit", str(path), *options, "--out", str(out), *more)


def _rates(adata: "AnnData") -> tuple[float, float]:
    """Training cells a second of the whole loop, and of the step alone."""
    data = _data(adata)
    spec = model_spec(MODEL)
    config = spec.config({"max_epochs": EPOCHS})
    assert spec.network is not None
    n_train = len(data.train_set)
    torch.manual_seed(0)
    module = PerturbationTraining(
        spec.network(data.train_set.cells.shape(), config), config, n_train
    )
    data.start_epoch(0)
    batches = [data.train_set[index] for _, index in zip(range(STEPS), data.sampler, strict=False)]
    step, ends, bare = one_step(module, batches), [], []

    def epoch_ended(*_: object) -> None:
        ends.append(time.perf_counter())
        bare.append(sum(_timed(step, i) for i in range(STEPS)) / STEPS)
        ends.append(time.perf_counter())

    loop = EpochLoop(data, seed=0, patience=EPOCHS, max_epochs=EPOCHS, on_epoch_end=epoch_ended)
    train(module, data, loop)
    # the first epoch warms up; each later one lasts from the end of a pause to the next
    seconds = [end - start for start, end in zip(ends[1::2], ends[2::2], strict=False)]
    return n_train / min(seconds), len(batches[0].counts) / min(bare)


def _timed(step: Callable[[int], None], i: int) -> float:
    started = time.perf_counter()
    step(i)
    return time.perf_counter() - started


def _data(adata: "AnnData") -> CellDataModule:
    """Four fifths of the cells to train on; the fifth with the fewest counts have failed."""
    sizes = adata.obs["library_size"]
    adata.obs["qc_fail"] = sizes < sizes.quantile(0.2)
    labels = sorted(adata.obs["perturbation"].astype(str).unique())
    design, source = Design.of(labels, additive=True), cell_source(adata)
    order = np.random.default_rng(0).permutation(adata.n_obs)
    n_val = adata.n_obs // 5
    train_cells, val_cells = (
        Cells.from_anndata(adata, labels, design, rows=rows, source=source)
        for rows in (order[n_val:], order[:n_val])
    )
    return CellDataModule(
        train_cells, val_cells, batch_size=512, seed=0, max_counterparts=50, both_directions=False
    )

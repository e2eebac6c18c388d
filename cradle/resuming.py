"""Continue an interrupted training run so that nobody can tell it was interrupted."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cradle.files import write_json
from cradle.progress import Reporter, StoppedError
from cradle.run_tables import damaged, read_json
from cradle.training import EpochState
from cradle.weights import load_weights, read_tensors, write_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from cradle.training import EpochLoop, PerturbationTraining, Progress


#: At most this much work is lost to a kill, give or take an epoch.
EVERY_SECONDS = 20.0


class ResumePoint:
    """Reads and writes ``resume/`` of a run directory.

    What a run needs to continue: weights, Adam's moments, the best weights so far, and the
    epoch. There is no generator state, because the noise, the batches and the profiles of
    an epoch follow from the seed and the epoch.

    Parameters
    ----------
    run
        Run directory.
    progress
        Called after each epoch.
    """

    def __init__(
        self,
        run: Path,
        progress: Callable[[Progress], None] | None = None,
    ):
        self.run, self.folder = run, run / "resume"
        self.progress, self.reporter = progress, Reporter(run)
        self._saved_at = 0.0

    def save(self, module: PerturbationTraining, loop: EpochLoop, progress: Progress) -> None:
        """Tell the caller of the epoch; write the state when the last one is old enough.

        A caller that raises :class:`StoppedError` stops the run here, with its state written.
        """
        state = loop.state
        told = (state.history, loop.max_epochs, state.best_epoch, loop.patience)
        self.reporter.tell(*told, now=progress.last)
        try:
            if self.progress is not None:
                self.progress(progress)
        except StoppedError:
            self.reporter.tell(*told, now=True)
            self._write(module, loop)
            raise
        if time.monotonic() - self._saved_at >= EVERY_SECONDS:
            self._write(module, loop)

    def _write(self, module: PerturbationTraining, loop: EpochLoop) -> None:
        self._saved_at = time.monotonic()
        # the state names the files it belongs to, so that a kill between two writes is seen
        tag = f"{loop.state.epoch}"
        write_tensors(self.folder / f"weights-{tag}.safetensors", module.model.state_dict())
        write_tensors(self.folder / f"optimizer-{tag}.safetensors", _optimizer_state(module))
        if module.average is not None:
            average = module.average.state_dict()
            write_tensors(self.folder / f"average-{tag}.safetensors", average)
        write_tensors(self.folder / f"best-{tag}.safetensors", loop.best_weights)
        write_json(self.folder / "state.json", dataclasses.asdict(loop.state))
        for path in self.folder.glob("*.safetensors"):
            if not path.stem.endswith(f"-{tag}"):
                path.unlink()

    def restore(self, module: PerturbationTraining, loop: EpochLoop) -> None:
        """Put the state back, if there is one."""
        path = self.folder / "state.json"
        if not path.is_file():
            return
        try:
            loop.state = EpochState(**read_json(path))
        except TypeError as error:
            raise damaged(path, "not a state") from error
        tag = f"{loop.state.epoch}"
        load_weights(module.model, self.folder / f"weights-{tag}.safetensors")
        if module.average is not None:
            load_weights(module.average, self.folder / f"average-{tag}.safetensors")
        loop.best_weights = read_tensors(self.folder / f"best-{tag}.safetensors")
        module.optimizer_state = read_tensors(self.folder / f"optimizer-{tag}.safetensors")


def _optimizer_state(module: PerturbationTraining) -> dict[str, Tensor]:
    """Adam's step and moments by the name of the parameter."""
    optimizer = module.optimizers(use_pl_optimizer=False)
    assert isinstance(optimizer, torch.optim.Optimizer)
    return {
        f"{name}/{key}": value
        for name, parameter in module.model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }

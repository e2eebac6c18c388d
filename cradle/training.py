"""The one LightningModule and the loop around it."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytorch_lightning as lightning
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cradle.batches import CellBatch
from cradle.data.loading import CellDataModule
from cradle.errors import NonFiniteLossError
from cradle.models.base import PerturbationVAE
from cradle.models.config import VAEConfig
from cradle.objectives import Objective, evidence_lower_bound
from cradle.processes import ONE_PROCESS, Processes, accelerator, noise_seed

#: Positions and log-odds of the model itself rather than weights of a network: they travel units
#: where weights travel hundredths. Spreads of effects stay slow: fast ones raise the ELBO and lower
#: the accuracy of effects (assets/benchmarks/README.md).
DIRECT = ("mask_logits", "embedding_location", "mechanism.location", "log_theta", "kind_logits")

#: Unperturbed training cells that a model may keep at hand.
MAX_CONTROLS = 4096


class PerturbationTraining(lightning.LightningModule):
    """Maximizes the evidence lower bound of any :class:`PerturbationVAE`.

    Parameters
    ----------
    model
        The model to train, in place.
    config
        Resolved settings.
    n_train
        Number of training cells.
    """

    def __init__(self, model: PerturbationVAE, config: VAEConfig, n_train: int):
        super().__init__()
        self.model, self.config = model, config
        self.n_train = n_train
        self.sizes: dict[str, Callable[[int], int]] = {}
        self.totals: dict[str, Tensor] = {}  # of the terms, over the cells of an epoch so far
        self.optimizer_state: dict[str, Tensor] = {}
        self.average = (
            AveragedModel(
                model,
                multi_avg_fn=get_ema_multi_avg_fn(config.weight_average),  # type: ignore[no-untyped-call]
            )
            if config.weight_average
            else None
        )
        if self.average is not None:
            self.average.requires_grad_(False)  # no process waits for gradients of it

    @property
    def averaged(self) -> PerturbationVAE:
        """The model to validate and keep: a moving average of the weights, if there is one.

        Adam at a constant rate circles around the optimum; the average is its centre.
        """
        if self.average is None or not int(self.average.n_averaged):
            return self.model
        return cast(PerturbationVAE, self.average.module)

    def on_train_batch_end(self, *_: Any) -> None:
        """Move the average towards the weights of this step."""
        if self.average is not None:
            self.average.update_parameters(self.model)

    def objective(self, batch: CellBatch) -> Objective:
        """Objective of a minibatch, stopped at the first non-finite term."""
        objective = evidence_lower_bound(
            self.model if self.training else self.averaged,
            batch,
            self.n_train,
            n_particles=self.config.n_particles,
            cell_weights=self._cell_weights(batch),
        )
        if not torch.isfinite(objective.loss):
            bad = [name for name, value in objective.terms().items() if not value.isfinite()]
            raise NonFiniteLossError(
                "Training has diverged.",
                f"at step {self.global_step} (epoch {self.current_epoch}) "
                f"{', '.join(bad) or 'the sum of the terms'} is not finite.",
                "Lower the learning rate, or check the counts for extreme values.",
            )
        return objective

    def on_train_epoch_start(self) -> None:
        """Start the means of an epoch anew."""
        self.totals, self.n_seen = {}, 0

    def training_step(self, batch: CellBatch, number: int) -> Tensor:
        """Loss of a minibatch, nats per cell; over several processes their mean is."""
        objective = self.objective(batch)
        weight, n_all = self._share(self.sizes["train"](number), len(batch.counts))
        for name, value in {"loss": objective.loss, **objective.terms()}.items():
            self.totals[name] = self.totals.get(name, 0.0) + value.detach() * (weight * n_all)
        self.n_seen += n_all
        if self.trainer.is_last_batch:  # telling costs 3 % of a step
            for name, total in self.totals.items():
                self._tell(f"train_{name}", total / self.n_seen, 1.0, self.n_seen)
        return objective.loss * weight

    def validation_step(self, batch: CellBatch, number: int) -> None:
        """ELBO of validation cells with noise that is the same in every epoch."""
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(0)
            elbo = self.objective(batch).elbo
        self._tell("val_elbo", elbo, *self._share(self.sizes["val"](number), len(batch.counts)))

    def _share(self, n_all: int, n_own: int) -> tuple[float, int]:
        """Weight of this process's mean over cells in the mean over processes, and ``n_all``."""
        return n_own * self.trainer.world_size / n_all, n_all

    def _tell(self, name: str, value: Tensor, weight: float, n_all: int) -> None:
        # Lightning rounds unequal numbers of cells: the weight comes first, all cells are counted
        self.log(name, value * weight, on_epoch=True, on_step=False, batch_size=n_all,
                 sync_dist=True)  # fmt: skip

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, with the moments of an interrupted run where there are some."""
        rate = self.config.learning_rate
        named = list(self.model.named_parameters())
        factors = {False: 1.0, True: self.config.direct_learning_rate_factor}
        groups = [
            {"params": [p for n, p in named if n.endswith(DIRECT) is direct], "lr": rate * factor}
            for direct, factor in factors.items()
        ]
        # Lightning clips no gradients of a fused optimizer in mixed precision
        optimizer = torch.optim.Adam(groups, lr=rate, fused=self.config.precision == "32-true")
        for name, parameter in named:
            state = {
                key: self.optimizer_state[f"{name}/{key}"].to(parameter.device)
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"{name}/{key}" in self.optimizer_state
            }
            if state:
                optimizer.state[parameter] = state
        return optimizer

    def _cell_weights(self, batch: CellBatch) -> Tensor | None:
        if not self.config.reconstruction_by_fail_rate:
            return None
        failed = batch.conditions.artifact.squeeze(1)
        rate = failed.mean()
        # the published code: r·(1−a) + (1−r)·a with r the fail rate of the batch
        return rate * (1 - failed) + (1 - rate) * failed


@dataclass
class Progress:
    """What a caller is told after each epoch."""

    epoch: int
    max_epochs: int
    metrics: dict[str, float]
    improved: bool
    last: bool = False


@dataclass
class EpochState:
    """Everything that, with the weights, continues training exactly: see :class:`EpochLoop`."""

    epoch: int = 0
    best_elbo: float = float("-inf")
    best_epoch: int = -1
    history: list[dict[str, float]] = field(default_factory=list)


class EpochLoop(lightning.Callback):
    """Early stopping on the validation ELBO with the best weights kept in memory.

    Noise, batches and counterfactual profiles of an epoch follow from the seed and the
    epoch alone, so a run that is resumed at an epoch equals one that was never stopped.

    Parameters
    ----------
    data
        Told to draw its counterfactual profiles when an epoch starts.
    seed, patience, max_epochs
        ``patience``: epochs without a better validation ELBO before training stops.
    on_epoch_end
        Called with the training module and the progress after each epoch.
    """

    def __init__(
        self,
        data: CellDataModule,
        *,
        seed: int,
        patience: int,
        max_epochs: int,
        on_epoch_end: Callable[[PerturbationTraining, EpochLoop, Progress], None] | None = None,
    ):
        self.data, self.seed, self.patience, self.max_epochs = data, seed, patience, max_epochs
        self.state, self.best_weights = EpochState(), dict[str, Tensor]()
        self.on_epoch_end = on_epoch_end
        in_main = threading.current_thread() is threading.main_thread()
        self.on_sigterm = signal.getsignal(signal.SIGTERM) if in_main else None

    def on_train_start(self, *_: Any) -> None:
        """Take SIGTERM back from Lightning, which would leave in the middle of an epoch."""
        if self.on_sigterm is not None:
            signal.signal(signal.SIGTERM, self.on_sigterm)

    @property
    def finished(self) -> bool:
        """Whether a run that is resumed here had already trained to its end."""
        trained, since_best = self.state.epoch, self.state.epoch - 1 - self.state.best_epoch
        return trained > 0 and (trained >= self.max_epochs or since_best >= self.patience)

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Seed the epoch and draw its counterfactual profiles."""
        epoch = self.state.epoch
        torch.manual_seed(noise_seed(self.seed, epoch, trainer.global_rank))
        self.data.start_epoch(epoch)
        module.model.start_epoch(epoch)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Record the epoch, keep the best weights, stop when patience runs out."""
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items()}
        state = self.state
        improved = metrics["val_elbo"] > state.best_elbo
        if improved:
            state.best_elbo, state.best_epoch = metrics["val_elbo"], state.epoch
            self.best_weights = {
                k: v.detach().cpu().clone() for k, v in module.averaged.state_dict().items()
            }
        state.history.append({"epoch": state.epoch, **metrics})
        out_of_patience = state.epoch - state.best_epoch >= self.patience
        last = out_of_patience or state.epoch + 1 >= self.max_epochs
        progress = Progress(state.epoch, self.max_epochs, metrics, improved, last)
        state.epoch += 1
        if last:
            trainer.should_stop = True
        if self.on_epoch_end is not None:
            self.on_epoch_end(module, self, progress)


def train(
    module: PerturbationTraining,
    data: CellDataModule,
    loop: EpochLoop,
    processes: Processes = ONE_PROCESS,
) -> PerturbationTraining:
    """Train until the loop stops, then put the best weights back into the model."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    # Lightning opens the first epoch's batches before it announces the epoch
    data.start_epoch(loop.state.epoch)
    if (controls := data.train_set.controls(MAX_CONTROLS, loop.seed)) is not None:
        module.model.meet_controls(controls)
    trainer = lightning.Trainer(
        accelerator=accelerator(),
        **processes.of_trainer(),
        precision=module.config.precision,
        use_distributed_sampler=False,  # the sampler divides its batches itself
        max_epochs=-1,
        min_epochs=1,
        callbacks=[loop],
        gradient_clip_val=module.config.gradient_clip,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1_000_000,
    )
    data.share(trainer.global_rank, trainer.world_size)
    module.sizes = {"train": data.sampler.size, "val": data.val_sampler.size}
    with warnings.catch_warnings():
        # sparse rows are drawn faster than a worker process could hand them over
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
        if not loop.finished:
            try:
                trainer.fit(module, datamodule=data)
            except SystemExit as stop:
                if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning made it one
                    raise KeyboardInterrupt from stop
                raise
    module.cpu().model.load_state_dict(loop.best_weights)
    module.model.eval()
    module.model.settle()
    return module

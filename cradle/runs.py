"""A run directory: everything a trained model needs to answer, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cradle.data.dosage import Design, perturbed_genes
from cradle.data.splits import support_of
from cradle.errors import InputError
from cradle.evaluation.effects import POSTERIOR_ALONE, Effects, Widening
from cradle.evaluation.scores import MAX_FACTOR, MAX_FLOOR
from cradle.run_tables import (
    STATISTICS,
    damaged,
    read_json,
    read_table,
    refuse_links,
    require_columns,
)
from cradle.weights import load_weights as load_weights
from cradle.weights import network_of
from cradle.weights import read_tensors as read_tensors
from cradle.weights import write_tensors as write_tensors

if TYPE_CHECKING:
    from cradle.data.qc import QCThresholds
    from cradle.evaluation.moments import Moments
    from cradle.models.baselines import Baseline
    from cradle.models.config import VAEConfig
    from cradle.models.registry import ModelSpec
    from cradle.prediction import Predictor

RUN_SCHEMA = 1
DONE = "DONE"
WEIGHTS = "weights.safetensors"
INTERVALS = "intervals.json"


@dataclass(frozen=True)
class Run:
    """A finished run, read lazily; opening one costs a few milliseconds.

    Parameters
    ----------
    path
        Run directory (see INTERFACE in the README).
    config
        Model name, settings, seeds, threshold and split, as fitted.
    """

    path: Path
    config: Mapping[str, Any]

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Open a finished run.

        Raises
        ------
        InputError
            There is no run there, it is incomplete, or a file of it is damaged.
        """
        path = Path(path)
        if not (path / "config.json").is_file():
            raise InputError(
                "There is no run in this folder.",
                f"{path} without config.json.",
                "Give the folder that `fit --out` wrote.",
            )
        if not (path / DONE).is_file():
            raise InputError(
                "This run is incomplete.",
                f"{path} without the file DONE.",
                "Continue it: the same fit command with --resume.",
            )
        return cls.opened(path)

    @classmethod
    def opened(cls, path: Path) -> Run:
        """Open a run that may still lack its last parts (InputError for another format)."""
        refuse_links(path)
        config = read_json(path / "config.json")
        if config.get("schema") != RUN_SCHEMA:
            raise InputError(
                "This run was written in another format.",
                f"schema {config.get('schema')!r}, this version reads {RUN_SCHEMA}.",
                "Fit the model again with this version.",
            )
        absent = [key for key in ("model", "settings", "train_cells") if key not in config]
        if absent:
            raise damaged(path / "config.json", f"no {', '.join(absent)}")
        if not isinstance(config["settings"], dict):
            raise damaged(path / "config.json", "settings that are no settings")
        return cls(path, config)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def model_name(self) -> str:
        """Name in the registry."""
        return str(self.config["model"])

    @property
    def spec(self) -> ModelSpec:
        """Row of the registry."""
        from cradle.models.registry import model_spec

        return model_spec(self.model_name)

    @cached_property
    def genes(self) -> tuple[str, ...]:
        """Modelled genes."""
        return tuple(self.gene_table["gene"].astype(str))

    @cached_property
    def gene_table(self) -> pd.DataFrame:
        """gene, log1p_mean, log1p_sd, mean_profile over training cells."""
        return read_table(self.path / "genes.csv")

    @cached_property
    def perturbations(self) -> pd.DataFrame:
        """Cells per perturbation and split, QC-failed training cells, held out or not."""
        table = read_table(self.path / "perturbations.csv")
        return table.assign(held_out=table["held_out"].astype(bool))

    @property
    def perturbed_genes(self) -> tuple[str, ...]:
        """Genes of the dosage, in its order: those that training cells carry."""
        return perturbed_genes(self._trained)

    @cached_property
    def design(self) -> Design:
        """How the model is told of perturbations: of genes, or of whole treatments."""
        own = self._settings.combination_dosage
        return Design.of(self._trained, additive=self.spec.combinations, combination_dosage=own)

    @cached_property
    def _settings(self) -> VAEConfig:
        """Of the network; those that came with a later version as that version has them off."""
        from cradle.models.config import VAEConfig

        return VAEConfig.from_mapping(self.config["settings"])

    @property
    def _trained(self) -> list[str]:
        table = self.perturbations
        return table.loc[table["n_train"] > 0, "perturbation"].astype(str).tolist()

    @property
    def held_out(self) -> tuple[str, ...]:
        """Perturbations without training cells."""
        table = self.perturbations
        return tuple(table.loc[table["held_out"], "perturbation"])

    @cached_property
    def thresholds(self) -> QCThresholds:
        """Quality control, fitted on the training cells."""
        from cradle.data.qc import QCThresholds

        path = self.path / "thresholds.json"
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise damaged(path, type(error).__name__) from error
        return QCThresholds.from_json(text)

    @cached_property
    def split(self) -> pd.Series[str]:
        """Split of every cell, by cell name."""
        return read_table(self.path / "split.csv.gz").set_index("cell")["split"]

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch; empty for a baseline."""
        return read_table(self.path / "history.csv")

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Data hash, versions, seed, command, seconds."""
        return read_json(self.path / "provenance.json")

    @property
    def metrics(self) -> dict[str, Any] | None:
        """The stored evaluation; ``None`` before there is one."""
        path = self.path / "metrics.json"
        return read_json(path) if path.is_file() else None

    @cached_property
    def library_sizes(self) -> pd.DataFrame:
        """artifact (0, 1) and library_size of the training cells."""
        return read_table(self.path / "library_sizes.csv")

    @cached_property
    def moments(self) -> Moments:
        """Sufficient statistics of the observed cells."""
        from cradle.evaluation.moments import Moments

        moments = Moments.load(self.path / "moments.safetensors")
        if moments.genes != self.genes:
            raise damaged(self.path / "moments.safetensors", "other genes than in genes.csv")
        return moments

    @cached_property
    def predicted_effects(self) -> Effects:
        """Effects of every perturbation of the screen, predicted once, after training."""
        from cradle.evaluation.storage import load_effects

        effects = load_effects(self.path / "predicted_effects.safetensors")
        if effects.genes != self.genes:
            raise damaged(self.path / "predicted_effects.safetensors", "other genes")
        return effects

    @property
    def widening(self) -> Widening:
        """How much wider than in the posterior intervals of effects are, so that they hold what
        validation cells show; nothing for runs of versions that did not widen them."""
        path = self.path / INTERVALS
        if not path.is_file():
            return POSTERIOR_ALONE
        stored = read_json(path)
        values = [v for name in Widening._fields if isinstance(v := stored.get(name), float | int)]
        if len(values) == len(Widening._fields):
            found = Widening(*map(float, values))
            if 1 <= found.factor <= MAX_FACTOR and 0 <= found.floor <= MAX_FLOOR:
                return found
        raise damaged(path, "a widening that cannot be")

    def support(self, label: str) -> str:
        """How far a prediction for ``label`` is backed by cells: see ``support_of``."""
        table = self.perturbations.set_index("perturbation")
        counts = {str(p): int(n) for p, n in table["n_train"].items()}
        # of a perturbation that was measured, but only in cells that were not trained on
        unused = [name for name, n in counts.items() if n == 0]
        return support_of(label, counts, {*self.held_out, *unused})

    def predictor(self) -> Predictor | Baseline:
        """The trained model, ready to answer."""
        if self.spec.is_network:
            return self._network()
        from cradle.models.baselines import TrainMeans, fit_baseline

        pooled = self.moments.pool(splits=["train"], passing_only=self.passing_only)
        return fit_baseline(self.model_name, TrainMeans(pooled.labels, self.genes, pooled.mean))

    @property
    def learned_artifact(self) -> bool:
        """Whether there is an artifact to switch, and failed training cells that taught it."""
        return self.spec.artifact and bool(self.perturbations["n_fail_train"].sum())

    @property
    def passing_only(self) -> bool:
        """Whether only QC-passing cells were trained on."""
        return bool(self.config["train_cells"] == "passing")

    def _network(self) -> Predictor:
        from cradle.prediction import Predictor

        config = self._settings
        assert self.spec.network is not None
        model = network_of(self.spec.network, self._shape(), config, self.path / WEIGHTS)
        return Predictor(
            model.eval(), self.genes, self.design, self.library_sizes, self.thresholds,
            config.library_size, self.spec.artifact, self.widening,
        )  # fmt: skip

    def _shape(self) -> Any:
        import torch

        from cradle.batches import DataShape

        require_columns(self.path / "genes.csv", self.gene_table, STATISTICS)
        statistics = [torch.tensor(self.gene_table[c].to_numpy("float32")) for c in STATISTICS]
        return DataShape(len(self.genes), len(self.design.columns), *statistics)

"""Settings of a simulated screen."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from cradle.errors import InputError

MIN_CELLS_PER_LABEL = 5


@dataclass(frozen=True)
class SimulationConfig:
    """What to simulate; the defaults are fixed and were chosen before any model saw them.

    Parameters
    ----------
    n_cells, n_genes
        Size of the screen. The genes are the whole transcriptome of a simulated cell.
    n_perturbations, n_pairs
        Perturbed genes (each measured alone) and pairs of them.
    artifact_rate
        Share of all cells that are implanted artifacts, in [0, 1).
    artifact_strength
        1 is realistic; 0 leaves the artifacts without a trace (doublets excepted).
    interacting
        Share of the pairs that deviate from additivity, in [0, 1].
    effect_strength
        Factor on every log fold change of a perturbation.
    control_share
        Share of unperturbed cells, in (0, 1).
    n_batches
        Number of batches, at least 1.
    median_library_size, library_size_sd
        Log-normal library sizes: median in counts, standard deviation of the natural log.
        A semi-synthetic screen keeps the library sizes of its base.
    seed
        The same seed and settings give the same screen.
    """

    n_cells: int = 5000
    n_genes: int = 2000
    n_perturbations: int = 24
    n_pairs: int = 16
    artifact_rate: float = 0.2
    artifact_strength: float = 1.0
    interacting: float = 0.25
    effect_strength: float = 1.0
    control_share: float = 0.08
    n_batches: int = 2
    median_library_size: float = 5000.0
    library_size_sd: float = 0.32
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_type(field.name, getattr(self, field.name), type(field.default))
        possible = self.n_perturbations * (self.n_perturbations - 1) // 2
        labelled = round(self.n_cells * (1 - self.control_share))
        needed = MIN_CELLS_PER_LABEL * (self.n_perturbations + self.n_pairs)
        for name, holds, rule in (
            ("n_perturbations", self.n_perturbations >= 1, "at least 1"),
            ("n_pairs", 0 <= self.n_pairs <= possible, f"between 0 and {possible}"),
            ("control_share", 0 < self.control_share < 1, "in (0, 1)"),
            ("n_cells", labelled >= needed, f"with at least {needed} perturbed cells"),
            ("n_genes", self.n_genes >= 1, "at least 1"),
            ("artifact_rate", 0 <= self.artifact_rate < 1, "in [0, 1)"),
            ("artifact_strength", 0 <= self.artifact_strength <= 2, "in [0, 2]"),
            ("interacting", 0 <= self.interacting <= 1, "in [0, 1]"),
            ("effect_strength", 0 <= self.effect_strength <= 3, "in [0, 3]"),
            ("n_batches", 1 <= self.n_batches <= 100, "between 1 and 100"),
            ("median_library_size", 200 <= self.median_library_size <= 1e6, "in [200, 1e6]"),
            ("library_size_sd", 0 <= self.library_size_sd <= 1.5, "in [0, 1.5]"),
            ("seed", self.seed >= 0, "0 or a positive whole number"),
        ):
            if not holds:
                raise InputError(
                    f"The simulation setting {name} is out of range.",
                    f"{name} = {getattr(self, name)}.",
                    f"Choose a value {rule}.",
                )

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> "SimulationConfig":
        """Build from names and values; an unknown name is an ``InputError``."""
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise InputError(
                "The simulation has no such setting.",
                ", ".join(unknown) + ".",
                f"Use one of {', '.join(known)}.",
            )
        return cls(**settings)

    def to_json(self) -> str:
        """Return the settings as one JSON object, keys sorted."""
        return json.dumps(asdict(self), sort_keys=True)


def _check_type(name: str, value: object, kind: type) -> None:
    accepted = (int, float) if kind is float else (kind,)
    if isinstance(value, bool) or not isinstance(value, accepted):
        raise InputError(
            f"The simulation setting {name} has the wrong type.",
            f"{value!r}.",
            f"Give a {'number' if kind is float else 'whole number'}.",
        )

"""Settings of the variational autoencoders and of their training."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cradle.errors import InputError

#: Far above any use; a file that asks for more is not to be believed.
_MOST = {
    **dict.fromkeys(("n_encoder_layers", "n_decoder_layers", "n_embedding_layers"), 64),
    **dict.fromkeys(("n_latent", "n_hidden"), 65_536),
    "n_particles": 1_000,
    "artifact_kinds": 1_000,
    "embedding_init_scale": 700,  # the exponential of more overflows
}


@dataclass(frozen=True)
class VAEConfig:
    """Settings of a model and its training, saved with the run.

    Sizes and numbers of layers, ``mask_prior``, ``effect_scale``, ``learning_rate``,
    ``gradient_clip`` and ``batch_size`` are those of the paper (Baek 2025), the other defaults this
    project's (``assets/departures.csv``). :func:`defaults_for` replaces those that have to follow
    the size of the data.
    """

    # architecture
    n_latent: int = 200
    n_hidden: int = 400
    n_encoder_layers: int = 1
    n_decoder_layers: int = 2
    n_embedding_layers: int = 4
    combine: Literal["concat", "sum"] = "concat"
    linear_path: bool = True
    encoder_dropout: float = 0.1
    correlated_effects: bool = True
    combination_dosage: float = 0.0
    # priors
    mask_prior: float = 0.01
    mask_init: float = 3.0
    mask_temperature: float = 1.0
    effect_scale: float = 1.0
    embedding_init_scale: float = 0.1
    # artifact
    causal_artifact: bool = True
    artifact_posterior_network: bool = False
    artifact_kinds: int = 4
    # counterfactual term
    counterfactual_weight: float = 5.0
    counterfactual_all_cells: bool = False
    counterfactual_swapped: bool = False
    counterfactual_unscaled: bool = False
    counterfactual_sum_over_batch: bool = False
    max_counterparts: int = 50
    # invariant and responsive block
    n_responsive: int = 20
    n_invariant: int = 85
    causal_structure: bool = True
    alignment_weight: float = 0.05
    responsive_kl_weight: float = 0.01
    invariant_kl_weight: float = 0.01
    kl_free_epochs: int = 10
    kl_warmup_epochs: int = 20
    # training
    learning_rate: float = 3e-4
    batch_size: int = 512
    max_epochs: int = 2000
    patience: int = 30
    gradient_clip: float = 100.0
    direct_learning_rate_factor: float = 10.0
    weight_average: float = 0.99
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    n_particles: int = 1
    reconstruction_by_fail_rate: bool = False
    # generation
    library_size: float | None = None
    # quality control
    hemoglobin_regex: bool = False

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> VAEConfig:
        """Config with the given settings; values may be text, as from a command line.

        Raises
        ------
        InputError
            A setting is unknown or its value is not of its type.
        """
        hints = typing.get_type_hints(cls)
        unknown = sorted(set(settings) - set(hints))
        if unknown:
            raise InputError(
                "A setting of the model is unknown.",
                ", ".join(unknown),
                f"Use one of: {', '.join(hints)}.",
            )
        values = {name: _parse(name, hints[name], value) for name, value in settings.items()}
        config = cls(**values)
        config._check()
        return config

    def _check(self) -> None:
        """Ranges, so that a nonsensical setting fails before training starts."""
        rules = {
            "a whole number of 1 or more": (
                "n_latent", "n_hidden", "n_encoder_layers", "n_decoder_layers",
                "n_embedding_layers", "max_counterparts", "batch_size", "max_epochs",
                "patience", "n_particles", "artifact_kinds", "n_responsive", "n_invariant",
                "kl_warmup_epochs",
            ),
            "a positive number": (
                "mask_temperature", "effect_scale", "learning_rate", "gradient_clip",
                "library_size", "embedding_init_scale", "direct_learning_rate_factor",
            ),
        }  # fmt: skip
        bad = {
            name: rule
            for rule, names in rules.items()
            for name in names
            if (value := getattr(self, name)) is not None and not (0 < value < 1e9)
        }
        for name, most in _MOST.items():
            if getattr(self, name) > most:
                bad[name] = f"a number of at most {most:,}"
        if not 0 < self.mask_prior < 1:
            bad["mask_prior"] = "a number between 0 and 1"
        if not -20 <= self.mask_init <= 20:
            bad["mask_init"] = "log-odds between -20 and 20"
        for name in ("weight_average", "encoder_dropout"):
            if not 0 <= getattr(self, name) < 1:
                bad[name] = "zero, or a number below 1"
        for name in (
            "counterfactual_weight", "alignment_weight", "responsive_kl_weight",
            "invariant_kl_weight", "kl_free_epochs", "combination_dosage",
        ):  # fmt: skip
            if not 0 <= getattr(self, name) < 1e9:
                bad[name] = "zero or a positive number"
        for name, rule in bad.items():
            raise InputError(
                f"The setting {name} is out of range.",
                f"{name}={getattr(self, name)}.",
                f"Give {rule}.",
            )
        if self.artifact_posterior_network and not self.causal_artifact:
            raise InputError(
                "Two settings exclude each other.",
                "artifact_posterior_network=True with causal_artifact=False: an artifact that is "
                "a learnable vector has no posterior.",
                "Leave one of them out.",
            )

    def to_dict(self) -> dict[str, Any]:
        """Settings by name."""
        return dataclasses.asdict(self)


def defaults_for(*, n_cells: int, n_genes: int, combinations: bool) -> dict[str, Any]:
    """Settings that follow from the size of the data; the user's settings come on top.

    Below 1,000 genes or 10,000 cells a network of the paper's size has more weights than the
    data can inform, so width and latent dimension shrink, and of few cells more genes are hidden
    from the encoder; training lasts for at most about ``20,000`` steps whatever the number of
    cells.
    """
    small = n_genes < 1000
    few = n_cells < 10_000 and not small
    batch_size = 256 if small else 512
    steps_per_epoch = max(1, n_cells // batch_size)
    return {
        "n_latent": 64 if small else 100 if few else 200,
        "n_hidden": 200 if small else 128 if few else 400,
        "mask_prior": 0.5 if small else (0.1 if combinations else 0.01),
        "encoder_dropout": 0.3 if few else 0.1,
        "learning_rate": 1e-3,
        "batch_size": batch_size,
        "max_epochs": min(2000, max(50, 20_000 // steps_per_epoch)),
    }


def _parse(name: str, hint: Any, value: Any) -> Any:
    """Value of the annotated type, from itself or from text."""
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    kinds = typing.get_args(hint) if union else (hint,)
    for kind in kinds:
        if typing.get_origin(kind) is Literal:
            if value in typing.get_args(kind):
                return value
        elif kind is type(None):
            if value is None or str(value).lower() in ("none", "auto"):
                return None
        elif kind is bool:
            if str(value).lower() in ("true", "false", "1", "0"):
                return str(value).lower() in ("true", "1")
        elif not isinstance(value, bool):
            try:
                parsed = kind(value)
            except (TypeError, ValueError):
                continue
            if kind is float or str(parsed) == str(value):
                return parsed
    wanted = " or ".join(getattr(k, "__name__", str(k)) for k in kinds)
    raise InputError(
        f"The setting {name} has a value of the wrong kind.",
        repr(value),
        f"Give {wanted.replace('NoneType', 'none')}.",
    )

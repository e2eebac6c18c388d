"""Every model by name. A model is one file and one row here; an ablation is a row.

Importing this loads no network: a page that names the models does not pay for torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, cast

from cradle.errors import InputError
from cradle.models.baselines import BASELINES
from cradle.models.config import VAEConfig

if TYPE_CHECKING:
    from cradle.batches import DataShape
    from cradle.models.base import PerturbationVAE

    Network = Callable[[DataShape, VAEConfig], PerturbationVAE]


@dataclass(frozen=True)
class ModelSpec:
    """A row of the registry.

    Parameters
    ----------
    name, label
        Name for the command line, name for people.
    path
        Module and class of the network, ``module.Class`` below this package; ``None`` for a
        baseline.
    settings
        Settings that make this row what it is; the user's settings come on top.
    combinations
        Whether it can predict a combination that was never measured.
    artifact
        Whether its artifact can be switched off and on.
    space
        What its likelihood is of: raw counts, or expression ``ln(1 + 1e4·x/ℓ)``, of which no
        counts can be drawn.
    summary
        One sentence.
    """

    name: str
    label: str
    path: str | None
    summary: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    combinations: bool = True
    artifact: bool = False
    space: Literal["counts", "expression"] = "counts"

    @property
    def is_network(self) -> bool:
        """Whether it is trained, epoch by epoch, and has settings."""
        return self.path is not None

    @property
    def generates(self) -> bool:
        """Whether it generates cells as counts, not only effects."""
        return not self.why_no_cells

    @property
    def why_no_cells(self) -> str:
        """Why it generates no cells; empty where it does."""
        if not self.is_network:
            return "the model predicts effects, not cells"
        if self.space == "expression":
            return (
                "the model's likelihood is of normalised expression, from which no counts can be "
                "drawn"
            )
        return ""

    @property
    def has_blocks(self) -> bool:
        """Whether its state is an invariant and a responsive block."""
        return self.path in (_PERTURBED, _MEAN_ALIGNED)

    @property
    def network(self) -> Network | None:
        """Class of the network, imported when it is first asked for."""
        if self.path is None:
            return None
        module, name = self.path.split(".")
        return cast("Network", getattr(import_module(f"cradle.models.{module}"), name))

    def config(
        self,
        settings: Mapping[str, Any] | None = None,
        size_defaults: Mapping[str, Any] | None = None,
    ) -> VAEConfig:
        """Defaults for the size of the data, then this row's settings, then the user's."""
        if not self.is_network and settings:
            raise InputError(
                f"The model {self.name} has no settings.",
                f"{', '.join(settings)}.",
                "Leave the settings out.",
            )
        return VAEConfig.from_mapping(
            {**(size_defaults or {}), **self.settings, **(settings or {})}
        )


#: The published code differs from the paper, and the paper's tables come from it.
_REFERENCE = {
    "counterfactual_weight": 0.5,
    "counterfactual_all_cells": True,
    "counterfactual_swapped": True,
    "counterfactual_unscaled": True,
    "counterfactual_sum_over_batch": True,
    "reconstruction_by_fail_rate": True,
    "artifact_posterior_network": True,
    "artifact_kinds": 1,
    "n_particles": 5,
    "library_size": 10_000.0,
    "hemoglobin_regex": True,
    "linear_path": False,
    "encoder_dropout": 0.0,
    "weight_average": 0.0,
    "direct_learning_rate_factor": 1.0,
    "embedding_init_scale": 1.0,
    "mask_init": 0.0,
    "mask_prior": 0.01,
    "learning_rate": 3e-4,
    "batch_size": 512,
    "n_latent": 200,
    "n_hidden": 400,
}

#: What a combination does beyond the sum of its genes has an effect of its own, so that it does not
#: bend those of the genes, which tell of combinations never seen (assets/departures.csv).
_CRADLE = {"combination_dosage": 0.3}

_PERTURBED = "perturbed_vae.PerturbedVAE"
_MEAN_ALIGNED = "perturbed_vae.MeanAlignedPerturbedVAE"
#: Those of the paper; see PerturbedVAE.
_PERTURBED_SETTINGS = {
    "n_hidden": 256,
    "batch_size": 64,
    "max_epochs": 100,
    "patience": 100,
    "learning_rate": 1e-4,
}

_ROWS = (
    ModelSpec(
        "cradle_vae",
        "CRADLE-VAE",
        "cradle_vae.CradleVAE",
        "Basal state, sparse additive effects and a latent artifact, disentangled by "
        "counterfactual reasoning (Baek 2025).",
        _CRADLE,
        artifact=True,
    ),
    ModelSpec(
        "cradle_vae_no_counterfactual",
        "CRADLE-VAE w/o CF",
        "cradle_vae.CradleVAE",
        "CRADLE-VAE without the counterfactual term (α = 0).",
        {**_CRADLE, "counterfactual_weight": 0.0},
        artifact=True,
    ),
    ModelSpec(
        "cradle_vae_no_causal",
        "CRADLE-VAE w/o Causal",
        "cradle_vae.CradleVAE",
        "CRADLE-VAE whose artifact is a learnable vector without prior or KL.",
        {**_CRADLE, "causal_artifact": False},
        artifact=True,
    ),
    ModelSpec(
        "cradle_vae_reference",
        "CRADLE-VAE (published code)",
        "cradle_vae.CradleVAE",
        "CRADLE-VAE with every switch that makes it follow the published code.",
        _REFERENCE,
        artifact=True,
    ),
    ModelSpec(
        "sams_vae",
        "SAMS-VAE",
        "sams_vae.SAMSVAE",
        "Basal state plus sparse additive effects (Bereket 2023); knows no artifact.",
        {"combine": "sum"},
    ),
    ModelSpec(
        "sams_vae_mean_field",
        "SAMS-VAE (mean field)",
        "sams_vae.SAMSVAE",
        "SAMS-VAE whose posterior treats mask and effect as independent.",
        {"combine": "sum", "correlated_effects": False},
    ),
    ModelSpec(
        "cpa_vae",
        "CPA-VAE",
        "cpa_vae.CPAVAE",
        "SAMS-VAE without masks: every latent is moved by every perturbation (Bereket 2023).",
        {"combine": "sum"},
    ),
    ModelSpec(
        "svae_plus",
        "sVAE+",
        "svae_plus.SVAEPlus",
        "Each treatment moves the prior of a few latents (Lopez 2023); a treatment is a whole, "
        "so unseen combinations do not apply.",
        combinations=False,
    ),
    ModelSpec(
        "conditional_vae",
        "Conditional VAE",
        "conditional_vae.ConditionalVAE",
        "Encoder and decoder are told of the perturbed genes (Sohn 2015); assumes nothing of "
        "how they act.",
    ),
    ModelSpec(
        "perturbed_vae",
        "PerturbedVAE",
        _PERTURBED,
        "An invariant block aligned with control cells and a responsive block under a linear "
        "structural model (Jiang 2026); models normalised expression, so it draws no counts.",
        _PERTURBED_SETTINGS,
        space="expression",
    ),
    ModelSpec(
        "perturbed_vae_no_alignment",
        "PerturbedVAE w/o alignment",
        _PERTURBED,
        "PerturbedVAE whose invariant block is not aligned with control cells (α = 0).",
        {**_PERTURBED_SETTINGS, "alignment_weight": 0.0},
        space="expression",
    ),
    ModelSpec(
        "perturbed_vae_mean_alignment",
        "PerturbedVAE, means aligned",
        _MEAN_ALIGNED,
        "PerturbedVAE that aligns the mean of the invariant block of each perturbation with "
        "control, not each cell with a random control cell.",
        _PERTURBED_SETTINGS,
        space="expression",
    ),
    ModelSpec(
        "perturbed_vae_no_structure",
        "PerturbedVAE w/o structure",
        _PERTURBED,
        "PerturbedVAE whose responsive latents depend on neither each other nor the background.",
        {**_PERTURBED_SETTINGS, "causal_structure": False},
        space="expression",
    ),
    ModelSpec(
        "perturbed_vae_wide_response",
        "PerturbedVAE, d_ν ≥ d_ι",
        _PERTURBED,
        "PerturbedVAE with the sizes of its blocks exchanged: the responsive one is the larger.",
        {**_PERTURBED_SETTINGS, "n_responsive": 85, "n_invariant": 20},
        space="expression",
    ),
    *(ModelSpec(row.name, row.label, None, row.explanation) for row in BASELINES.values()),
)

MODELS: dict[str, ModelSpec] = {row.name: row for row in _ROWS}


def model_spec(name: str) -> ModelSpec:
    """Row of the registry.

    Raises
    ------
    InputError
        No model has this name.
    """
    if name not in MODELS:
        close = get_close_matches(name, MODELS, n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        raise InputError(
            "There is no model of that name.", repr(name), f"{hint}Use one of {', '.join(MODELS)}."
        )
    return MODELS[name]

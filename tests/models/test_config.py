"""Settings: text in, typed values out, nonsense refused by name."""

import pytest
import torch

from cradle.batches import DataShape
from cradle.errors import InputError
from cradle.models.config import VAEConfig, defaults_for
from cradle.models.registry import MODELS, model_spec


def test_text_becomes_typed_values():
    config = VAEConfig.from_mapping(
        {"n_latent": "12", "learning_rate": "1e-3", "causal_artifact": "false", "combine": "sum"}
    )
    assert (config.n_latent, config.learning_rate) == (12, 1e-3)
    assert config.causal_artifact is False
    assert config.combine == "sum"
    assert VAEConfig.from_mapping({"library_size": "none"}).library_size is None


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("n_latents", 3, "unknown"),
        ("n_latent", "many", "wrong kind"),
        ("n_latent", 1.5, "wrong kind"),
        ("n_latent", True, "wrong kind"),
        ("causal_artifact", "perhaps", "wrong kind"),
        ("combine", "product", "wrong kind"),
        ("n_latent", 0, "out of range"),
        ("learning_rate", -1, "out of range"),
        ("learning_rate", float("nan"), "out of range"),
        ("mask_prior", 1, "out of range"),
        ("counterfactual_weight", -0.1, "out of range"),
        ("batch_size", 10**12, "out of range"),
        ("embedding_init_scale", 800, "out of range"),
    ],
)
def test_nonsense_is_refused_by_name(setting, value, message):
    with pytest.raises(InputError, match=message) as caught:
        VAEConfig.from_mapping({setting: value})
    assert setting in str(caught.value)


@pytest.mark.parametrize(
    ("model", "setting"),
    [
        ("cradle_vae_no_causal", {"artifact_posterior_network": "true"}),
        ("cradle_vae_reference", {"causal_artifact": "false"}),
    ],
)
def test_settings_that_exclude_each_other_are_refused_by_name(model, setting):
    with pytest.raises(InputError, match="exclude each other") as caught:
        model_spec(model).config(setting)
    assert next(iter(setting)) in str(caught.value)


def test_every_model_takes_the_largest_spread_of_embeddings():
    shape = DataShape(3, 2, *(torch.ones(3) for _ in range(3)))
    for spec in (spec for spec in MODELS.values() if spec.network):
        config = spec.config({"embedding_init_scale": 700, "n_latent": 2, "n_hidden": 2})
        assert spec.network(shape, config).config.embedding_init_scale == 700


def test_round_trip():
    config = VAEConfig(n_latent=7, library_size=1e4)
    assert VAEConfig.from_mapping(config.to_dict()) == config


def test_defaults_follow_the_size_of_the_data():
    panel = defaults_for(n_cells=3000, n_genes=500, combinations=True)
    whole = defaults_for(n_cells=100_000, n_genes=5000, combinations=False)
    few = defaults_for(n_cells=3000, n_genes=2000, combinations=True)
    assert panel["n_latent"] < few["n_latent"] < whole["n_latent"] == 200
    assert few["n_hidden"] < whole["n_hidden"] == 400
    assert few["encoder_dropout"] > whole["encoder_dropout"]
    assert whole["mask_prior"] < panel["mask_prior"]
    assert panel["max_epochs"] >= whole["max_epochs"] >= 50

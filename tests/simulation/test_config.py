import json

import pytest

from cradle.errors import InputError
from cradle.simulation import SimulationConfig, simulate


def test_defaults_are_fixed() -> None:
    config = SimulationConfig()
    assert (config.n_cells, config.n_genes) == (5000, 2000)
    assert (config.n_perturbations, config.n_pairs) == (24, 16)
    assert (config.artifact_rate, config.interacting) == (0.2, 0.25)


@pytest.mark.parametrize(
    "settings",
    [
        {"n_cells": 10},
        {"n_cells": 1000, "control_share": 0.99},
        {"n_cells": 5000.0},
        {"n_cells": True},
        {"n_perturbations": 0},
        {"n_pairs": -1},
        {"n_perturbations": 3, "n_pairs": 4},
        {"artifact_rate": 1.0},
        {"artifact_rate": float("nan")},
        {"artifact_rate": "0.2"},
        {"interacting": 1.1},
        {"control_share": 0.0},
        {"n_batches": 0},
        {"median_library_size": 10},
        {"seed": -1},
    ],
)
def test_impossible_settings_are_refused_by_name(settings: dict[str, object]) -> None:
    with pytest.raises(InputError) as caught:
        SimulationConfig(**settings)  # type: ignore[arg-type]
    assert any(name in str(caught.value) for name in settings)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(InputError, match="n_cell"):
        SimulationConfig.from_mapping({"n_cell": 100})


@pytest.mark.parametrize("n_genes", [100, 30_000])
def test_genes_that_do_not_fit_are_refused_with_the_range(n_genes: int) -> None:
    with pytest.raises(InputError, match=r"between 228 and \d+ genes"):
        simulate(SimulationConfig(n_genes=n_genes))


def test_json_holds_every_setting() -> None:
    config = SimulationConfig(seed=7)
    assert SimulationConfig.from_mapping(json.loads(config.to_json())) == config

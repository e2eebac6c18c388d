import numpy as np
import pytest

from cradle.simulation.config import SimulationConfig
from cradle.simulation.design import INTERACTIONS, Design, draw_design
from cradle.simulation.genes import choose_genes, perturbed_symbols


def _draw(seed: int = 0, **settings: float) -> tuple[Design, list[str]]:
    config = SimulationConfig(**settings)  # type: ignore[arg-type]
    perturbed = perturbed_symbols(config.n_perturbations)
    genes = choose_genes(config.n_genes, perturbed)
    rng = np.random.default_rng(seed)
    expression = rng.lognormal(0, 2, len(genes))
    return draw_design(genes, perturbed, expression, config, rng), list(genes.index)


def test_control_does_nothing_and_labels_are_in_order() -> None:
    design, _ = _draw()
    assert design.labels[0] == "control"
    assert not design.log_effects[0].any()
    assert len(design.labels) == 1 + 24 + 16 == len(design.log_effects)


def test_a_quarter_of_the_pairs_interact_in_all_ways() -> None:
    design, _ = _draw()
    kinds = design.pairs["interaction"]
    assert (kinds != "none").sum() == 4
    assert set(kinds) == {"none", *INTERACTIONS}


def test_pairs_are_exactly_additive_unless_they_interact() -> None:
    design, _ = _draw()
    row = dict(zip(design.labels, design.log_effects, strict=True))
    for label, pair in design.pairs.iterrows():
        a, b = str(label).split("+")
        difference = np.abs(row[str(label)] - row[a] - row[b])
        if pair["interaction"] == "none":
            np.testing.assert_allclose(difference, 0, atol=1e-12)
        else:
            assert difference.max() > 0.2


def test_each_perturbation_raises_its_own_target() -> None:
    design, genes = _draw()
    for gene in design.singles.index:
        effect = design.log_effects[design.labels.index(gene), genes.index(gene)]
        assert np.log(4) <= effect <= np.log(10)


def test_effects_are_sparse_of_graded_strength_and_shared() -> None:
    design, _ = _draw()
    changed = (np.abs(design.log_effects[1:25]) > np.log(1.5)).sum(axis=1)
    assert changed.min() < 40 < 100 < changed.max() < 700
    shared = np.corrcoef(design.log_effects[1:25])
    same = design.singles["program"].to_numpy()[:, None] == design.singles["program"].to_numpy()
    np.fill_diagonal(same, False)
    apart = ~same
    np.fill_diagonal(apart, False)
    assert shared[same].mean() > 0.3 > 0.1 > shared[apart].mean()


def test_strength_scales_everything() -> None:
    full, _ = _draw(effect_strength=1.0)
    half, _ = _draw(effect_strength=0.5)
    np.testing.assert_allclose(2 * half.log_effects, full.log_effects)
    assert not _draw(effect_strength=0.0)[0].log_effects.any()


@pytest.mark.parametrize("interacting", [0.0, 1.0])
def test_no_pair_or_every_pair_may_interact(interacting: float) -> None:
    design, _ = _draw(interacting=interacting)
    assert (design.pairs["interaction"] != "none").mean() == interacting

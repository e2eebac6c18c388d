import numpy as np
import pytest

from cradle.data.qc import gene_classes
from cradle.errors import InputError
from cradle.simulation.genes import (
    choose_genes,
    choose_pairs,
    perturbed_symbols,
    programs,
    symbols,
)


def test_symbols_are_unique_and_hold_all_classes() -> None:
    table = symbols()
    assert table["gene"].is_unique
    counts = {name: int(mask.sum()) for name, mask in gene_classes(table["gene"]).items()}
    assert counts["mt_percent"] == 13
    assert counts["ribo_percent"] >= 80
    assert counts["hb_percent"] == 10
    assert (table["role"] == "other").sum() > 15_000


def test_roles_agree_with_quality_control() -> None:
    genes = choose_genes(2000, perturbed_symbols(24))
    names = {
        "mt_percent": "mitochondrial",
        "ribo_percent": "ribosomal",
        "hb_percent": "hemoglobin",
    }
    for criterion, mask in gene_classes(genes.index).items():
        np.testing.assert_array_equal(mask, genes["role"] == names[criterion])


def test_perturbed_genes_come_from_the_published_screen() -> None:
    published = {gene for label in programs() for gene in label.split("+")}
    assert set(perturbed_symbols(24)) <= published
    assert len(set(perturbed_symbols(200))) == 200


def test_published_pairs_come_first() -> None:
    genes = perturbed_symbols(24)
    rng = np.random.default_rng(0)
    pairs = choose_pairs(genes, 16, rng)
    assert len(set(pairs)) == 16
    assert set(pairs) <= set(programs())
    assert len(set(choose_pairs(genes[:5], 10, rng))) == 10


def test_too_many_perturbations_are_refused() -> None:
    with pytest.raises(InputError, match="symbols"):
        perturbed_symbols(10**6)

"""Gene selection."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cradle.data.genes import always_kept, select_genes
from cradle.errors import InputError

KEPT = ("KLF1", "MAP2K6", "MT-ND1", "RPS3", "RPL5", "HBA1")
N_CELLS, N_GENES = 120, 200


@pytest.fixture
def screen() -> anndata.AnnData:
    rng = np.random.default_rng(0)
    rates = rng.gamma(1.5, 1, N_GENES)
    rates[: len(KEPT)] = 1
    noise = rng.gamma(5, 0.2, (N_CELLS, N_GENES))
    noise[:, 50:60] = rng.gamma(0.3, 3, (N_CELLS, 10))  # truly variable
    counts = rng.poisson(rates * noise).astype(np.float32)
    names = [*KEPT, *(f"GENE{i}" for i in range(N_GENES - len(KEPT)))]
    obs = pd.DataFrame(
        {
            "perturbation": pd.Categorical(["control", "KLF1+MAP2K6", "KLF1"] * (N_CELLS // 3)),
            "library_size": counts.sum(axis=1, dtype=np.float64),
        },
        index=[f"cell{i}" for i in range(N_CELLS)],
    )
    uns = {"cradle": {"schema_version": 1, "name": "screen"}}
    var = pd.DataFrame(index=names)
    return anndata.AnnData(sp.csr_matrix(counts), obs=obs, var=var, uns=uns)


def test_variable_perturbed_and_quality_genes_are_kept(screen) -> None:
    chosen = select_genes(screen, 10).genes
    assert set(KEPT) <= set(chosen)
    assert len(KEPT) <= len(chosen) <= 10 + len(KEPT)
    assert len({f"GENE{i - len(KEPT)}" for i in range(50, 60)} & {*chosen}) >= 7
    assert chosen.equals(screen.var_names[screen.var_names.isin(chosen)]), "in their old order"


def test_only_training_cells_are_asked(screen) -> None:
    train = np.arange(N_CELLS) < 80
    other = screen.copy()
    other.X[80:] = other.X[80:] * 7
    other.obs["library_size"] = np.asarray(other.X.sum(axis=1)).ravel()
    chosen = select_genes(screen, 10, train=train).genes
    assert chosen.equals(select_genes(other, 10, train=train).genes)
    assert chosen.equals(select_genes(screen[train].copy(), 10).genes)


@pytest.mark.parametrize("n_top_genes", ["all", N_GENES, 10 * N_GENES])
def test_all_genes_may_be_kept(screen, n_top_genes) -> None:
    selected = select_genes(screen, n_top_genes)
    assert selected.genes.equals(screen.var_names)
    assert (selected.record["method"], selected.record["n_genes"]) == ("all", N_GENES)


def test_the_record_says_what_was_done(screen) -> None:
    chosen = select_genes(screen, 10, train=np.ones(N_CELLS, dtype=bool))
    assert chosen.record == {
        "method": "seurat_v3",
        "n_top_genes": 10,
        "n_genes_before": N_GENES,
        "n_genes": len(chosen.genes),
        "n_always_kept": len(KEPT),
        "fitted_on": "training cells",
    }
    assert select_genes(screen, 10).record["fitted_on"] == "all cells"


def test_the_input_is_not_changed(screen) -> None:
    before = screen.copy()
    select_genes(screen, 10)
    assert screen.shape == before.shape
    assert screen.uns == before.uns
    assert (screen.X != before.X).nnz == 0


def test_genes_without_counts_are_no_obstacle(screen) -> None:
    screen.X = sp.csr_matrix(screen.X.toarray() * (np.arange(N_GENES) < 150))
    assert len(select_genes(screen, 180).genes) == 150


@pytest.mark.parametrize("n_top_genes", [0, -1])
def test_impossible_numbers_are_refused(screen, n_top_genes: int) -> None:
    with pytest.raises(InputError, match="not possible"):
        select_genes(screen, n_top_genes)


@pytest.mark.parametrize(("n_cells", "n_genes"), [(1, N_GENES), (N_CELLS, 15), (2, 25), (1, 2)])
def test_too_little_to_choose_from_is_refused(screen, n_cells: int, n_genes: int) -> None:
    with pytest.raises(InputError, match="too few"):
        select_genes(screen[:n_cells, :n_genes].copy(), 1)


def test_without_labels_only_quality_genes_are_sure(screen) -> None:
    del screen.obs["perturbation"]
    assert always_kept(screen).sum() == len(KEPT) - 2


def test_pbmc3k_keeps_its_quality_genes(real_data) -> None:
    raw = anndata.read_h5ad(real_data("pbmc3k_raw.h5ad"))
    raw.obs["library_size"] = np.asarray(raw.X.sum(axis=1)).ravel()
    raw.uns["cradle"] = {"schema_version": 1}
    names = select_genes(raw, 500).genes
    assert names.str.startswith("MT-").sum() == 13
    assert names.str.match("RP[SL]").sum() == 106
    assert 500 <= len(names) <= 500 + 13 + 106 + 10

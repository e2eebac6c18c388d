from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from cradle.data.schema import validate
from cradle.data.sources import load
from cradle.errors import InputError
from cradle.simulation import (
    SimulationConfig,
    semi_synthetic,
    simulate,
    truth_ceiling,
    write_simulation,
)

SMALL = {"n_genes": 300, "n_perturbations": 5, "n_pairs": 4}


@pytest.fixture(scope="module")
def base() -> ad.AnnData:
    """Stands in for real cells: 700 cells × 400 genes."""
    return simulate(SimulationConfig(n_cells=700, n_genes=400, n_perturbations=5, n_pairs=0))


def test_standard_form_over_all_genes_of_the_base(base: ad.AnnData) -> None:
    made = semi_synthetic(base, SimulationConfig(**SMALL, n_cells=500))
    assert validate(made) == []
    assert made.shape == (500, 300)
    assert made.obs["base_row"].is_unique
    modelled = made.X.sum(axis=1).A1
    assert (made.obs["library_size"] >= modelled).all()
    assert (made.obs["library_size"] > modelled).any()
    assert (made.obs["full_genes_detected"] >= made.X.getnnz(axis=1)).all()
    special = base.var_names[base.var["role"].isin(["mitochondrial", "ribosomal", "hemoglobin"])]
    assert set(special) <= set(made.var_names)


def test_clean_control_cells_are_the_real_cells(base: ad.AnnData) -> None:
    made = semi_synthetic(base, SimulationConfig(**SMALL, n_cells=500))
    same = (made.obs["true_clean"] & (made.obs["perturbation"] == "control")).to_numpy()
    real = base[made.obs["base_row"].to_numpy()[same], made.var_names]
    assert same.sum() > 10
    assert (made.X[same] != real.X).nnz == 0


def test_repeated_cells_are_thinned_apart(base: ad.AnnData) -> None:
    made = semi_synthetic(base, SimulationConfig(**SMALL, n_cells=1400))
    assert made.obs["base_row"].value_counts().eq(2).all()
    control = (made.obs["true_clean"] & (made.obs["perturbation"] == "control")).to_numpy()
    real = base.obs["library_size"].to_numpy()[made.obs["base_row"][control]]
    kept = made.obs["library_size"][control].sum() / real.sum()
    assert kept == pytest.approx(0.8, abs=0.01)
    assert "repeatedly" in made.uns["cradle"]["provenance"]["notes"]


def test_log_effects_are_those_of_the_counts(base: ad.AnnData) -> None:
    config = SimulationConfig(
        n_genes=300, n_perturbations=1, n_pairs=0, n_cells=700, artifact_rate=0.0
    )
    made = semi_synthetic(base, config)
    gene = made.varm["true_log_effects"].columns[0]
    treated = (made.obs["perturbation"] == gene).to_numpy()
    real = base[made.obs["base_row"].to_numpy()[treated], made.var_names].X.sum(axis=0).A1
    found = made.X[treated].sum(axis=0).A1
    expected = np.exp(made.varm["true_log_effects"][gene].to_numpy()) * real
    abundant = real > 500
    np.testing.assert_allclose(found[abundant], expected[abundant], rtol=0.15)


def test_same_seed_same_screen_and_the_base_is_untouched(base: ad.AnnData) -> None:
    before = base.X.copy()
    config = SimulationConfig(**SMALL, n_cells=300)
    a, b = semi_synthetic(base, config), semi_synthetic(base, config)
    assert (a.X != b.X).nnz == 0
    np.testing.assert_array_equal(base.X.toarray(), before.toarray())


def test_shallow_bases_give_no_empty_cell(base: ad.AnnData) -> None:
    thin = base.copy()
    counts = base.X.toarray().astype(int)
    thin.X = sparse.csr_matrix(np.random.default_rng(0).binomial(counts, 0.002))
    thin = thin[np.asarray(thin.X.sum(axis=1)).ravel() > 0].copy()
    made = semi_synthetic(thin, SimulationConfig(**SMALL, n_cells=1400))
    assert validate(made) == []
    assert np.isfinite(made.varm["true_effects"].to_numpy()).all()


def test_as_many_cells_as_the_base_unless_told(base: ad.AnnData, tmp_path: Path) -> None:
    base.write_h5ad(tmp_path / "base.h5ad")
    made = write_simulation(tmp_path / "made.h5ad", SMALL, base=tmp_path / "base.h5ad")
    assert made.n_obs == base.n_obs
    told = write_simulation(
        tmp_path / "told.h5ad", SMALL | {"n_cells": 300}, base=tmp_path / "base.h5ad"
    )
    assert told.n_obs == 300


def test_batches_of_the_base_stay(base: ad.AnnData) -> None:
    made = semi_synthetic(base, SimulationConfig(**SMALL, n_cells=300))
    expected = base.obs["batch"].astype(str).to_numpy()[made.obs["base_row"]]
    assert (made.obs["batch"].astype(str) == expected).all()


def _log_normalised(base: ad.AnnData) -> ad.AnnData:
    return ad.AnnData(base.X.log1p(), obs=base.obs, var=base.var)


def _without_hemoglobin(base: ad.AnnData) -> ad.AnnData:
    return base[:, base.var["role"] != "hemoglobin"].copy()


def _with_an_empty_cell(base: ad.AnnData) -> ad.AnnData:
    counts = sparse.csr_matrix(base.X.multiply(np.arange(base.n_obs)[:, None] > 0))
    return ad.AnnData(counts, obs=base.obs, var=base.var)


@pytest.mark.parametrize("spoil", [_log_normalised, _without_hemoglobin, _with_an_empty_cell])
def test_unfit_bases_are_refused(
    base: ad.AnnData, spoil: Callable[[ad.AnnData], ad.AnnData]
) -> None:
    with pytest.raises(InputError):
        semi_synthetic(spoil(base), SimulationConfig(**SMALL, n_cells=300))


def test_more_genes_than_the_base_has_are_refused(base: ad.AnnData) -> None:
    with pytest.raises(InputError, match="400 genes"):
        semi_synthetic(base, SimulationConfig(n_genes=500, n_cells=300, n_perturbations=5,
                                              n_pairs=0))  # fmt: skip


def test_blood_cells_as_base(real_data: Callable[[str], Path]) -> None:
    base = load(real_data("pbmc3k_raw.h5ad"), require_labels=False)
    config = SimulationConfig(n_cells=2000, n_genes=1000, n_perturbations=10, n_pairs=6)
    made = semi_synthetic(base, config)
    assert validate(made) == []
    found = truth_ceiling(made)
    assert found["effect_correlation"]["clean_cells"]["pairs_additive"] > 0.8
    assert found["clean_pass_rate"]["3"] > found["observed_pass_rate"]["3"] + 0.08
    rate = found["fail_rate"]["3"]
    assert rate["stress"]["fails_mt_percent"] > 0.7
    assert rate["red_cell"]["fails_hb_percent"] > 0.9

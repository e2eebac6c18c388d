import hashlib
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from cradle.data.schema import validate
from cradle.evaluation.moments import log2_expression
from cradle.simulation import SimulationConfig, simulate, write_simulation

SMALL = {"n_cells": 600, "n_genes": 260, "n_perturbations": 5, "n_pairs": 4}


def test_standard_form_with_truth(screen: ad.AnnData) -> None:
    assert validate(screen) == []
    assert screen.X.format == "csr"
    assert screen.X.dtype == np.float32
    np.testing.assert_array_equal(screen.obs["library_size"], screen.X.sum(axis=1).A1)
    labels = list(screen.uns["cradle"]["truth"]["labels"])
    assert set(labels) == set(screen.obs["perturbation"])
    for slot in ("true_effects", "true_log_effects"):
        assert list(screen.varm[slot].columns) == labels[1:]
        assert list(screen.varm[slot].index) == list(screen.var_names)
    assert screen.uns["cradle"]["simulated"] is True


def test_artifacts_are_a_fifth_and_marked_twice(screen: ad.AnnData) -> None:
    artifact = screen.obs["true_artifact"]
    assert (artifact != "none").sum() == round(0.2 * screen.n_obs)
    np.testing.assert_array_equal(artifact == "none", screen.obs["true_clean"])
    assert set(artifact) == {"none", "stress", "red_cell", "ambient", "doublet"}
    doublet = screen.obs[artifact == "doublet"]
    partner = doublet["true_partner"].astype(str)
    assert (partner != doublet["perturbation"].astype(str)).all()
    assert (screen.obs["true_partner"][artifact != "doublet"] == "").all()


def test_same_seed_same_file_other_seed_other_file(tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        path = tmp_path / f"{name}.h5ad"
        write_simulation(path, SimulationConfig(**SMALL, seed=seed))
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]


def test_the_file_holds_what_was_simulated(tmp_path: Path) -> None:
    made = write_simulation(tmp_path / "screen.h5ad", SimulationConfig(**SMALL))
    read = ad.read_h5ad(tmp_path / "screen.h5ad")
    assert (read.X != made.X).nnz == 0
    for slot in made.varm:
        np.testing.assert_array_equal(read.varm[slot], made.varm[slot])
    truth = read.uns["cradle"]["truth"]
    assert truth["config"] == SimulationConfig(**SMALL).to_json()
    assert list(truth["pairs"]["label"]) == [x for x in truth["labels"] if "+" in x]


@pytest.mark.parametrize(
    "settings",
    [
        {"n_perturbations": 1, "n_pairs": 0, "n_cells": 100},
        {"n_perturbations": 3, "n_pairs": 3, "artifact_rate": 0.0, "n_batches": 1},
    ],
)
def test_smallest_screens_can_be_written(tmp_path: Path, settings: dict[str, object]) -> None:
    adata = write_simulation(tmp_path / "x.h5ad", SimulationConfig.from_mapping(SMALL | settings))
    assert validate(ad.read_h5ad(tmp_path / "x.h5ad")) == []
    assert ("batch" in adata.obs) == ("n_batches" not in settings)


def test_clean_cells_agree_with_the_true_effects_within_their_error() -> None:
    config = SimulationConfig(
        n_cells=12_000,
        n_genes=250,
        n_perturbations=3,
        n_pairs=2,
        artifact_rate=0.0,
        control_share=0.3,
    )
    adata = simulate(config)
    expression = log2_expression(adata.X, adata.obs["library_size"].to_numpy())
    groups = {}
    for label in adata.uns["cradle"]["truth"]["labels"]:
        cells = expression[(adata.obs["perturbation"] == label).to_numpy()].toarray()
        groups[label] = (cells.mean(axis=0), cells.var(axis=0, ddof=1) / len(cells))
    mean, variance = groups.pop("control")
    for label, (level, spread) in groups.items():
        error = level - mean - adata.varm["true_effects"][label].to_numpy()
        standard_error = np.sqrt(variance + spread)
        assert np.sqrt(np.mean(error**2) / np.mean(standard_error**2)) < 1.35
        assert np.abs(error / standard_error).max() < 5.5
        assert abs(error.mean()) < 0.02


def test_shares_follow_the_log_effects() -> None:
    config = SimulationConfig(
        n_cells=8000, n_genes=1500, n_perturbations=1, n_pairs=0, artifact_rate=0.0, n_batches=1
    )
    adata = simulate(config)
    gene = adata.varm["true_log_effects"].columns[0]
    treated = (adata.obs["perturbation"] == gene).to_numpy()
    control, shifted = (
        adata.X[mask].sum(axis=0).A1 / adata.X[mask].sum() for mask in (~treated, treated)
    )
    abundant = control > 3e-4
    change = np.log(shifted[abundant] / control[abundant])
    fold = adata.varm["true_log_effects"][gene].to_numpy()[abundant]
    normaliser = np.median(change - fold)  # common to all genes
    assert abs(normaliser) < 0.3
    # the covariance of basal state and effect moves the share of a gene a little
    assert np.corrcoef(change, fold)[0, 1] > 0.98


def test_same_depth_artifact_leaves_the_profile_only(screen: ad.AnnData) -> None:
    own = screen.varm["true_artifact_effect"]
    same = screen.varm["true_artifact_effect_same_depth"]
    assert list(own.columns) == ["average", "stress", "red_cell", "ambient", "doublet"]
    mt = (screen.var["role"] == "mitochondrial").to_numpy()
    hb = screen.var_names.isin(["HBB", "HBA1", "HBA2"])
    for table in (own, same):
        assert table["stress"][mt].mean() > 0.5
        assert (table["red_cell"][hb] > 1).all()
    assert np.abs(same["doublet"]).mean() < np.abs(own["doublet"]).mean()
    np.testing.assert_allclose(own["red_cell"][~hb].mean(), 0, atol=0.15)


def test_shallow_screens_hold_no_empty_cell() -> None:
    """Thinned artifacts of shallow cells can lose every count, which once ended in p = NaN."""
    config = SimulationConfig(
        n_cells=3375,
        n_genes=500,
        n_perturbations=18,
        n_pairs=15,
        artifact_rate=0.03,
        median_library_size=300.0,
        interacting=0.15,
        n_batches=1,
        control_share=0.03,
        effect_strength=3.0,
        seed=20,
    )
    made = simulate(config)
    assert validate(made) == []
    assert (made.obs["library_size"] > 0).all()
    for slot in ("true_effects", "true_artifact_effect", "true_artifact_effect_same_depth"):
        assert np.isfinite(made.varm[slot].to_numpy()).all()


def test_empty_cells_are_drawn_again() -> None:
    config = SimulationConfig(
        **SMALL, artifact_rate=0.9, artifact_strength=2.0, median_library_size=200.0,
        library_size_sd=1.5,
    )  # fmt: skip
    made = simulate(config)
    assert validate(made) == []
    assert made.n_obs == SMALL["n_cells"]

"""Nothing of held-out combinations and test cells reaches what is fitted."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

from cradle.data.dosage import Design, genes_of
from cradle.data.loading import CellDataModule, Cells
from cradle.data.preparation import Screen, prepare
from cradle.data.sources import load
from cradle.data.splits import split_cells
from cradle.fitting import fit
from cradle.runs import Run
from cradle.weights import read_tensors

SHIPPED = Path(__file__).resolve().parent.parent / "assets" / "runs"
QUICK = {"n_latent": 4, "n_hidden": 8, "batch_size": 128, "learning_rate": 3e-3}
HELD_OUT = ("CEBPA+CEBPE",)


def scrambled(screen, rows):
    """Other counts, sizes and batches in these cells; labels and names stay."""
    changed = screen.copy()
    dense = changed.X.toarray()
    rng = np.random.default_rng(1)
    dense[rows] = rng.permuted(dense[rows], axis=1) * 7 + rng.poisson(30, dense[rows].shape)
    changed.X = sp.csr_matrix(dense)
    sizes = changed.obs["library_size"].to_numpy(float)
    changed.obs["library_size"] = np.where(rows, dense.sum(axis=1), sizes)
    for name in [c for c in changed.obs if c.startswith("full_")]:
        changed.obs[name] = np.where(rows, 99.0, changed.obs[name].to_numpy(float))
    return changed


@pytest.fixture(scope="module")
def pair(_small_screen):
    """The screen as it is, and with every test cell changed; both made ready."""
    screen = _small_screen.copy()
    split = split_cells(screen.obs["perturbation"], seed=0, test_combinations=HELD_OUT)
    # test cells of trained perturbations too, not only the held-out combination
    singles = screen.obs["perturbation"].isin(["CEBPA", "control"]).to_numpy()
    split[singles & (np.arange(screen.n_obs) % 5 == 0)] = "test"
    screen.obs["split"] = split
    other = scrambled(screen, (split == "test").to_numpy())
    return screen, other


def ready(adata) -> Screen:
    return prepare(adata, n_top_genes=150)


def test_thresholds_genes_and_normalisation_are_those_of_training_cells(pair):
    first, second = map(ready, pair)
    assert (first.adata.obs["split"] == "test").sum() > 50
    changed = first.adata.obs["split"] == "test"
    assert (first.adata[changed.to_numpy()].X != second.adata[changed.to_numpy()].X).nnz > 0
    assert first.thresholds.to_json() == second.thresholds.to_json()
    assert list(first.adata.var_names) == list(second.adata.var_names)
    fitted = (first.adata.obs["split"] != "test").to_numpy()
    pd.testing.assert_frame_equal(first.adata.obs[fitted], second.adata.obs[fitted])


def test_what_can_be_measured_is_told_by_training_cells(pair):
    """A screen of all genes stays one whatever totals its test cells report."""
    first, second = (screen.copy() for screen in pair)
    test = (second.obs["split"] == "test").to_numpy()
    for screen in (first, second):
        screen.obs = screen.obs.drop(columns=[c for c in screen.obs if c.startswith("full_")])
        screen.obs["library_size"] = np.asarray(screen.X.sum(axis=1)).ravel()
    second.obs.loc[test, "library_size"] += 1000
    one, other = (prepare(screen).thresholds for screen in (first, second))
    assert one.observed["genes_detected"].measurable
    assert one.observed == other.observed


def test_batches_profiles_and_counterparts_are_those_of_training_cells(pair):
    shapes, medians, groups = [], [], []
    for screen in map(ready, pair):
        cells = screen.adata
        train = cells[(cells.obs["split"] == "train").to_numpy()]
        labels = sorted(train.obs["perturbation"].astype(str).unique())
        assert HELD_OUT[0] not in labels
        sets = Cells.from_anndata(train, labels, Design.of(labels, additive=True))
        data = CellDataModule(sets, sets, batch_size=64, seed=0, max_counterparts=5,
                              both_directions=False)  # fmt: skip
        data.start_epoch(3)
        batch = next(iter(data.train_dataloader()))
        shapes.append(sets.shape())
        medians.append(batch.counterparts.counts)
        groups.append(batch.counterparts.row)
    for name in ("log1p_mean", "log1p_sd", "mean_profile"):
        assert torch.equal(getattr(shapes[0], name), getattr(shapes[1], name))
    assert torch.equal(medians[0], medians[1])
    assert torch.equal(groups[0], groups[1])


def test_weights_stopping_and_generated_cells_are_those_of_training_cells(pair, tmp_path):
    settings = {**QUICK, "patience": 2}
    first, second = (
        fit(adata, "cradle_vae", settings, out=tmp_path / name, epochs=6)
        for name, adata in zip("ab", pair, strict=True)
    )
    pd.testing.assert_frame_equal(first.history, second.history)
    a, b = (read_tensors(run.path / "weights.safetensors") for run in (first, second))
    assert all(torch.equal(a[name], b[name]) for name in a)
    for name in ("thresholds.json", "genes.csv", "library_sizes.csv"):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes()
    cells = [run.predictor().generate(HELD_OUT[0], 20).X for run in (first, second)]
    assert (cells[0] != cells[1]).nnz == 0
    # what is measured on test cells does change, so the comparison above could have failed
    assert first.metrics["test"]["ate_rho"] != second.metrics["test"]["ate_rho"]


def test_baselines_are_those_of_training_cells(pair, tmp_path):
    for model in ("additive", "perturbed_mean"):
        first, second = (
            fit(adata, model, out=tmp_path / f"{model}{i}").predicted_effects
            for i, adata in enumerate(pair)
        )
        np.testing.assert_array_equal(first.mean, second.mean)


def test_training_cells_do_reach_what_is_fitted(pair):
    """The other way round: the comparisons above see a difference where there is one."""
    screen = pair[0]
    other = scrambled(screen, (screen.obs["split"] == "train").to_numpy())
    assert ready(screen).thresholds.to_json() != ready(other).thresholds.to_json()
    assert list(ready(screen).adata.var_names) != list(ready(other).adata.var_names)


@pytest.mark.parametrize("name", sorted(p.parent.name for p in SHIPPED.glob("*/DONE")))
def test_shipped_runs_hold_their_combinations_out(name):
    run = Run.load(SHIPPED / name)
    table = run.perturbations.set_index("perturbation")
    assert run.held_out
    assert (table.loc[list(run.held_out), ["n_train", "n_val", "n_fail_train"]] == 0).all(None)
    trained = {g for label in table.index[table["n_train"] > 0] for g in genes_of(label)}
    assert {g for label in run.held_out for g in genes_of(label)} <= trained
    assert len(run.library_sizes) == (run.split == "train").sum() == table["n_train"].sum()
    assert f"{table['n_train'].sum():,} training cells" in run.thresholds.fitted_on
    groups = run.moments.groups
    assert set(groups.loc[groups["perturbation"].isin(run.held_out), "split"]) == {"test"}


def test_the_shipped_demo_was_normalised_by_its_training_cells():
    run, adata = Run.load(SHIPPED / "demo_cradle_vae"), load("demo")
    split = run.split.reindex(adata.obs_names)
    held_out = adata.obs["perturbation"].isin(run.held_out).to_numpy()
    assert (split[held_out] == "test").all()
    train = (split == "train").to_numpy()
    logged = np.log1p(adata[train, list(run.genes)].X.toarray())
    np.testing.assert_allclose(run.gene_table["log1p_mean"], logged.mean(axis=0), rtol=1e-4)
    sizes = adata.obs["library_size"].to_numpy(float)[train]
    stored = json.loads((run.path / "thresholds.json").read_text())["observed"]["umi_counts"]
    assert stored["median"] == np.median(sizes)
    assert stored["mad"] == np.median(np.abs(sizes - np.median(sizes)))

"""What standard form knows of a cell is still known when its file comes back without the record."""

from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from cradle.data.schema import FULL_VALUES, validate
from cradle.data.sources import load
from cradle.data.standardize import standardize
from cradle.files import write_h5ad
from cradle.runs import Run
from tests.data.raw_file import COUNTS, raw_file, same

RUNS = Path(__file__).resolve().parents[2] / "assets" / "runs"


def panel() -> ad.AnnData:
    """Standard form of a panel; its mitochondrial share is below one percent in every cell."""
    raw = raw_file(
        ncounts=[100.0] * 5, ngenes=[50, 60, 70, 80, 90], pct_counts_mt=[0.1, 0.2, 0.5, 0.3, 0.1],
        percent_ribo=[10.0, 20.0, 30.0, 25.0, 12.0], pct_counts_hb=[0.1, 0.0, 0.2, 0.9, 0.0],
    )  # fmt: skip
    return standardize(raw, name="panel")


def joined(standard: ad.AnnData) -> ad.AnnData:
    """Two parts of a standard file put together, which drops ``uns``."""
    together = ad.concat([standard[:2], standard[2:]])
    assert "cradle" not in together.uns
    return together


def test_totals_of_a_panel_survive_a_concatenation() -> None:
    standard = panel()
    assert set(FULL_VALUES) <= set(standard.obs)
    again = standardize(joined(standard), name="panel")
    assert same(again, standard)
    record = again.uns["cradle"]
    assert record["library_size_source"] == "obs:library_size"
    assert record["full_values"] == {name: f"obs:{name}" for name in FULL_VALUES}


def test_totals_of_the_norman_subset_survive_a_concatenation(real_data) -> None:
    standard = load(real_data("norman2019_subset.h5ad"))
    again = standardize(joined(standard), name="x")
    assert again.obs["library_size"].equals(standard.obs["library_size"])
    assert again.obs["full_genes_detected"].equals(standard.obs["full_genes_detected"])


@pytest.mark.parametrize("name", ["demo_cradle_vae", "norman_subset_cradle_vae"])
def test_generated_cells_keep_the_size_that_they_were_drawn_at(name: str, tmp_path) -> None:
    """Also where all genes are modelled, so that the counts scatter around it."""
    cells = Run.load(RUNS / name).predictor().generate("control", 60)
    sums = np.asarray(cells.X.sum(axis=1)).ravel()
    if name.startswith("demo"):
        assert (sums > cells.obs["library_size"] + 0.5).any()
    again = load(write_h5ad(tmp_path / "cells.h5ad", cells))
    np.testing.assert_array_equal(again.obs["library_size"], cells.obs["library_size"])
    assert again.uns["cradle"]["library_size_source"] == "obs:library_size"
    assert again.uns["cradle"]["generated"]["perturbation"] == "control"
    assert not set(FULL_VALUES) & set(again.obs)
    write_h5ad(tmp_path / "again.h5ad", again)
    assert validate(load(tmp_path / "again.h5ad")) == []


def test_a_library_size_that_cannot_be_is_not_used() -> None:
    result = standardize(raw_file(library_size=[1.0] * 5, n_counts=[50] * 5), name="x")
    assert result.uns["cradle"]["library_size_source"] == "obs:n_counts"
    alone = standardize(raw_file(library_size=[1.0] * 5), name="x")
    assert alone.obs["library_size"].tolist() == COUNTS.sum(axis=1).tolist()

"""The mapping step: what can be chosen, and a preview that says what reading would do."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cradle.data.mapping import contents, labels_of, preview, usual_control
from cradle.data.standardize import InputSpec, standardize


@pytest.fixture
def odd():
    """A file whose names tell nothing: labels in ``target_x``, control ``mock``, counts apart."""
    rng = np.random.default_rng(0)
    counts = sp.csr_matrix(1 + rng.poisson(1.0, (50, 12)).astype(np.float32))
    obs = pd.DataFrame(
        {
            "target_x": np.repeat(["mock", "KLF1", "KLF1_MAP2K6", "", "MAP2K6"], 10),
            "lane": np.tile(["a", "b"], 25),
            "barcode": [f"b{i}" for i in range(50)],
            "depth": np.linspace(0, 1, 50),
        },
        index=[f"c{i}" for i in range(50)],
    )
    genes = ["KLF1", "MAP2K6", *(f"GENE{i}" for i in range(10))]
    var = pd.DataFrame({"name": [f"n{i}" for i in range(12)]}, index=genes)
    scaled = ad.AnnData(np.log1p(counts.toarray() * 1.7), obs=obs, var=var)
    scaled.layers["spliced_umi"] = counts
    return scaled


def test_contents_lists_what_can_be_chosen(odd):
    there = contents(odd)
    assert (there.n_cells, there.n_genes) == odd.shape
    assert there.columns == ("target_x", "lane"), "a label a cell is a name, not a group"
    assert set(there.batches) == {"lane", "target_x"}
    assert there.symbols == ("name",)
    assert there.perturbation is None
    assert there.matrices["spliced_umi"] is None
    assert "log-normalised" in there.matrices["X"]


def test_all_problems_are_named_at_once(odd):
    shown = preview(odd, InputSpec())
    words = " ".join(p.what for p in shown.problems)
    assert "log-normalised" in words
    assert "No column is known to hold the perturbation" in words
    assert all(p.do for p in shown.problems)
    assert not shown.has_counts
    assert shown.labels.empty


def test_the_preview_is_what_reading_does(odd):
    spec = InputSpec(perturbation="target_x", control="mock", counts="spliced_umi")
    shown = preview(odd, spec)
    assert shown.problems == ()
    assert shown.has_counts
    read = shown.labels.set_index("in_file")
    assert read.loc["KLF1_MAP2K6", "read_as"] == "KLF1+MAP2K6"
    assert read.loc["", "kind"] == "unassigned"
    standard = standardize(odd, spec, name="odd")
    found = standard.obs["perturbation"].astype(str).value_counts()
    expected = shown.labels.dropna(subset=["read_as"]).groupby("read_as")["n_cells"].sum()
    assert found.to_dict() == expected.to_dict()
    assert standard.uns["cradle"]["dropped"] == {"unassigned": 10, "zero_count": 0}


def test_a_missing_control_is_a_problem_with_what_to_do(odd):
    odd.obs["target_x"] = odd.obs["target_x"].replace("mock", "AAVS1")
    shown = preview(odd, InputSpec(perturbation="target_x", counts="spliced_umi"))
    assert any("control" in p.what and p.do for p in shown.problems)
    assert shown.has_counts


def test_usual_controls_are_found(odd):
    odd.obs["target_x"] = odd.obs["target_x"].replace("mock", "non-targeting_7")
    labels = labels_of(odd, "target_x")
    assert usual_control(labels) == "non-targeting_7"
    assert labels.sum() == odd.n_obs
    assert usual_control(labels.drop("non-targeting_7")) is None

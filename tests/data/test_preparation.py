"""A dataset made ready for training measures what counts, and nothing that costs more."""

import numpy as np
import pandas as pd
import pytest

from cradle.data import qc_metrics
from cradle.data.preparation import perturbation_table, prepare
from cradle.data.qc import CRITERIA


@pytest.fixture
def calls(monkeypatch) -> list[int]:
    """Cells of each search for doublets."""
    search, seen = qc_metrics.call_doublets, []

    def counted(adata, **options):
        seen.append(adata.n_obs)
        return search(adata, **options)

    monkeypatch.setattr(qc_metrics, "call_doublets", counted)
    return seen


def test_doublets_that_do_not_count_are_not_looked_for(screen, calls):
    others = [name for name in CRITERIA if name != "doublet"]
    ready = prepare(screen, criteria=others)
    assert calls == []
    doublet = ready.thresholds["doublet"]
    assert (doublet.measurable, doublet.reason) == (False, "Doublets were not asked for.")
    assert np.isnan(ready.adata.obs["doublet"]).all()
    assert (ready.adata.obs["fails_doublet"] != 1).all()
    assert 0 < ready.adata.obs["qc_fail"].mean() < 1


def test_doublets_that_count_are_looked_for_once(screen, calls):
    ready = prepare(screen, criteria=["mt_percent", "doublet"])
    assert calls == [screen.n_obs]
    # this screen is too small for Scrublet, which says so itself
    assert "usable for Scrublet" in ready.thresholds["doublet"].reason


def test_a_selection_of_genes_is_on_record_and_copies_no_more_than_it_keeps(screen):
    screen.obs["split"] = np.where(np.arange(screen.n_obs) % 4, "train", "val")
    ready = prepare(screen, criteria=["mt_percent"], n_top_genes=50)
    record = ready.gene_selection
    assert (record["method"], record["n_top_genes"]) == ("seurat_v3", 50)
    assert (record["n_genes_before"], record["n_genes"]) == (screen.n_vars, ready.adata.n_vars)
    assert 50 <= ready.adata.n_vars < screen.n_vars
    assert record["fitted_on"] == "training cells"
    whole = prepare(screen, criteria=["mt_percent"])
    assert (whole.gene_selection["method"], whole.gene_selection["n_genes"]) == ("all", 300)
    assert np.shares_memory(whole.adata.X.data, screen.X.data)


def test_the_split_of_a_file_is_kept(screen):
    own = screen.copy()
    own.obs["split"] = pd.Categorical(np.where(np.arange(own.n_obs) % 4, "train", "val"))
    assert (prepare(own).adata.obs["split"] == own.obs["split"]).all()


def test_counterparts_need_a_passing_cell_of_the_same_perturbation():
    cells = pd.DataFrame(
        {
            "perturbation": ["A", "A", "B", "B", "control"],
            "split": ["train"] * 4 + ["test"],
            "qc_fail": [True, False, True, True, False],
        }
    )
    table = perturbation_table(cells).set_index("perturbation")
    assert table["n_counterparts"].to_dict() == {"A": 1, "B": 0, "control": 0}

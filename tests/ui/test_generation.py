"""Tables of generated cells against their definitions."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cradle.evaluation.effects import Effects
from cradle.ui.generation import fail_rates, top_genes, twin_genes


def test_twin_change_is_on_minus_off_in_log2_units() -> None:
    mean = np.array([[1.0, 2.0], [3.0, 2.0]], np.float32)  # one pair of twins: off, on
    twins = ad.AnnData(
        sp.csr_matrix(np.array([[0.0, 2.0], [4.0, 2.0]])),
        obs=pd.DataFrame({"artifact": ["off", "on"], "library_size": [1e4, 1e4]}, index=["a", "b"]),
        var=pd.DataFrame(index=["up", "same"]),
        layers={"mean": mean},
    )
    table = twin_genes(twins).set_index("gene")
    assert table.loc["up", "change"] == pytest.approx(np.log2(4) - np.log2(2))
    assert table.loc["up", "change_counts"] == pytest.approx(np.log2(5))
    assert table.loc["same", ["change", "change_counts"]].tolist() == [0.0, 0.0]


def test_top_genes_are_ranked_and_matched_by_name() -> None:
    predicted = Effects(("A",), ("g1", "g2", "g3"), np.array([[0.1, -2.0, 1.0]]))
    observed = Effects(
        ("B", "A"), ("g3", "g2", "g1"), np.array([[9.0, 9.0, 9.0], [3.0, 2.0, 1.0]]),
        n_cells=np.array([5, 7]),
    )  # fmt: skip
    table = top_genes(predicted, observed, limit=2)
    assert table["gene"].tolist() == ["g2", "g3"]
    assert table["direction"].tolist() == ["down", "up"]
    assert table["observed"].tolist() == [2.0, 3.0]
    assert (table["n_cells"] == 7).all()
    assert top_genes(predicted, None)["observed"].isna().all()


def test_fail_rates_are_percent_per_source() -> None:
    judged = pd.DataFrame(
        {"source": ["artifact off"] * 2 + ["artifact on"] * 2, "fails_a": [0.0, 1.0, 1.0, 1.0]}
    )
    table = fail_rates(judged, ("a",))
    assert table.to_dict("list") == {
        "criterion": ["a"], "artifact off": [50.0], "artifact on": [100.0],
    }  # fmt: skip

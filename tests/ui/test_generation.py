"""Tables of generated cells against their definitions."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cradle.evaluation.effects import Effects
from cradle.models.baselines import TrainMeans, fit_baseline
from cradle.ui.distances import in_words
from cradle.ui.generation import fail_rates, table, top_genes, twin_genes


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


def test_single_genes_are_added_up_beside_a_pair_that_has_both() -> None:
    genes = ("g1", "g2")
    means = np.array([[1.0, 1.0], [1.5, 1.0], [1.0, 3.0]])
    rule = fit_baseline("additive", TrainMeans(("control", "A", "B"), genes, means))
    pair, single, other = (
        Effects((label,), ("g2", "g1"), np.array([[0.3, 0.2]])) for label in ("A+B", "A", "A+C")
    )
    assert top_genes(pair, None, rule).set_index("gene")["added_up"].to_dict() == {
        "g2": 2.0, "g1": 0.5,
    }  # fmt: skip
    assert "added_up" not in top_genes(single, None, rule)
    assert "added_up" not in top_genes(other, None, rule)


def test_the_table_of_cells_says_of_each_which_and_of_what_it_is() -> None:
    names = [f"generated_{i}" for i in range(4)]
    obs = pd.DataFrame(
        {"perturbation": "A+B", "artifact": ["off", "off", "on", "on"], "library_size": 5e3,
         "twin": [0, 1, 0, 1], "qc_fail": False}, index=names,
    )  # fmt: skip
    judged = pd.DataFrame({"mt_percent": [1.0, 2.0, 3.0, 4.0], "source": "x"}, index=names)
    made = table(ad.AnnData(np.ones((4, 1)), obs=obs), judged, simulated=True, seed=3)
    assert list(made.columns) == ["cell", "perturbation", "artifact", "twin", "library_size",
                                  "mt_percent", "simulated", "seed"]  # fmt: skip
    assert made["cell"].tolist() == names
    assert made.loc[2, ["perturbation", "artifact", "twin", "mt_percent"]].tolist() == [
        "A+B", "on", 0, 3.0,
    ]  # fmt: skip
    assert made["simulated"].all()


def test_the_words_name_the_criteria_in_which_the_artifact_takes_cells_away() -> None:
    rows = pd.DataFrame(
        {"criterion": ["mt_percent"] * 2 + ["hb_percent"] * 2,
         "source": ["artifact off", "artifact on"] * 2, "distance": [1.0, 2.0, 1.0, 0.5]}
    )  # fmt: skip
    assert in_words(rows) == (
        "With the artifact on, generated cells lie farther away in 1 of 2 criteria (not in "
        "Hemoglobin share)."
    )
    assert in_words(rows[rows["source"] == "artifact on"]) == ""


def test_fail_rates_are_percent_per_source() -> None:
    judged = pd.DataFrame(
        {"source": ["artifact off"] * 2 + ["artifact on"] * 2, "fails_a": [0.0, 1.0, 1.0, 1.0]}
    )
    table = fail_rates(judged, ("a",))
    assert table.to_dict("list") == {
        "criterion": ["a"], "artifact off": [50.0], "artifact on": [100.0],
    }  # fmt: skip

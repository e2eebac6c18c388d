"""Failed cells grouped by the rarest criterion that they fail."""

import numpy as np
import pandas as pd

from cradle.data.failed_kinds import failed_kinds


def _obs(**flags: list[float]) -> pd.DataFrame:
    table = pd.DataFrame({f"fails_{name}": values for name, values in flags.items()})
    return table.assign(qc_fail=(table == 1).any(axis=1))


def test_the_rarest_criterion_names_the_kind_and_the_most_common_kind_is_the_first():
    obs = _obs(
        mt_percent=[0, 1, 1, 1, 1, 0],
        hb_percent=[0, 0, 0, 0, 1, 1],
    )
    np.testing.assert_array_equal(failed_kinds(obs), [0, 1, 1, 1, 2, 2])


def test_low_counts_and_few_genes_are_one_kind():
    obs = _obs(umi_counts=[1, 0, 1, 0], genes_detected=[0, 1, 1, 0], mt_percent=[0, 0, 1, 1])
    # depth fails in three cells, mitochondrial share in two, so the third cell is of the latter
    np.testing.assert_array_equal(np.unique(failed_kinds(obs)[:2]).size, 1)
    assert failed_kinds(obs)[2] == failed_kinds(obs)[3] != failed_kinds(obs)[0]


def test_chosen_rows_are_judged_among_themselves():
    rng = np.random.default_rng(0)
    obs = _obs(**{name: (rng.random(200) < 0.2).astype(float) for name in ("a", "b", "c")})
    rows = rng.permutation(200)[:60]
    np.testing.assert_array_equal(failed_kinds(obs, rows), failed_kinds(obs.iloc[rows]))


def test_criteria_that_cannot_be_measured_make_no_kind():
    obs = _obs(mt_percent=[0, 1, 1], doublet=[np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(failed_kinds(obs), [0, 1, 1])


def test_cells_judged_elsewhere_are_of_one_kind():
    obs = pd.DataFrame({"qc_fail": [False, True, True]})
    np.testing.assert_array_equal(failed_kinds(obs), [0, 1, 1])


def test_without_failed_cells_all_pass():
    assert failed_kinds(_obs(mt_percent=[0.0, 0.0])).tolist() == [0, 0]

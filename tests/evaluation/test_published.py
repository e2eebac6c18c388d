"""Scores of the papers, as they were printed."""

import pytest

from cradle.evaluation.published import published


def test_published_values_are_those_of_the_paper():
    """Baek 2025, table 2, Norman, k = 4; pass rates as shares; Replogle has other numbers."""
    found = published("norman_subset", "ate_rho", 4).set_index("model")
    assert found.loc["cradle_vae", "published"] == 0.7477
    assert found.loc["cradle_vae", "published_source"] == "Baek 2025 Table 2"
    rates = published("norman", "qcpr_5", 3).set_index("model")["published"]
    assert rates["cradle_vae"] == pytest.approx(0.9662)
    assert published("replogle", "ate_r2", 3).set_index("model").loc["svae_plus", "published"] == (
        0.3222
    )


@pytest.mark.parametrize(("dataset", "metric"), [("papalexi", "ate_rho"), ("norman", "seconds")])
def test_what_no_paper_reports_is_empty(dataset, metric):
    assert published(dataset, metric, 3).empty

"""A pass rate is said with its criteria and its cells."""

from cradle.ui.distances import rate_words


def test_a_pass_rate_names_its_criteria_and_the_observed_cells() -> None:
    rate = {"rate": 0.972, "low": 0.969, "high": 0.975, "observed": 0.812, "observed_n": 4600,
            "criteria": ["genes_detected", "mt_percent"]}  # fmt: skip
    words = rate_words(rate, 3.0)
    assert "by 2 of 6 criteria" in words
    assert "(Genes detected, Mitochondrial share): 97.2 %" in words
    assert "81.2 % of the 4,600 observed perturbed cells" in words
    assert "this page" not in words, "it stands on several"
    assert "observed" not in rate_words(rate | {"observed": None}, 3.0)

import numpy as np
import pytest
from scipy import stats

from cradle.simulation.expectation import ExpectationTable, expected_log2_cp10k


@pytest.mark.parametrize("mean", [1e-3, 0.1, 1.0, 20.0, 800.0])
@pytest.mark.parametrize("theta", [0.3, 5.0, 100.0])
@pytest.mark.parametrize("library_size", [300.0, 5e3, 2e5])
def test_equals_the_sum_over_the_negative_binomial(
    mean: float, theta: float, library_size: float
) -> None:
    law = stats.nbinom(theta, theta / (theta + mean))
    x = np.arange(int(law.isf(1e-13)) + 1)
    exact = np.sum(law.pmf(x) * np.log2(1 + 1e4 * x / library_size))
    found = expected_log2_cp10k(np.array(mean), np.array(theta), np.array(library_size))
    assert found == pytest.approx(exact, rel=1e-6, abs=1e-9)


def test_table_interpolates_the_average_over_library_sizes() -> None:
    theta = np.array([0.5, 3.0, 20.0])
    centre = np.log([1e-6, 1e-4, 1e-2])
    table = ExpectationTable(centre, theta, 5000.0, 0.32)
    share = centre + np.array([[-1.03, 0.4, 2.17], [0.0, 3.3, -2.9]])
    sizes = 5000 * np.exp(0.32 * stats.norm.ppf((np.arange(4000) + 0.5) / 4000))
    mean = np.exp(share)[..., None] * sizes
    exact = expected_log2_cp10k(mean, theta[:, None], sizes).mean(axis=-1)
    np.testing.assert_allclose(table(share), exact, rtol=2e-3, atol=1e-4)

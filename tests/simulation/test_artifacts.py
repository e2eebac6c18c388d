import numpy as np
import pytest

from cradle.simulation.artifacts import KIND_SHARES, KINDS, ArtifactModel, assign_kinds

MT = np.arange(40) < 4
RED = np.where((np.arange(40) >= 36), 0.25, 0.0)
AMBIENT = np.linspace(1, 3, 40) / np.linspace(1, 3, 40).sum()


def _model(strength: float = 1.0) -> ArtifactModel:
    return ArtifactModel(MT, RED, AMBIENT, strength)


@pytest.fixture
def clean() -> np.ndarray:
    return np.random.default_rng(0).poisson(20.0, (500, 40))


def _implant(kind: str, clean: np.ndarray, strength: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(1)
    return _model(strength).implant(kind, clean, clean[::-1], rng)


def test_doublets_are_the_sums_of_two_cells(clean: np.ndarray) -> None:
    np.testing.assert_array_equal(_implant("doublet", clean), clean + clean[::-1])


def test_stressed_cells_lose_everything_but_mitochondria(clean: np.ndarray) -> None:
    failed = _implant("stress", clean)
    np.testing.assert_array_equal(failed[:, MT], clean[:, MT])
    assert (failed <= clean).all()
    assert failed[:, ~MT].sum() / clean[:, ~MT].sum() == pytest.approx(0.25, abs=0.02)


def test_red_cells_only_add_hemoglobin(clean: np.ndarray) -> None:
    failed = _implant("red_cell", clean)
    np.testing.assert_array_equal(failed[:, RED == 0], clean[:, RED == 0])
    share = 1 - clean.sum(axis=1) / failed.sum(axis=1)
    assert share.mean() == pytest.approx(2.5 / 20.5, abs=0.01)


def test_ambient_cells_are_small_and_look_like_the_soup(clean: np.ndarray) -> None:
    flat = np.full_like(clean, 20)
    failed = _implant("ambient", flat)
    assert np.median(failed.sum(axis=1)) / 800 == pytest.approx(0.17, abs=0.02)
    share = failed.sum(axis=0) / failed.sum()
    mixed = (share - 1 / 40) / (AMBIENT - 1 / 40)
    assert np.median(mixed) == pytest.approx(0.775, abs=0.05)


@pytest.mark.parametrize("kind", ["stress", "red_cell", "ambient"])
def test_strength_zero_leaves_no_trace(clean: np.ndarray, kind: str) -> None:
    np.testing.assert_array_equal(_implant(kind, clean, strength=0.0), clean)


@pytest.mark.parametrize("kind", KINDS)
def test_clean_counts_are_not_changed_in_place(clean: np.ndarray, kind: str) -> None:
    before = clean.copy()
    _implant(kind, clean)
    np.testing.assert_array_equal(clean, before)


def test_rates_are_met_and_toxic_labels_have_more_stress() -> None:
    labels = np.repeat(np.arange(10), 2000)
    toxicity = np.where(np.arange(10) == 3, 6.0, 1.0)
    kinds = assign_kinds(labels, toxicity, 0.2, np.random.default_rng(0))
    assert (kinds >= 0).sum() == 4000
    shares = np.bincount(kinds[(kinds >= 0) & (labels != 3)], minlength=4)
    np.testing.assert_allclose(shares / shares.sum(), KIND_SHARES, atol=0.08)
    rate = np.array([(kinds[labels == label] >= 0).mean() for label in range(10)])
    assert rate[3] > 1.7 * np.median(rate)
    assert rate.std() > 0

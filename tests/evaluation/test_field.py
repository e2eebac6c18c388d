"""The section of field metrics: who is scored, on what, and what is said where nothing is."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData

from cradle.evaluation.effects import Effects
from cradle.evaluation.field import FIELD_SCHEMA, field_section
from cradle.evaluation.field_cells import CELL_SPLITS, Population, score_cells
from cradle.evaluation.field_metrics import DISTRIBUTION_METRICS, FIELD_METRICS
from cradle.evaluation.moments import compute_moments, observed_effects
from cradle.evaluation.sections import Scoring

LN2 = np.log(2)


@pytest.fixture
def scoring(cells) -> Scoring:
    """A model that says what was observed over all cells."""
    moments = compute_moments(cells)
    observed = observed_effects(moments)
    return Scoring(moments, replace(observed, se=None, n_cells=None), ("A", "B", "C"))


@pytest.fixture
def draw(cells):
    """Cells of a label drawn from the observed ones: a perfect generator."""

    def generate(label: str, n: int, seed: int):
        rows = np.flatnonzero((cells.obs["perturbation"] == label).to_numpy())
        chosen = np.random.default_rng(seed).choice(rows, n)
        obs = cells.obs.iloc[chosen].set_axis([f"g{i}" for i in range(n)])
        return AnnData(cells.X[chosen], obs, cells.var)

    return generate


def _means(cells, expression):
    label, split = cells.obs["perturbation"].to_numpy(str), cells.obs["split"].to_numpy(str)
    train = {p: LN2 * expression[(label == p) & (split == "train")].mean(0) for p in set(label)
             if ((label == p) & (split == "train")).any()}  # fmt: skip
    return (
        train,
        LN2 * expression[label == "A+B"].mean(0),
        LN2 * expression[label == "control"].mean(0),
    )


def test_the_observed_means_are_perfect(scoring):
    found = field_section(scoring, None)["mean_level"]["model"]["all"]
    assert found["pearson_delta"] == pytest.approx(1.0)
    assert found["pearson_delta_perturbed"] == pytest.approx(1.0)
    assert found["l2"] == pytest.approx(0.0, abs=1e-6)
    assert found["weighted_mse"] == pytest.approx(0.0, abs=1e-10)
    assert found["centroid_rank"] == 1.0
    assert found["n_perturbations"] == 4


def test_the_additive_floor_equals_a_hand_calculation(cells, expression, scoring):
    train, pair, control = _means(cells, expression)
    predicted = train["A"] + train["B"] - 2 * train["control"]
    observed = pair - control  # no test control: all of them stand against the pair
    shared = np.mean([train[p] - train["control"] for p in ("A", "B", "C")], axis=0)
    found = field_section(scoring, None)["mean_level"]["floor"]["additive"]["test"]
    assert found["l2"] == pytest.approx(np.linalg.norm(predicted - observed), rel=1e-5)
    assert found["pearson_delta"] == pytest.approx(np.corrcoef(predicted, observed)[0, 1], rel=1e-5)
    apart = np.corrcoef(predicted - shared, observed - shared)[0, 1]
    assert found["pearson_delta_perturbed"] == pytest.approx(apart, rel=1e-5)


def test_weighted_mse_equals_a_hand_calculation(cells, expression, scoring):
    _, pair, control = _means(cells, expression)
    label = cells.obs["perturbation"].to_numpy(str)
    own, others = expression[label == "A+B"], expression[np.isin(label, ["A", "B", "C"])]
    spread = own.var(0, ddof=1) / len(own) + others.var(0, ddof=1) / len(others)
    t = np.abs(own.mean(0) - others.mean(0)) / np.sqrt(spread)
    weights = ((t - t.min()) / (t.max() - t.min())) ** 2
    weights /= weights.sum()
    found = field_section(scoring, None)["mean_level"]["floor"]["control_mean"]["test"]
    expected = (weights * (pair - control) ** 2).sum()
    assert found["weighted_mse"] == pytest.approx(expected, rel=1e-4)


def test_what_says_nothing_is_not_scored(scoring):
    floor = field_section(scoring, None)["mean_level"]["floor"]
    for split in ("val", "train", "all"):
        same = floor["perturbed_mean"][split]
        assert same["pearson_delta_perturbed"] is None
        assert same["centroid_rank"] == pytest.approx(0.5)
        nothing = floor["control_mean"][split]
        assert nothing["pearson_delta"] is None
        assert "pearson_delta" in nothing["undefined"]
    assert floor["additive"]["test"]["centroid_rank"] is None  # one perturbation


def test_the_ceiling_is_the_sampling_noise(cells, expression, scoring):
    found = field_section(scoring, None)["mean_level"]["ceiling"]["test"]
    label = cells.obs["perturbation"].to_numpy(str)
    pair, control = expression[label == "A+B"], expression[label == "control"]
    variance = pair.var(0, ddof=1) / len(pair) + control.var(0, ddof=1) / len(control)
    assert found["l2"] == pytest.approx(LN2 * np.sqrt(variance.sum()), rel=1e-5)
    effect = pair.mean(0) - control.mean(0)
    share = 1 - variance.sum() / ((effect - effect.mean()) ** 2).sum()
    assert found["pearson_delta"] == pytest.approx(np.sqrt(share), rel=1e-5)


def test_a_fair_generator_is_near_zero_and_no_change_is_not(cells, scoring, draw):
    found = score_cells(scoring, Population.of(cells), draw)
    section = field_section(scoring, found)
    assert set(section["distributional"]) == {"model", "floor", "replicate", "ceiling"}
    model = section["distributional"]["model"]["test"]
    nothing = section["distributional"]["floor"]["control_mean"]["test"]
    for name in DISTRIBUTION_METRICS:
        assert abs(model[name]) < 0.25 * nothing[name]
        assert section["distributional"]["ceiling"]["test"][name] == 0.0
    mean_level = section["mean_level"]
    assert (
        mean_level["model"]["test"]["e_distance"]
        < mean_level["floor"]["control_mean"]["test"]["e_distance"]
    )
    assert section["distributional"]["model"]["train"] is None  # cells that were learned from
    json.dumps(section, allow_nan=False)


def test_the_shifted_control_cells_have_the_predicted_mean(cells, expression, scoring):
    """Moving cells along the components moves their mean by the effect."""
    population = Population.of(cells)
    effect = np.random.default_rng(0).normal(size=12)
    moved = population.sample("control", "train") + effect @ population.space.axes
    back = moved.mean(0) - population.sample("control", "train").mean(0)
    np.testing.assert_allclose(population.space.axes @ back, effect, atol=1e-5)  # 12 of 12 axes


def test_halves_share_no_cell_and_passing_cells_pass(cells):
    population = Population.of(cells)
    first, second = (population.sample("A", "train", half=half) for half in (0, 1))
    assert not {tuple(x) for x in first} & {tuple(x) for x in second}
    n = ((cells.obs["perturbation"] == "A") & (cells.obs["split"] == "train")).sum()
    assert len(first) + len(second) == n
    passing = (
        (cells.obs["perturbation"] == "A") & (cells.obs["split"] == "train") & ~cells.obs["qc_fail"]
    )
    assert len(population.sample("A", "train", passing=True)) == passing.sum()


def test_the_order_of_the_cells_does_not_matter(cells, scoring):
    order = np.random.default_rng(0).permutation(cells.n_obs)
    here, there = (
        field_section(scoring, score_cells(scoring, Population.of(some), None))
        for some in (cells, cells[order].copy())
    )
    assert here["distributional"]["floor"] == there["distributional"]["floor"]


def test_a_model_without_cells_has_its_floor_and_a_reason(cells, scoring):
    found = score_cells(scoring, Population.of(cells), None)
    section = field_section(scoring, found, "the model predicts effects, not cells")
    assert section["distributional"]["model"] is None
    assert section["distributional"]["floor"]["additive"]["test"]["energy_distance"] is not None
    assert "predicts effects" in json.dumps(section["not_applicable"])
    assert "e_distance" not in section["mean_level"]["model"]["test"]


def test_rows_that_a_model_cannot_answer_are_left_out(cells, scoring):
    some = scoring.predicted.mean.copy()
    some[scoring.predicted.perturbations.index("A+B")] = np.nan
    cannot = replace(scoring, predicted=replace(scoring.predicted, mean=some))
    section = field_section(cannot, score_cells(cannot, Population.of(cells), _never))
    assert section["mean_level"]["model"]["test"] is None
    assert section["distributional"]["replicate"]["test"] is not None
    assert section["mean_level"]["model"]["all"]["n_perturbations"] == 3


def _never(label: str, n: int, seed: int):
    assert label != "A+B", "asked for what the model cannot express"
    counts = sp.csr_matrix(np.ones((n, 12), dtype=np.float32))
    return AnnData(counts, pd.DataFrame({"library_size": 50.0}, index=[str(i) for i in range(n)]))


def test_the_section_carries_its_version_and_units(scoring):
    section = field_section(scoring, None, "no cells")
    assert section["schema"] == FIELD_SCHEMA
    assert set(section["packages"]) == {"scperteval", "scperturb"}
    assert "ln(" in section["scale"]
    assert section["cells"]["splits"] == list(CELL_SPLITS)
    known = {
        n
        for n in section["mean_level"]["model"]["all"]
        if n not in ("n_perturbations", "undefined")
    }
    assert known <= set(FIELD_METRICS)


def test_effects_of_another_order_of_genes_score_the_same(scoring):
    genes = scoring.predicted.genes[::-1]
    turned = Effects(scoring.predicted.perturbations, genes, scoring.predicted.mean[:, ::-1])
    assert field_section(replace(scoring, predicted=turned), None) == field_section(scoring, None)

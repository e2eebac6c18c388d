"""Sections of the evaluation: splits, floor, disjoint halves, warnings; and the real screen."""

from dataclasses import replace

import numpy as np
import pytest

from cradle.evaluation.effects import Effects
from cradle.evaluation.moments import Moments, compute_moments, observed_effects
from cradle.evaluation.scores import ceiling, score
from cradle.evaluation.sections import (
    Scoring,
    ceilings,
    coverages,
    disjoint_control,
    floor,
    model_scores,
    record,
    replicate,
    train_means,
)
from cradle.models.baselines import TrainMeans, fit_baseline


def _scoring(moments: Moments, known=("A", "B", "C"), **settings) -> Scoring:
    observed = observed_effects(moments)
    return Scoring(moments, replace(observed, se=None, n_cells=None), known, **settings)


@pytest.fixture
def scoring(cells) -> Scoring:
    return _scoring(compute_moments(cells))


def test_each_split_scores_its_own_perturbations(scoring):
    assert scoring.scored("test") == ["A+B"]
    assert scoring.scored("train") == ["A", "B", "C"]
    assert scoring.scored("all") == ["A", "A+B", "B", "C"]


def test_what_a_filtered_model_never_saw_is_not_scored_as_trained_on(cells):
    cells.obs.loc[(cells.obs["perturbation"] == "C") & (cells.obs["split"] == "train"),
                  "qc_fail"] = True  # fmt: skip
    moments = compute_moments(cells)
    filtered = _scoring(moments, train_passing=True)
    assert filtered.scored("train") == ["A", "B"]
    assert filtered.scored("all") == ["A", "A+B", "B", "C"]
    assert _scoring(moments).scored("train") == ["A", "B", "C"]


def test_a_gene_never_seen_is_listed_and_not_scored(cells):
    scoring = _scoring(compute_moments(cells), known=("A", "B"))
    assert scoring.scored("all") == ["A", "A+B", "B"]
    assert record(scoring)["gene_never_seen"] == ["C"]
    assert "C" not in model_scores(scoring)["train"]["per_perturbation"]


def test_what_a_model_cannot_express_is_named_and_not_scored(scoring):
    """The model's rows and the baselines' rows stand side by side, never mixed."""
    told = scoring.predicted.rows(["A", "B", "C"]).extended(["A", "B", "A+B", "C"])
    part = replace(scoring, predicted=told)
    assert part.scored("test") == ["A+B"]
    assert part.answered("test") == []
    assert part.answered("all") == ["A", "B", "C"]
    assert record(part)["not_applicable"] == {"test": ["A+B"], "all": ["A+B"]}
    assert "not_applicable" in record(scoring)
    assert record(scoring)["not_applicable"] == {}
    scores = model_scores(part)
    assert scores["test"] is None
    assert scores["all"]["n_perturbations"] == 3
    rules = floor(part)["additive"]
    assert rules["test"]["n_perturbations"] == 1
    assert "on_model_rows" not in rules["test"]
    assert rules["all"]["n_perturbations"] == 4
    assert rules["all"]["on_model_rows"]["n_perturbations"] == 3
    assert coverages(part)["test"] is None
    assert ceilings(part)["test"] is not None


def test_the_observed_effects_themselves_score_one_on_all_cells(scoring):
    found = model_scores(scoring)
    assert found["all"]["ate_r2"] == pytest.approx(1.0)
    assert found["val"]["ate_r2"] < 1.0  # other cells


def test_the_floor_is_fitted_on_training_cells(cells, expression, scoring):
    train = (cells.obs["split"] == "train").to_numpy()
    label = cells.obs["perturbation"].to_numpy(str)
    mean = {p: expression[train & (label == p)].mean(axis=0) for p in ("A", "B", "control")}
    sums = mean["A"] + mean["B"] - 2 * mean["control"]
    test = expression[label == "A+B"].mean(axis=0) - expression[label == "control"].mean(axis=0)
    genes = tuple(cells.var_names)
    expected = score(Effects(("A+B",), genes, test[None]), Effects(("A+B",), genes, sums[None]))
    found = floor(scoring)["additive"]["test"]
    assert found["ate_rho"] == pytest.approx(expected["ate_rho"], abs=1e-6)
    assert found["ate_r2"] == pytest.approx(expected["ate_r2"], abs=1e-6)


def test_the_training_means_hold_no_held_out_cell(cells, scoring):
    before = train_means(scoring.moments)
    cells.X[(cells.obs["split"] != "train").to_numpy().nonzero()[0]] *= 5
    after = train_means(compute_moments(cells))
    assert before.labels == after.labels
    assert np.array_equal(before.means, after.means)


def test_baselines_of_a_filtered_model_see_passing_cells_only(cells, expression):
    found = train_means(compute_moments(cells), passing_only=True)
    rows = ((cells.obs["split"] == "train") & ~cells.obs["qc_fail"]).to_numpy()
    rows &= (cells.obs["perturbation"] == "A").to_numpy()
    np.testing.assert_allclose(found.means[0], expression[rows].mean(axis=0), rtol=1e-6)


def test_where_additive_does_not_apply_the_model_is_scored_on_the_same_rows(cells):
    cells.obs["perturbation"] = cells.obs["perturbation"].cat.rename_categories({"B": "A+D"})
    scoring = _scoring(compute_moments(cells), known=("A", "B", "C", "D"))
    found = floor(scoring)["additive"]
    assert found["test"] is None  # B was never measured alone
    assert found["train"]["n_perturbations"] == 2  # nor was D
    assert found["train"]["model_on_same_rows"]["n_perturbations"] == 2
    assert model_scores(scoring)["train"]["n_perturbations"] == 3


def test_the_replicate_compares_disjoint_cells(cells, expression):
    cells.obs["split"] = "train"
    moments = compute_moments(cells)
    found = replicate(_scoring(moments))["train"]
    halves = [observed_effects(moments, "train", control_half=h, treated_half=h) for h in (0, 1)]
    expected = np.corrcoef(halves[0].mean.ravel(), halves[1].mean.ravel())[0, 1]
    assert found["ate_rho"] == pytest.approx(expected)
    total = sum(h.n_cells for h in halves)
    assert total.tolist() == [50, 40, 50, 20]


def test_a_control_artefact_shared_by_floor_and_target_vanishes_with_disjoint_halves(cells):
    """Of pure noise, additive predicts the control's own noise until the halves are disjoint."""
    rng = np.random.default_rng(0)
    shared, disjoint = [], []
    for seed in range(15):
        noise = rng.poisson(3.0, (cells.n_obs, cells.n_vars))
        cells.X = noise.astype(np.float32)
        cells.obs["library_size"] = 40.0
        cells.obs["split"] = np.where(cells.obs["perturbation"] == "A+B", "test", "train")
        scoring = _scoring(compute_moments(cells, seed=seed))
        shared.append(floor(scoring)["additive"]["test"]["ate_rho"])
        disjoint.append(floor(scoring, 0, 1)["additive"]["test"]["ate_rho"])
    assert np.mean(shared) > 0.3
    assert abs(np.mean(disjoint)) < 0.2


def test_the_passing_side_scores_passing_cells(cells, expression):
    found = _scoring(compute_moments(cells), side="passing").observed("all")
    passing = ~cells.obs["qc_fail"].to_numpy()
    label = cells.obs["perturbation"].to_numpy(str)
    expected = expression[passing & (label == "B")].mean(0) - expression[
        passing & (label == "control")
    ].mean(0)
    np.testing.assert_allclose(found.rows(["B"]).mean[0], expected, atol=1e-5)


def test_small_groups_are_named_control_included(scoring):
    found = record(scoring)
    assert found["small_groups"]["all"] == {"C": 20}
    assert "control" not in found["small_groups"]["val"]  # all control cells stand in
    assert found["control_of_split"]["val"] == ["train", "val", "test"]
    assert any("C (" in text for text in found["warnings"])


def test_few_control_cells_are_flagged(cells):
    control = (cells.obs["perturbation"] == "control").to_numpy()
    few = cells[~control | (np.cumsum(control) <= 12)].copy()
    assert record(_scoring(compute_moments(few)))["small_groups"]["all"]["control"] == 12


def test_a_split_without_perturbations_is_null(cells):
    cells = cells[(cells.obs["split"] != "test").to_numpy()].copy()
    scoring = _scoring(compute_moments(cells))
    for section in (model_scores(scoring), ceilings(scoring), replicate(scoring)):
        assert section["test"] is None
        assert section["train"] is not None
    assert record(scoring)["without_perturbations"] == ["test"]


def test_one_control_cell_cannot_be_halved(cells):
    control = (cells.obs["perturbation"] == "control").to_numpy()
    one = cells[~control | (np.cumsum(control) == 1)].copy()
    one.obs["split"] = np.where(one.obs["perturbation"] == "A+B", "test", "train")
    scoring = _scoring(compute_moments(one))
    assert disjoint_control(scoring) is None
    assert replicate(scoring)["test"] is None
    assert ceilings(scoring)["test"] is None  # no sampling variance of the control
    assert model_scores(scoring)["test"] is not None


def test_coverage_needs_intervals(scoring):
    assert coverages(scoring)["test"] is None
    told = scoring.predicted
    sure = replace(told, lower=told.mean - 1e-3, upper=told.mean + 1e-3)
    assert coverages(replace(scoring, predicted=sure))["all"]["posterior"] == 1.0


# Norman 2019 subset, five held-out pairs, all cells; the table at the end of the specification.


def _rounded(value: float) -> object:
    return pytest.approx(value, abs=0.01)


def _baseline(moments: Moments, name: str, splits: list[str]) -> dict:
    pooled = moments.pool(splits)
    means = TrainMeans(pooled.labels, moments.genes, pooled.mean)
    observed = observed_effects(moments, "test")
    told = fit_baseline(name, means).treatment_effects(observed.perturbations)
    return score(observed, told)


@pytest.mark.parametrize(
    ("name", "rho", "r2"),
    [("additive", 0.96, 0.91), ("matching_mean", 0.96, 0.73), ("perturbed_mean", 0.34, 0.11)],
)
def test_norman_baselines_from_all_other_cells(norman, name, rho, r2):
    found = _baseline(norman(0), name, ["train", "val"])
    assert (found["ate_rho"], found["ate_r2"]) == (_rounded(rho), _rounded(r2))
    assert found["n_perturbations"] == 5


def test_norman_additive_from_training_cells(norman):
    found = [_baseline(norman(seed), "additive", ["train"]) for seed in range(8)]
    assert np.mean([f["ate_rho"] for f in found]) == _rounded(0.94)
    # the split decides the third digit: its mean over seeds stands 0.01 beside the printed 0.87
    assert np.mean([f["ate_r2"] for f in found]) == pytest.approx(0.87, abs=0.015)


def test_norman_ceiling(norman):
    found = ceiling(observed_effects(norman(0), "test"))
    assert (found["ate_rho"], found["ate_r2"]) == (_rounded(0.97), _rounded(0.94))


def test_norman_replicate(norman):
    """One draw of halves scatters: sd 0.03 in ρ and 0.07 in R² (200 draws), so 60 are averaged."""
    found = [replicate(_scoring(norman(seed), _norman_genes()))["test"] for seed in range(60)]
    assert np.mean([f["ate_rho"] for f in found]) == pytest.approx(0.90, abs=0.02)
    assert np.mean([f["ate_r2"] for f in found]) == pytest.approx(0.78, abs=0.02)


def _norman_genes() -> tuple[str, ...]:
    return ("KLF1", "MAP2K6", "TGFBR2", "MAP2K3", "SLC38A2", "MAPK1")

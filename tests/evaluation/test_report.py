"""The whole report, on a simulated screen with a predictor that knows the truth."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData

from cradle.data.dosage import Design, perturbed_genes
from cradle.data.qc import annotate, cell_metrics, fit_thresholds, judge_generated
from cradle.data.splits import split_cells
from cradle.errors import InputError
from cradle.evaluation.effects import Effects
from cradle.evaluation.moments import compute_moments
from cradle.evaluation.report import cells_of_run, effect_table, evaluate_run
from cradle.evaluation.storage import load_effects
from cradle.evaluation.truth import truth_of

METRICS = ("ate_rho", "ate_r2", "jaccard_50", "jaccard_20", "sign_accuracy")


class Oracle:
    """Answers with the true effects; its cells are resampled clean ones."""

    def __init__(self, screen: AnnData, thresholds: object) -> None:
        self.screen, self.thresholds, self.truth = screen, thresholds, truth_of(screen)
        self.failed = screen.obs["qc_fail"].to_numpy(bool)
        self.asked = 0

    def treatment_effects(self, query: list[str]) -> Effects:
        self.asked += 1
        rows = self.truth.effects.rows(query)
        return Effects(rows.perturbations, rows.genes, rows.mean, rows.mean - 0.1, rows.mean + 0.1)

    def generate(self, label: str, n_cells: int, *, artifact: str, seed: int) -> AnnData:
        own = (self.screen.obs["perturbation"] == label).to_numpy()
        clean = self._sample(own & self.truth.clean, n_cells, seed)
        if artifact == "off":
            return self._frame(clean, label, "off")
        if artifact == "on":
            return self._frame(self._sample(self.failed, n_cells, seed), label, "on")
        failed = self._sample(~self.truth.clean, n_cells, seed)
        return self._frame(np.r_[clean, failed], label, np.repeat(["off", "on"], n_cells))

    def _sample(self, rows: np.ndarray, n: int, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).choice(np.flatnonzero(rows), n)

    def _frame(self, rows: np.ndarray, label: str, artifact: object) -> AnnData:
        obs = pd.DataFrame(
            {
                "perturbation": label,
                "artifact": artifact,
                "library_size": self.screen.obs["library_size"].to_numpy()[rows],
            },
            index=[f"g{i}" for i in range(len(rows))],
        )
        var = pd.DataFrame(index=self.screen.var_names)
        cells = AnnData(sp.csr_matrix(self.screen.X[rows]), obs, var)
        cells.obs = cells.obs.join(judge_generated(cells, self.thresholds))
        return cells


@pytest.fixture
def ready(screen: AnnData) -> AnnData:
    """The screen with its split, thresholds and flags, as a fit prepares it."""
    pairs = [p for p in screen.obs["perturbation"].cat.categories if "+" in p]
    screen.obs["split"] = split_cells(screen.obs["perturbation"], test_combinations=pairs[:2])
    metrics = cell_metrics(screen, doublets=False)
    return annotate(screen, fit_thresholds(screen, metrics=metrics), metrics=metrics)


@pytest.fixture
def run(ready: AnnData, tmp_path: Path) -> SimpleNamespace:
    """What a finished run shows to the evaluation."""
    train = (ready.obs["split"] == "train").to_numpy()
    metrics = cell_metrics(ready, doublets=False)
    thresholds = fit_thresholds(ready, train=train, metrics=metrics)
    flagged = annotate(ready, thresholds, metrics=metrics)
    oracle = Oracle(flagged, thresholds)
    return SimpleNamespace(
        path=tmp_path,
        moments=compute_moments(flagged),
        perturbed_genes=perturbed_genes(flagged.obs["perturbation"][train].astype(str)),
        design=Design.of(flagged.obs["perturbation"][train].astype(str), additive=True),
        passing_only=False,
        learned_artifact=True,
        thresholds=thresholds,
        split=flagged.obs["split"],
        spec=SimpleNamespace(generates=True, why_no_cells="", is_network=False),
        metrics=None,
        oracle=oracle,
        cells=flagged,
        predictor=lambda: oracle,
        support=lambda label: "seen" if "+" not in label else "held-out combination",
    )


@pytest.fixture
def report(run: SimpleNamespace) -> dict:
    return evaluate_run(run, run.cells)


def test_the_report_has_the_form_of_the_interface(report, run):
    json.dumps(report, allow_nan=False)
    for split in ("test", "val", "train", "all"):
        assert set(METRICS) | {"qcpr", "wasserstein"} <= set(report[split])
        assert set(report[split]["qcpr"]) == {"3", "4", "5"}
        for rate in report[split]["qcpr"].values():
            assert {"rate", "low", "high", "n", "criteria", "observed"} <= set(rate)
            assert 0 <= rate["low"] <= rate["rate"] <= rate["high"] <= 1
        assert set(report["ceiling"][split]) >= {"ate_rho", "ate_r2"}
        assert set(report["replicate"][split]) >= set(METRICS)
    assert set(report["floor"]) == {
        "additive", "matching_mean", "perturbed_mean", "control_mean", "linear",
    }  # fmt: skip
    assert set(report["disjoint_control"]) == {"model", "floor", "ceiling"}
    assert report["floor"]["control_mean"]["test"]["ate_rho"] is None
    assert json.loads((run.path / "metrics.json").read_text()) == report


def test_held_out_pairs_are_the_test_split(report, run):
    held_out = run.cells.obs["perturbation"][run.cells.obs["split"] == "test"].unique()
    assert set(report["test"]["per_perturbation"]) == set(held_out)
    assert set(held_out).isdisjoint(report["train"]["per_perturbation"])


def test_observed_failed_cells_fail_as_often_as_themselves(report, run):
    """The oracle's cells with the artifact on are drawn from the observed failed ones."""
    found = report["artifact_on"]
    assert set(found) == set(run.thresholds.generable)
    for rates in found.values():
        se = np.sqrt(rates["observed"] * (1 - rates["observed"]) / rates["n"])
        assert rates["generated"] == pytest.approx(rates["observed"], abs=4 * se + 1e-9)
    assert max(rates["observed"] for rates in found.values()) > 0.1
    run.learned_artifact = False
    assert evaluate_run(run, run.cells)["artifact_on"] is None


def test_the_truth_scores_one_against_itself(report):
    truth = report["truth"]
    assert truth["effect_correlation_seen"] == pytest.approx(1.0)
    if truth["effect_correlation_heldout"] is not None:
        assert truth["effect_correlation_heldout"] == pytest.approx(1.0)
    # what was measured carries noise and artifacts, which the truth does not
    for without_model in (truth["floor"]["additive"], truth["observed"]):
        assert 0.3 < without_model["effect_correlation_seen"] < 0.999
    assert truth["floor"]["control_mean"]["effect_correlation_seen"] is None
    assert truth["artifact_correlation"] > 0.5
    assert set(truth["clean_pass_rate"]) == {"3", "4", "5"}


def test_resampled_clean_cells_pass_as_clean_cells_do(report):
    rate = report["all"]["qcpr"]["3"]
    assert rate["rate"] == pytest.approx(report["truth"]["clean_pass_rate"]["3"], abs=0.02)
    assert rate["rate"] > rate["observed"]
    assert rate["applicable"]
    reference = report["truth"]["clean_wasserstein"]
    for criterion, found in report["all"]["wasserstein"].items():
        assert found["in_mads"] == pytest.approx(reference[criterion]["in_mads"], abs=0.1)


def test_without_cells_the_stored_tables_give_the_same_report(report, run):
    run.metrics = json.loads(json.dumps(report))
    again = evaluate_run(run)
    assert "stored report" in again["record"].pop("qcpr")
    assert again == report
    assert run.oracle.asked == 1  # the predictions are stored, too


def test_without_cells_or_an_earlier_report_the_pass_rate_is_null_with_a_reason(run):
    found = evaluate_run(run)
    assert found["test"]["qcpr"] is None
    assert "needs the cells" in found["record"]["qcpr"]
    assert "truth" not in found


def test_a_model_without_cells_to_generate_has_no_pass_rate(run):
    run.spec.generates, run.spec.why_no_cells = False, "the model predicts effects, not cells"
    found = evaluate_run(run, run.cells)
    assert found["test"]["qcpr"] is None
    assert "effects, not cells" in found["record"]["qcpr"]
    assert found["truth"]["artifact_correlation"] is None
    assert found["truth"]["clean_pass_rate"]["3"] > 0.5


def test_the_passing_side_is_another_report_and_is_not_stored(report, run):
    passing = evaluate_run(run, run.cells, side="passing")
    assert passing["record"]["side"] == "passing"
    assert passing["all"]["ate_r2"] != report["all"]["ate_r2"]
    stored = json.loads((run.path / "metrics.json").read_text())
    assert stored["record"]["side"] == "all"


def test_the_original_dataset_is_brought_to_the_runs_view(run, screen):
    raw = screen.copy()
    raw.obs = raw.obs.drop(columns=["split", "qc_fail"], errors="ignore")
    again = cells_of_run(run, raw)
    assert list(again.obs["split"].astype(str)) == list(run.cells.obs["split"].astype(str))
    assert (again.obs["qc_fail"] == run.cells.obs["qc_fail"]).all()
    assert cells_of_run(run, again) is again
    assert "qc_fail" not in raw.obs


def test_another_split_in_the_file_does_not_replace_the_runs_own(run):
    other = run.cells.copy()
    other.obs["split"] = "train"
    found = cells_of_run(run, other)
    assert list(found.obs["split"].astype(str)) == list(run.cells.obs["split"].astype(str))


def test_the_table_of_effects_gives_the_numbers_of_the_report(report, run):
    table = effect_table(run)
    columns = ["perturbation", "gene", "observed", "predicted", "lower", "upper", "split"]
    assert list(table.columns) == [*columns, "support"]
    assert not table[["observed", "predicted", "lower", "upper"]].isna().any().any()
    for split in ("test", "val", "train"):
        rows = table[table["split"] == split]
        rho = np.corrcoef(rows["observed"], rows["predicted"])[0, 1]
        assert rho == pytest.approx(report[split]["ate_rho"], abs=1e-6)
    assert not table.duplicated(["perturbation", "gene", "split"]).any()


def test_the_run_directory_holds_observed_and_predicted_effects(report, run):
    observed = pd.read_csv(run.path / "observed_effects.csv")
    assert list(observed.columns) == ["perturbation", "gene", "observed", "se", "n_cells"]
    predicted = load_effects(run.path / "predicted_effects.safetensors")
    assert set(predicted.perturbations) == set(observed["perturbation"])


def test_genes_are_matched_by_name_and_others_refused(run):
    evaluate_run(run)
    run.moments = compute_moments(run.cells[:, ::-1][:, 1:].copy())
    found = evaluate_run(run)
    assert found["test"]["n_genes"] == run.cells.n_vars - 1
    run.cells.var_names = [f"other{i}" for i in range(run.cells.n_vars)]
    run.moments = compute_moments(run.cells)
    with pytest.raises(InputError, match="no effect for the gene"):
        evaluate_run(run)

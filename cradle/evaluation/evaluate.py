"""Every score of a model on a screen, in the JSON form of the interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cradle.data.schema import CONTROL
from cradle.evaluation import sections
from cradle.evaluation.beside_rule import rule_section
from cradle.evaluation.effects import FloatArray
from cradle.evaluation.field import field_section
from cradle.evaluation.field_cells import Population, score_cells
from cradle.evaluation.moments import SCORED_SPLITS
from cradle.evaluation.own_control import own_control
from cradle.evaluation.quality import (
    Generate,
    MeasuredCells,
    distances,
    failure_rates,
    generate_screen,
    pass_rates,
)
from cradle.evaluation.sections import SPLITS, Scoring
from cradle.evaluation.truth import (
    Truth,
    Twins,
    artifact_correlations,
    clean_pass_rates,
    effect_correlations,
    floor_correlations,
    interval_coverages,
)

if TYPE_CHECKING:
    import pandas as pd

    from cradle.data.qc import QCThresholds

N_GENERATED = 10_000  # cells, over all perturbations
N_TWINS = 2_000
N_FAILED = 2_000

JSON = dict[str, Any]


@dataclass(frozen=True)
class Cells:
    """Observed cells beside which generated ones are judged.

    Parameters
    ----------
    measured
        Quality by the modelled genes.
    split
        Of each cell.
    passing
        Which of them passed quality control by all criteria.
    """

    measured: MeasuredCells
    split: pd.Categorical
    passing: npt.NDArray[np.bool_]

    def rows(self, split: str, labels: list[str]) -> npt.NDArray[np.bool_]:
        """Cells of these perturbations in a split."""
        splits = SCORED_SPLITS if split == "all" else (split,)
        return np.asarray(self.split.isin(splits)) & self.measured.of(labels)


def evaluate(
    scoring: Scoring,
    thresholds: QCThresholds,
    *,
    cells: Cells | None = None,
    generate: Generate | None = None,
    generate_on: Generate | None = None,
    twins: Twins | None = None,
    truth: Truth | None = None,
    population: Population | None = None,
    control: FloatArray | None = None,
    n_generated: int = N_GENERATED,
    n_twins: int = N_TWINS,
    why_no_cells: str = "the model predicts effects, not cells",
) -> JSON:
    """Every score of a model on a screen, strictly valid JSON (SPEC 7, INTERFACE).

    Parameters
    ----------
    scoring
        Observed moments and predicted effects.
    thresholds
        Of quality control, for the pass rates.
    cells
        Observed cells; without them, or without `generate`, there is no pass rate.
    generate, generate_on, twins
        Cells of a perturbation with the artifact off, on, and pairs of twins; called with a
        label, a number and a seed. None where the model cannot.
    truth
        Of a simulated screen.
    population
        Observed cells for the metrics that compare populations.
    control
        Predicted expression of control cells; see :func:`own_control`.
    why_no_cells
        Reason given where `generate` is None.

    Returns
    -------
    `test`, `val`, `train`, `all` (None without perturbations to score, or where the model is not
    applicable to any: `record` says which), `floor`, `replicate`, `ceiling`, `disjoint_control`,
    `coverage`, `beside_rule` (the best one, and how far to trust the order), `own_control` (scores
    where observed control stands for the model's), `record`, `field`,
    `artifact_on` (failure rates beside those of observed failed cells), and `truth` for simulated
    cells.
    """
    report: JSON = {
        **sections.model_scores(scoring),
        "floor": sections.floor(scoring),
        "replicate": sections.replicate(scoring),
        "ceiling": sections.ceilings(scoring),
        "disjoint_control": sections.disjoint_control(scoring),
        "coverage": sections.coverages(scoring),
        "beside_rule": rule_section(scoring),
        "own_control": own_control(scoring, control),
        "record": sections.record(scoring),
    }
    quality = _quality(scoring, thresholds, cells, generate, n_generated)
    for split in present(report):
        report[split].update(quality.get(split, {"qcpr": None, "wasserstein": None}))
    report["artifact_on"] = _artifact_on(scoring, thresholds, cells, generate_on)
    reason = _no_pass_rate(cells, generate, why_no_cells)
    if reason:
        report["record"]["qcpr"] = reason
    compared = None if population is None else score_cells(scoring, population, generate)
    report["field"] = field_section(scoring, compared, reason)
    if truth is not None:
        report["truth"] = _truth(scoring, thresholds, truth, cells, twins, n_twins)
    return report


def present(report: JSON) -> list[str]:
    """Splits that have scores."""
    return [split for split in SPLITS if report.get(split)]


def _no_pass_rate(cells: Cells | None, generate: Generate | None, why_no_cells: str) -> str:
    if cells is None:
        return "needs the cells: evaluate with the dataset"
    return "" if generate else why_no_cells


def _quality(
    scoring: Scoring,
    thresholds: QCThresholds,
    cells: Cells | None,
    generate: Generate | None,
    n_generated: int,
) -> JSON:
    labels = scoring.answered("all")
    if cells is None or generate is None or not labels:
        return {}
    sizes = {label: int(cells.rows("all", [label]).sum()) for label in labels}
    generated = generate_screen(generate, sizes, thresholds, n_generated)
    found = {}
    for split in SPLITS:
        scored = scoring.answered(split)
        part, rows = generated.where(generated.of(scored)), cells.rows(split, scored)
        train = cells.split == "train"
        found[split] = {
            "qcpr": pass_rates(part, cells.measured, train, rows, thresholds),
            "wasserstein": distances(part, cells.measured, rows & cells.passing, thresholds),
        }
    return found


def _artifact_on(
    scoring: Scoring,
    thresholds: QCThresholds,
    cells: Cells | None,
    generate_on: Generate | None,
) -> JSON | None:
    if cells is None or generate_on is None:
        return None
    labels = [CONTROL, *scoring.answered("all")]
    failed = cells.rows("all", labels) & ~cells.passing
    found = cells.measured.perturbation[failed].value_counts()
    sizes = {str(label): int(n) for label, n in found.items() if n}
    if not sizes:
        return None
    generated = generate_screen(generate_on, sizes, thresholds, N_FAILED, at_least=2)
    return failure_rates(generated, cells.measured.where(failed), thresholds)


def _truth(
    scoring: Scoring,
    thresholds: QCThresholds,
    truth: Truth,
    cells: Cells | None,
    twins: Twins | None,
    n_twins: int,
) -> JSON:
    trained, scored = scoring.scored("train"), scoring.scored("all")
    held_out = [label for label in scoring.scored("test") if label not in set(trained)]
    found = effect_correlations(truth, scoring.predicted, trained, held_out)
    found |= interval_coverages(truth, scoring.predicted, trained, held_out)
    found["interacting_pairs"] = sorted(truth.interacting)
    found["floor"] = floor_correlations(truth, scoring.baselines(), trained, held_out)
    if (observed := scoring.observed("all")) is not None:
        found["observed"] = effect_correlations(truth, observed, trained, held_out)
    if cells is not None:
        by_split = {
            split: clean_pass_rates(
                truth, cells.measured, cells.rows(split, scoring.scored(split)), thresholds
            )
            for split in SPLITS
        }
        rows = cells.rows("all", scored)
        clean = cells.measured.where(rows & truth.clean)
        found |= {
            "clean_pass_rate": by_split["all"],
            "clean_pass_rate_by_split": by_split,
            # What a perfect generator of clean cells would score: passing is not the same as clean.
            "clean_wasserstein": distances(clean, cells.measured, rows & cells.passing, thresholds),
        }
    if twins is not None:
        asked = [CONTROL, *scoring.answered("all")]
        return found | artifact_correlations(truth, twins, asked, n_twins)
    return found | {"artifact_correlation": None, "artifact_reason": "no cells are generated"}

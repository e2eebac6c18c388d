"""Every score of a run in long form, its floors, replicate and ceiling among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cradle.evaluation.field_metrics import FIELD_METRICS
from cradle.evaluation.metrics import EFFECT_METRICS
from cradle.evaluation.sections import SPLITS

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.runs import Run

#: File of a run directory that keeps the rows.
SCORES = "scores.csv"
COLUMNS = ["model", "split", "metric", "value"]

Row = tuple[str, str, str, float | None]
JSON = Mapping[str, Any]


def score_rows(run: Run, adata: AnnData, record: JSON) -> pd.DataFrame:
    """Rows model, split, metric, value; a value that is not applicable is NaN.

    Parameters
    ----------
    run
        A finished run.
    adata
        Its dataset.
    record
        ``attempts``, ``wall_seconds`` and ``peak_mb`` of its fit.
    """
    report = run.metrics or {}
    rows = [
        *_effects(run.model_name, report),
        *_field(run.model_name, report.get("field") or {}),
        *_quality(run, report),
        *_truth(run, report.get("truth") or {}),
        *_cost(run, record),
        *failure_rates(run, adata),
    ]
    table = pd.DataFrame(rows, columns=COLUMNS).drop_duplicates(COLUMNS[:3])
    return table.assign(value=table["value"].astype(float))


def failure_rates(run: Run, adata: AnnData, n_cells: int = 100) -> Iterator[Row]:
    """Share failing each generable criterion: artifact on, beside observed QC-failed cells."""
    from cradle.data.qc import judge_generated
    from cradle.evaluation.report import cells_of_run

    if not run.spec.artifact or not (run.library_sizes["artifact"] == 1).any():
        return
    cells = cells_of_run(run, adata)
    judged = judge_generated(cells, run.thresholds)[cells.obs["qc_fail"].to_numpy()]
    predictor = run.predictor()
    labels = run.perturbations.query("n_train > 0")["perturbation"]
    made = [
        predictor.generate(label, n_cells, artifact="on", seed=i).obs  # type: ignore[union-attr]
        for i, label in enumerate(labels)
    ]
    generated: pd.DataFrame = pd.concat(made)
    sides = {f"{run.model_name} artifact on": generated, "observed failed": judged}
    for criterion in run.thresholds.generable:
        for name, table in sides.items():
            yield name, "all", f"fails_{criterion}", float(np.nanmean(table[f"fails_{criterion}"]))


def _effects(model: str, report: JSON) -> Iterator[Row]:
    parts = {
        **report.get("floor", {}),
        "replicate": report.get("replicate") or {},
        "ceiling": report.get("ceiling") or {},
        model: report,
    }
    for split in SPLITS:
        scored = [part for part in parts.values() if part.get(split)]
        for name, part in parts.items():
            section = part.get(split) or {}
            # what others are scored on and this one is not is not applicable to it
            metrics = EFFECT_METRICS if scored and not section else section.keys()
            for metric in EFFECT_METRICS:
                if metric in metrics:
                    yield name, split, metric, section.get(metric)


def _field(model: str, field: JSON) -> Iterator[Row]:
    for level in ("mean_level", "distributional"):
        found = field.get(level) or {}
        # a baseline that is a run of its own has cells in the floor only: what is first counts
        parts = [
            (model, found.get("model")),
            *found.get("floor", {}).items(),
            *((name, found.get(name)) for name in ("replicate", "ceiling")),
        ]
        for name, part in parts:
            for split in SPLITS:
                section = (part or {}).get(split) or {}
                for metric in FIELD_METRICS:
                    if metric in section:
                        yield name, split, metric, section[metric]


def _quality(run: Run, report: JSON) -> Iterator[Row]:
    """Pass rates; empty where too few training cells fail for models to be compared."""
    own = f"{run.config['mad']:g}"
    for split in SPLITS:
        section = report.get(split) or {}
        for mad, found in (section.get("qcpr") or {}).items():
            comparable = found.get("applicable", False)
            rate = found.get("rate") if comparable else None
            yield run.model_name, split, f"qcpr_{mad}", rate
            yield "observed", split, f"qcpr_{mad}", found.get("observed")
            if mad == own:
                yield run.model_name, split, "qcpr", rate
                yield "observed", split, "qcpr", found.get("observed")
        for criterion, found in (section.get("wasserstein") or {}).items():
            if isinstance(found, dict):
                yield run.model_name, split, f"wasserstein_{criterion}", found.get("in_mads")


def _truth(run: Run, truth: JSON) -> Iterator[Row]:
    for metric, value in truth.items():
        if isinstance(value, float):
            yield run.model_name, "all", metric, value
    own = f"{run.config['mad']:g}"
    for split, rates in (truth.get("clean_pass_rate_by_split") or {}).items():
        for mad, rate in rates.items():
            yield "clean cells", split, f"qcpr_{mad}", rate
            if mad == own:
                yield "clean cells", split, "qcpr", rate


def _cost(run: Run, record: JSON) -> Iterator[Row]:
    """Seconds of training, of the whole process, and its peak memory.

    Not measured, hence empty, for a run that was interrupted: the last attempt tells a part.
    """
    whole = record.get("attempts") == 1
    cost = {
        "seconds": run.provenance["seconds"],
        "wall_seconds": record.get("wall_seconds"),
        "peak_mb": record.get("peak_mb"),
    }
    for metric, value in cost.items():
        yield run.model_name, "all", metric, value if whole else None

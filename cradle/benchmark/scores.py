"""Every score of a run in long form, its floors, replicate and ceiling among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from cradle.evaluation.field_metrics import FIELD_METRICS
from cradle.evaluation.metrics import EFFECT_METRICS
from cradle.evaluation.sections import SPLITS

if TYPE_CHECKING:
    from cradle.runs import Run

#: File of a run directory that keeps the rows.
SCORES = "scores.csv"
COLUMNS = ["model", "split", "metric", "value"]

Row = tuple[str, str, str, float | None]
JSON = Mapping[str, Any]


def score_rows(run: Run, record: JSON) -> pd.DataFrame:
    """Rows model, split, metric, value; a value that is not applicable is NaN.

    Parameters
    ----------
    run
        A finished run.
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
        *_artifact_on(run.model_name, report),
        *_own_control(run.model_name, report.get("own_control") or {}),
    ]
    table = pd.DataFrame(rows, columns=COLUMNS).drop_duplicates(COLUMNS[:3])
    return table.assign(value=table["value"].astype(float))


def _artifact_on(model: str, report: JSON) -> Iterator[Row]:
    """Share failing each generable criterion: artifact on, beside observed QC-failed cells."""
    for criterion, found in (report.get("artifact_on") or {}).items():
        yield f"{model} artifact on", "all", f"fails_{criterion}", found["generated"]
        yield "observed failed", "all", f"fails_{criterion}", found["observed"]


def _own_control(model: str, found: JSON) -> Iterator[Row]:
    """Scores where observed control stands for the model's own."""
    for split, section in found.items():
        for metric in ("ate_rho", "ate_r2") if section is not None else ():
            yield model, split, f"{metric}_observed_control", section[metric]


def _effects(model: str, report: JSON) -> Iterator[Row]:
    parts = {
        **report.get("floor", {}),
        "replicate": report.get("replicate") or {},
        "ceiling": report.get("ceiling") or {},
        model: report,
    }
    for split in SPLITS:
        sections = {name: part.get(split) or {} for name, part in parts.items()}
        for name, section in sections.items():
            told = _comparable(section, sections.values())
            metrics = told if told else EFFECT_METRICS if any(sections.values()) else ()
            for metric in EFFECT_METRICS:
                if metric in metrics:
                    yield name, split, metric, told.get(metric)


def _comparable(section: JSON, others: Iterable[JSON]) -> JSON:
    """The scores of a section, none where it could answer for fewer perturbations than another:
    what it left out may be what is hard."""
    most = max(other.get("n_perturbations", 0) for other in others)
    return section if section.get("n_perturbations", most) == most else {}


def _field(model: str, field: JSON) -> Iterator[Row]:
    for level in ("mean_level", "distributional"):
        found = field.get(level) or {}
        # a baseline that is a run of its own has cells in the floor only: what is first counts
        parts = [
            (model, found.get("model")),
            *found.get("floor", {}).items(),
            *((name, found.get(name)) for name in ("replicate", "ceiling")),
        ]
        for split in SPLITS:
            sections = [(part or {}).get(split) or {} for _, part in parts]
            for (name, _), section in zip(parts, sections, strict=True):
                told = _comparable(section, sections)
                for metric in FIELD_METRICS:
                    if metric in section:
                        yield name, split, metric, told.get(metric)


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
    parts = {
        run.model_name: truth,
        **truth.get("floor", {}),
        "observed": truth.get("observed", {}),
    }
    for name, section in parts.items():
        for metric, value in section.items():
            if isinstance(value, float):
                yield name, "all", metric, value
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

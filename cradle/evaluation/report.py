"""The evaluation of a run directory, and its table of effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cradle.errors import InputError
from cradle.evaluation.effects import Effects, FloatArray
from cradle.evaluation.evaluate import Cells, evaluate, present
from cradle.evaluation.field import FIELD_SCHEMA
from cradle.evaluation.field_cells import Population
from cradle.evaluation.moments import Side, observed_effects
from cradle.evaluation.quality import Generate, measure
from cradle.evaluation.scores import LEVEL, widening
from cradle.evaluation.sections import SPLITS, Scoring
from cradle.evaluation.storage import load_effects, save_effects
from cradle.evaluation.truth import truth_of
from cradle.files import write_frame, write_json
from cradle.runs import INTERVALS

if TYPE_CHECKING:
    from anndata import AnnData

    from cradle.data.qc import QCThresholds
    from cradle.runs import Run

PREDICTED = "predicted_effects.safetensors"
OBSERVED = "observed_effects.csv"
METRICS_FILE = "metrics.json"

JSON = dict[str, Any]
__all__ = ["effect_table", "evaluate", "evaluate_cells", "evaluate_run"]


def evaluate_run(run: Run, adata: AnnData | None = None, *, side: Side = "all") -> JSON:
    """Evaluate a finished run; stores the predictions and the report in its directory.

    Parameters
    ----------
    adata
        The dataset that the run was fitted on, in standard form. Without it the effects are
        scored from the stored tables, and the scores that need cells are those of the stored
        report, None where there is none.
    side
        Observed cells that count. Only the report on all cells is stored.
    """
    if adata is not None:
        return evaluate_cells(run, cells_of_run(run, adata), side=side)
    report = evaluate(_scoring(run, side), run.thresholds, control=_control(run, run.predictor()))
    return _with_stored(report, run.metrics or {}, side)


def evaluate_cells(run: Run, cells: AnnData, *, side: Side = "all") -> JSON:
    """As :func:`evaluate_run`, of cells as :func:`cells_of_run` gives them."""
    predictor, generates = run.predictor(), run.spec.generates
    report = evaluate(
        _scoring(run, side),
        run.thresholds,
        cells=_observed_cells(cells, run.thresholds),
        generate=_generator(predictor, "off") if generates else None,
        generate_on=_generator(predictor, "on") if run.learned_artifact else None,
        twins=_generator(predictor, "twins") if generates else None,
        truth=truth_of(cells),
        population=Population.of(cells),
        control=_control(run, predictor),
        why_no_cells=run.spec.why_no_cells,
    )
    if side == "all":
        write_frame(run.path / OBSERVED, _observed_table(run))
        write_json(run.path / METRICS_FILE, report)
    return report


def effect_table(run: Run) -> pd.DataFrame:
    """Observed and predicted effects, one row a perturbation, gene and split.

    Returns
    -------
    perturbation, gene, observed, predicted, lower, upper (log2 units), split, support. The rows
    of one split are those that the report scores it on, so its numbers follow from the table;
    `predicted` is NaN where the model cannot express the perturbation.

    Raises
    ------
    InputError
        No split holds a perturbation with an effect to compare with.
    """
    scoring = _scoring(run, "all")
    tables = [
        _paired(observed, scoring.predicted, split, run)
        for split in SPLITS[:-1]
        if (observed := scoring.observed(split)) is not None
    ]
    if not tables:
        raise InputError(
            "The run has no effects to tabulate.",
            f"{run.path.name} was fitted on no perturbation whose effect was observed.",
            "Fit on cells of perturbations beside control cells.",
        )
    return pd.concat(tables, ignore_index=True)


def cells_of_run(run: Run, adata: AnnData) -> AnnData:
    """The run's view of its dataset: its split, its QC flags, its genes."""
    split = run.split.reindex(adata.obs_names)
    if split.isna().any():
        raise InputError(
            "The cells are not those that the run was fitted on.",
            f"{int(split.isna().sum())} of {len(split)} cells have no split in {run.path.name}.",
            "Give the dataset of the run, with its cell names.",
        )
    if _is_view_of(run, adata, split.astype(str)):
        return adata
    from cradle.data.qc import annotate

    # the split comes first: doublets of test cells are called apart from the others
    placed = adata.copy()
    placed.obs["split"] = pd.Categorical(split)
    return annotate(placed, run.thresholds)[:, list(run.moments.genes)].copy()


def _is_view_of(run: Run, adata: AnnData, split: pd.Series[str]) -> bool:
    """Whether these cells already carry what the run says about them."""
    if "split" not in adata.obs or tuple(adata.var_names) != run.moments.genes:
        return False
    same_split = bool((adata.obs["split"].astype(str) == split).all())
    thresholds = adata.uns.get("cradle", {}).get("thresholds")
    return same_split and thresholds == run.thresholds.to_json()


def _scoring(run: Run, side: Side) -> Scoring:
    moments, known = run.moments, run.perturbed_genes
    nothing = Effects((), moments.genes, np.empty((0, len(moments.genes))))
    wanted = Scoring(moments, nothing, known).scored("all")
    path = run.path / PREDICTED
    if not path.is_file():
        save_effects(_predicted(run, wanted), path)
    predicted = load_effects(path).rows(wanted)
    return Scoring(moments, predicted, known, side, run.passing_only)


def _predicted(run: Run, wanted: list[str]) -> Effects:
    """Effects of the model, with intervals that hold what validation cells show; how much wider
    they are is stored for predictions to come."""
    path = run.path / INTERVALS
    path.unlink(missing_ok=True)  # as the posterior has them
    asked = [label for label in wanted if run.design.expresses(label)]
    effects = run.predictor().treatment_effects(asked).extended(wanted)
    observed = Scoring(run.moments, effects, run.perturbed_genes).observed(
        "val", pooled_variance=True
    )
    if effects.lower is None or observed is None:
        return effects
    found = widening(observed, effects)
    write_json(path, {**found._asdict(), "level": LEVEL, "calibrated_on": "val"})
    return effects.widened(found)


def _control(run: Run, predictor: Any) -> FloatArray | None:
    """Control as the model has it, which its effects are measured against."""
    if not run.spec.is_network:
        return None
    from cradle.effect_draws import control_level
    from cradle.prediction import N_BASAL, N_DRAWS, N_PARTICLES

    n_cells = N_BASAL if run.spec.generates else N_PARTICLES
    return control_level(predictor, n_draws=N_DRAWS, n_cells=n_cells)


def _generator(predictor: Any, artifact: str) -> Generate:
    def generate(label: str, n_cells: int, seed: int) -> AnnData:
        cells: AnnData = predictor.generate(label, n_cells, artifact=artifact, seed=seed)
        return cells

    return generate


def _observed_cells(adata: AnnData, thresholds: QCThresholds) -> Cells:
    return Cells(
        measure(adata, thresholds),
        pd.Categorical(adata.obs["split"]),
        ~adata.obs["qc_fail"].to_numpy(bool),
    )


def _with_stored(report: JSON, stored: JSON, side: Side) -> JSON:
    """Add the scores that need cells from an earlier report on the same run."""
    for split in present(report):
        earlier = stored.get(split) or {}
        report[split].update({name: earlier.get(name) for name in ("qcpr", "wasserstein")})
    if any(report[split]["qcpr"] for split in present(report)):
        report["record"]["qcpr"] = "of the stored report: no cells were given"
    kept: JSON = {name: stored[name] for name in ("truth", "artifact_on") if name in stored}
    # runs of earlier versions have no field metrics, or others
    if side == "all" and (stored.get("field") or {}).get("schema") == FIELD_SCHEMA:
        kept["field"] = stored["field"]
    return report | kept


def _observed_table(run: Run) -> pd.DataFrame:
    """Effects over all cells of each perturbation, with their standard errors."""
    observed = observed_effects(run.moments)
    assert observed.se is not None
    assert observed.n_cells is not None
    table = observed.to_frame().rename(columns={"effect": "observed"})
    table = table[["perturbation", "gene", "observed"]]
    table["se"] = observed.se.ravel()
    return table.round(6).assign(n_cells=np.repeat(observed.n_cells, len(observed.genes)))


def _paired(observed: Effects, predicted: Effects, split: str, run: Run) -> pd.DataFrame:
    table = (
        observed.to_frame().rename(columns={"effect": "observed"}).drop(columns=["lower", "upper"])
    )
    told = predicted.rows(observed.perturbations).columns(observed.genes).to_frame()
    table["predicted"] = told["effect"]
    table[["lower", "upper"]] = told[["lower", "upper"]]
    support = {label: run.support(label) for label in observed.perturbations}
    return table.assign(split=split, support=table["perturbation"].map(support))

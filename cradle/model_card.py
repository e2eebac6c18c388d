"""What there is to know about a trained model before trusting it: data, support, scores, limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cradle.data.schema import CONTROL

if TYPE_CHECKING:
    from cradle.runs import Run

SPLITS = ("test", "val", "train", "all")
SCORES = ("ate_rho", "ate_r2", "jaccard_50", "sign_accuracy")
FEW_CELLS = 30


def model_card(run: Run) -> dict[str, Any]:
    """Sections of the card of a finished run, as plain values for JSON.

    Returns
    -------
    dict
        model, data, support, training, scores, limits, versions.

    Raises
    ------
    InputError
        A file of the run is damaged.
    """
    table, config = run.perturbations, run.config
    kinds = table["perturbation"].map(lambda p: "combination" if "+" in p else "single")
    kinds[table["perturbation"] == CONTROL] = CONTROL
    seen = table["n_train"] > 0
    trained = run.library_sizes["artifact"]
    data = dict(run.provenance.get("data", {}))
    return {
        "model": {"name": run.model_name, "label": run.spec.label, "summary": run.spec.summary},
        "data": {
            **data,
            "train_cells": int(table["n_train"].sum()),
            "val_cells": int(table["n_val"].sum()),
            "test_cells": int(table["n_test"].sum()),
            "trained_on": "QC-passing cells only" if run.passing_only else "all training cells",
            "qc_failed_training_cells": int(trained.sum()),
        },
        "support": {
            "genes_perturbed_in_training": len(run.perturbed_genes),
            "single_perturbations_seen": int((seen & (kinds == "single")).sum()),
            "combinations_seen": int((seen & (kinds == "combination")).sum()),
            "held_out": sorted(run.held_out),
            "genes_modelled": len(run.genes),
            "fewer_than_30_training_cells": sorted(
                table.loc[seen & (table["n_train"] < FEW_CELLS), "perturbation"]
            ),
        },
        "training": {
            "mad": config["mad"],
            "criteria": list(config["criteria"]),
            "seed": config["seed"],
            "split_seed": config["split_seed"],
            "epochs": len(run.history),
            "seconds": run.provenance.get("seconds"),
            "finished": run.provenance.get("finished"),
            "command": run.provenance.get("command"),
            "requested_settings": dict(config.get("requested", {})),
            "settings": dict(config["settings"]),
        },
        "scores": scores(run.metrics),
        "limits": limits(run),
        "versions": dict(run.provenance.get("versions", {})),
    }


def scores(metrics: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Rows of the model, of the additive rule and of the ceiling, for each split that has them."""
    found = metrics or {}
    rows = []
    for split in SPLITS:
        additive = (found.get("floor") or {}).get("additive") or {}
        for who, values in (
            ("model", found.get(split)),
            ("floor: additive", additive.get(split)),
            ("ceiling", (found.get("ceiling") or {}).get(split)),
        ):
            if values and values.get("ate_rho") is not None:
                rows.append({"split": split, "who": who, **{s: values.get(s) for s in SCORES}})
    return rows


def limits(run: Run) -> list[str]:
    """What this run cannot say, in sentences."""
    found = []
    if not run.spec.generates:
        found.append("It predicts mean effects and generates no cells.")
    if run.spec.space == "expression":
        found.append(
            "Its likelihood is of ln(1 + 1e4·x/library size), not of counts: no pass rate of "
            "quality control applies, and its bound compares with no other model's."
        )
    if not run.spec.combinations:
        found.append("It cannot predict combinations that were not measured.")
    if run.spec.is_network and not run.spec.artifact:
        found.append("It knows no artifact: flawed and clean cells are one to it.")
    elif run.spec.artifact and not run.library_sizes["artifact"].any():
        found.append("No flawed cell was in training, so its artifact switch means nothing.")
    found += _against_the_rule(run.metrics or {}, bool(run.held_out))
    if not run.held_out:
        found.append("Nothing was held out, so no score tells how it does on unseen combinations.")
    if run.provenance.get("data", {}).get("simulated"):
        found.append("The cells are simulated: nothing here was measured.")
    unjudged = run.thresholds.not_generable
    if unjudged:
        names = ", ".join(unjudged)
        found.append(f"On generated cells these criteria cannot be judged: {names}.")
    found.append("It describes the cells, genes and kind of perturbation of its data only.")
    return found


def _against_the_rule(metrics: Mapping[str, Any], held_out: bool) -> list[str]:
    """Whether it is ahead of adding up single effects, on the cells that it never saw; of
    combinations where some were held out."""
    rule = ((metrics.get("floor") or {}).get("additive") or {}).get("test") or {}
    mine, theirs = ((s or {}).get("ate_rho") for s in (metrics.get("test"), rule))
    if mine is None or theirs is None:
        return []
    words = "ahead of" if mine > theirs else "not ahead of"
    where = "held-out combinations" if held_out else "cells kept apart"
    return [
        f"On {where} it is {words} adding up the single effects "
        f"(ATE-ρ {mine:.2f} against {theirs:.2f})."
    ]

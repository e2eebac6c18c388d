"""The list of runs: their cards, two of them side by side, and the removal of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from cradle.evaluation.metrics import METRICS
from cradle.files import without_formulas
from cradle.jobs.queue import active_jobs
from cradle.model_card import SCORES, model_card
from cradle.plots.curves import validation_curves
from cradle.run_folders import deletable, delete_run, runs_folder
from cradle.ui import library, store
from cradle.ui.errors import guard
from cradle.ui.figures import figure_with_table
from cradle.ui.jobs_view import duration, epochs_in_words, read_history
from cradle.ui.labels import GLOSSARY, safe_label, safe_text, split_name, with_criteria_named
from cradle.ui.summaries import unseen

SECONDS_OF = ("Means of the perturbations, training and saving; without quality control before "
              "and scoring after.")  # fmt: skip


def listing() -> list[library.RunEntry]:
    """All finished runs as a table; returns them."""
    entries = list(library.all_runs())
    st.subheader("Runs")
    if not entries:
        st.info("No run yet. Train one above; it appears here when it is done.")
        return []
    rows = []
    for entry in entries:
        with guard():
            rows.append(_row(entry))
    table = pd.DataFrame(rows)
    scores = {
        name: st.column_config.NumberColumn(METRICS[name].label, format="%.2f",
                                            help=METRICS[name].explanation)
        for name in ("ate_rho", "jaccard_50")
    }  # fmt: skip
    seconds = st.column_config.NumberColumn("fit, seconds", format="%.1f", help=SECONDS_OF)
    st.dataframe(table, hide_index=True, placeholder="–", key="runs",
                 column_config={**scores, "seconds": seconds})  # fmt: skip
    st.download_button(
        "Download CSV", lambda: without_formulas(table).to_csv(index=False).encode(), "runs.csv",
        "text/csv", icon=":material/download:", on_click="ignore",
    )  # fmt: skip
    st.caption("Scores: of held-out combinations where the run has some, else of test cells that "
               "were kept apart, else of validation cells, as *scored on* says; all observed cells "
               "of these, effects against control.")  # fmt: skip
    incomplete = _incomplete()
    if incomplete:
        st.caption(
            f"Incomplete, not listed: {', '.join(map(safe_label, incomplete))}. The same `fit` "
            "command with `--resume` continues them."
        )
    return entries


def _row(entry: library.RunEntry) -> dict[str, Any]:
    run = store.run_at(str(entry.path))
    metrics = run.metrics or {}
    split = "test" if metrics.get("test") else "val"
    scored = metrics.get(split) or {}
    return {
        "run": safe_label(entry.name), "dataset": safe_label(entry.dataset),
        "model": run.spec.label, "k (MAD)": run.config["mad"], "seed": run.config["seed"],
        "scored on": split_name(split, unseen(run.perturbations)) if scored else None,
        "ate_rho": scored.get("ate_rho"), "jaccard_50": scored.get("jaccard_50"),
        "seconds": run.provenance.get("seconds"),
        "finished (UTC)": str(run.provenance.get("finished") or "–")[:16].replace("T", " "),
        "whose": "own" if deletable(entry.path) else "shipped",
    }  # fmt: skip


def _incomplete() -> list[str]:
    at_work = {job.subject for job in active_jobs()}
    return [
        path.parent.name
        for path in sorted(runs_folder().glob("*/config.json"))
        if not (path.parent / "DONE").exists() and str(path.parent.resolve()) not in at_work
    ]


def card(entries: list[library.RunEntry], chosen: str | None) -> None:
    """The card of one run, with its removal, and another one beside it."""
    by_name = {entry.name: entry for entry in entries}
    names = list(by_name)
    left, right = st.columns(2)
    first = left.selectbox(
        "Model card of", names, index=names.index(chosen) if chosen in names else 0, key="card",
        bind="query-params", format_func=safe_label,
    )  # fmt: skip
    second = right.selectbox(
        "Compare with", ["none", *(n for n in names if n != first)], key="card_beside",
        bind="query-params", format_func=safe_label,
    )  # fmt: skip
    if second == "none":
        _card(by_name[first])
        _removal(by_name[first])
    else:
        _compare(by_name[first], by_name[second])


def _card(entry: library.RunEntry) -> None:
    run = store.run_at(str(entry.path))
    found = model_card(run)
    data, support, training = found["data"], found["support"], found["training"]
    with st.container(border=True):
        st.markdown(f"#### {safe_label(entry.name)}")
        if data.get("simulated"):
            st.badge("simulated", icon=":material/science:", color="violet",
                     help="Trained on simulated cells.")  # fmt: skip
        st.markdown(f"**{found['model']['label']}** – {found['model']['summary']}")
        one, two = st.columns(2, gap="large")
        one.markdown(
            f"**Trained on** {safe_label(data.get('name'))}, hash "
            f"`{str(data.get('hash', ''))[:12]}`  \n"
            f"{data['train_cells']:,} training, {data['val_cells']:,} validation and "
            f"{data['test_cells']:,} held-out cells × {support['genes_modelled']:,} genes; "
            f"{data['trained_on']}, {data['qc_failed_training_cells']:,} of them fail QC at "
            f"k = {training['mad']:g} MAD.",
            help=GLOSSARY["mad"],
        )
        held = ", ".join(map(safe_label, support["held_out"][:6])) or "none"
        few = ", ".join(map(safe_label, support["fewer_than_30_training_cells"][:6])) or "none"
        two.markdown(
            f"**Support** {support['genes_perturbed_in_training']} genes perturbed: "
            f"{support['single_perturbations_seen']} alone, {support['combinations_seen']} "
            f"combinations.  \nHeld out ({len(support['held_out'])}): {held}.  \n"
            f"Fewer than 30 training cells: {few}.",
            help=GLOSSARY["held_out"],
        )
        _scores(found["scores"], "card_scores")
        st.markdown(
            "**Limits**\n"
            + "\n".join(f"- {safe_text(with_criteria_named(line))}" for line in found["limits"])
        )
        seconds = training["seconds"]
        spent = "" if seconds is None else f", fit in {duration(float(seconds))}"
        st.caption(
            f"Seed {training['seed']}, split seed {training['split_seed']}, "
            f"{epochs_in_words(training['epochs'])}{spent}, finished {training['finished']}.",
            help=SECONDS_OF,
        )
        with st.expander("Settings, versions and command", icon=":material/tune:"):
            if training["command"]:
                st.code(training["command"], language=None)
            flat = [*training["settings"].items(), *found["versions"].items()]
            table = pd.DataFrame(
                {"setting": [k for k, _ in flat], "value": [safe_text(str(v)) for _, v in flat]}
            )
            st.dataframe(table, hide_index=True, key="card_settings")
        st.download_button(
            "Card (.json)", lambda: json.dumps(found, indent=2).encode(),
            f"{entry.name}_card.json", "application/json", icon=":material/download:",
            on_click="ignore",
        )  # fmt: skip


def _scores(rows: list[dict[str, Any]], key: str) -> None:
    if not rows:
        st.caption("Not scored yet: `python -m cradle evaluate RUN_DIR`.")
        return
    columns = {
        name: st.column_config.NumberColumn(METRICS[name].label, format="%.2f",
                                            help=METRICS[name].explanation)
        for name in SCORES
    }  # fmt: skip
    st.dataframe(pd.DataFrame(rows), hide_index=True, placeholder="–", key=key,
                 column_config=columns)  # fmt: skip


def _compare(first: library.RunEntry, second: library.RunEntry) -> None:
    """What differs between two runs: settings, scores, curves."""
    cards = {e.name: model_card(store.run_at(str(e.path))) for e in (first, second)}
    if first.data_hash != second.data_hash:
        st.warning("These runs learned from different data, so their scores cannot be compared.",
                   icon=":material/warning:")  # fmt: skip
    elif len({str(c["support"]["held_out"]) for c in cards.values()}) > 1:
        st.warning("These runs held out different combinations, so their test scores are of "
                   "different cells.", icon=":material/warning:")  # fmt: skip
    histories = {
        safe_label(e.name): h for e in (first, second)
        if (h := read_history(Path(e.path))) is not None
    }  # fmt: skip
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**What differs**")
        flat = {name: _flat(found) for name, found in cards.items()}
        keys = dict.fromkeys(k for values in flat.values() for k in values)
        table = pd.DataFrame(
            [{"setting": key, **{safe_label(n): v.get(key, "–") for n, v in flat.items()}}
             for key in keys if len({str(v.get(key)) for v in flat.values()}) > 1]
        )  # fmt: skip
        if table.empty:
            st.caption("Nothing: the two runs were asked for alike.")
        else:
            st.dataframe(table, hide_index=True, key="differences")
    with right:
        st.markdown("**Scores**")
        rows = [{"run": safe_label(name), **row} for name, found in cards.items()
                for row in found["scores"] if row["who"] == "model"]  # fmt: skip
        _scores(sorted(rows, key=lambda row: str(row["split"])), "compared_scores")
        st.caption("One seed each: a difference smaller than the spread over seeds means nothing.")
    if first.data_hash != second.data_hash:
        st.caption("Their validation bounds are of different data, so no curves are drawn here.")
    elif histories:
        table = pd.concat([h.assign(run=name) for name, h in histories.items()])
        figure_with_table(
            validation_curves(histories, title="Validation bound by epoch (lower is better)"),
            table, f"curves_{first.name}_{second.name}",
            alt="Negative validation bound of both runs by epoch.",
            simulated=bool(cards[first.name]["data"].get("simulated")),
        )  # fmt: skip


def _flat(found: dict[str, Any]) -> dict[str, str]:
    """What was asked for: model, data and training, one value a key."""
    training = {k: v for k, v in found["training"].items()
                if k not in ("settings", "requested_settings", "finished", "command")}  # fmt: skip
    data = {f"data: {k}": found["data"].get(k) for k in ("name", "hash", "trained_on")}
    parts = {"model": found["model"]["label"], **data, **training, **found["training"]["settings"]}
    return {key: safe_text(str(value)) for key, value in parts.items()}


def _removal(entry: library.RunEntry) -> None:
    if not deletable(entry.path):
        st.caption("This run came with the software and stays.")
        return
    with st.popover("Delete this run", icon=":material/delete:"):
        st.markdown(
            f"**{safe_label(entry.name)}** and everything in its folder will be gone. "
            "This cannot be undone."
        )
        if st.button("Delete it for good", key=f"delete_{entry.name}", type="primary"):
            with guard():
                delete_run(entry.path)
                st.rerun()

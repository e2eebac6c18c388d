"""What speaks for and against a run's effects: coverage of its intervals, and the known truth."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from cradle.evaluation.effects import POSTERIOR_ALONE
from cradle.models.baselines import BASELINES
from cradle.ui import store
from cradle.ui.labels import GLOSSARY, safe_label

if TYPE_CHECKING:
    from cradle.runs import Run

CARD = 165  # pixels: two beside each other on a phone
_TRUTH = {
    "effect_correlation_seen": (
        "trained on", "perturbation", "Perturbations whose cells the model was trained on."),
    "effect_correlation_heldout": (
        "held out", "pair",
        "Pairs that it never saw, whose true effect is the sum of the singles."),
    "effect_correlation_heldout_interacting": (
        "held out, interacting", "pair",
        "Pairs that it never saw and whose genes interact: the interaction cannot be known from "
        "the single genes."),
}  # fmt: skip


def interval_words(run_path: str, label: str | None = None) -> str:
    """What the bars of predicted effects are; runs of earlier versions did not widen them.

    Parameters
    ----------
    run_path
        Folder of the run.
    label
        The perturbation that is shown; by default all of the run.
    """
    run = store.run_at(run_path)
    if run.widening == POSTERIOR_ALONE:
        return GLOSSARY["posterior"]
    shown = run.perturbations["perturbation"] if label is None else [label]
    pairs = any("+" in name for name in shown)
    return " ".join([GLOSSARY["interval"], *[GLOSSARY["interval_pairs"]] * pairs])


def coverage(run_path: str, split: str, words: str) -> None:
    """How many observed effects lie in the intervals of the model.

    Parameters
    ----------
    run_path, split
        Of the stored evaluation; nothing is drawn where it has no intervals.
    words
        What the split is called on the page.
    """
    found = (store.scores_at(run_path).get("coverage") or {}).get(split)
    if not found:
        return
    level = f"{100 * found['level']:.0f} %"
    fitted_here = split == "val" and store.run_at(run_path).widening != POSTERIOR_ALONE
    st.markdown(f"**How many of the {level} intervals hold the observed effect?**")
    with st.container(horizontal=True, gap="small"):
        st.metric(
            "Widened by the noise of the cells", _percent(found["with_sampling_error"]),
            border=True, width=CARD, delta=f"{level} promised", delta_color="off",
            delta_arrow="off",
            help="The interval of the prediction, widened by the sampling noise of the observed "
            "effect, its variance pooled with control. Well below the promise: the model is too "
            "sure.",
        )  # fmt: skip
        st.metric(
            "As drawn in the figures", _percent(found["posterior"]), border=True, width=CARD,
            delta="noise left out", delta_color="off", delta_arrow="off",
            help="The drawn intervals are about the true mean of infinitely many cells. An "
            "observed effect is of a few and has their noise besides, so fewer lie inside.",
        )  # fmt: skip
    st.caption(
        f"{found['n']:,} effects of {found['n_perturbations']} perturbations, {words}, all cells, "
        f"against control; {found['n_left_out']:,} without a count on either side left out. The "
        "intervals that figures draw are about the true mean: the noise of the observed cells, "
        "which moves the observed effect, is not in them."
        + (" The intervals were set on these very cells." if fitted_here else "")
    )


def truth(run: Run) -> None:
    """Correlation of predicted and true effects beside that of simple rules and of the observed
    effects; nothing where no truth is known."""
    found = store.scores_at(str(run.path)).get("truth")
    if not found:
        return
    st.subheader("Against the truth")
    interacting = found.get("interacting_pairs", [])
    groups = compared_with_truth(run, interacting)
    columns = {"who": st.column_config.TextColumn("", width=150)}
    counted = []
    for name, (words, of, explanation) in _TRUTH.items():
        n = len(groups[name])
        counted.append(f"{words}: {n} {of}{'s' * (n != 1)}")
        columns[name] = st.column_config.NumberColumn(words, format="%.2f", help=explanation)
    columns["artifact_correlation"] = st.column_config.NumberColumn(
        "artifact", format="%.2f",
        help="What the artifact switch changes in each gene, against what the simulated "
        "artifacts change on average, over all their kinds.")  # fmt: skip
    st.dataframe(truth_rows(run.name, found), hide_index=True, placeholder="–", key="truth",
                 column_config=columns)  # fmt: skip
    st.caption(
        "This screen is simulated, so the true effects are known. Correlation, over perturbations "
        "and genes, of the predicted effects with the true ones, not the observed ones. "
        f"{'; '.join(counted).capitalize()}. Floor: {GLOSSARY['floor']} Observed: the effects "
        "measured on all cells of the perturbation, with their noise and artifacts; those of "
        "held-out pairs the model has not seen. A dash: not applicable. "
        + interacting_words(interacting, run.held_out)
        + covered_words(found)
    )


def truth_rows(name: str, found: Mapping[str, Any]) -> pd.DataFrame:
    """The model, the simple rules that have a correlation, and the observed effects, a row each.

    Runs of earlier versions have the row of the model alone.
    """
    floor = found.get("floor") or {}
    sections = {
        safe_label(name): found,
        **{f"floor: {rule.label}": floor.get(key) or {} for key, rule in BASELINES.items()},
        "observed": found.get("observed") or {},
    }
    table = pd.DataFrame.from_dict(sections, orient="index")
    table = table.reindex(columns=[*_TRUTH, "artifact_correlation"]).astype(float)
    told = table.notna().any(axis=1) | (table.index == safe_label(name))
    return table[told].rename_axis("who").reset_index()


def compared_with_truth(run: Run, interacting: Collection[str]) -> dict[str, list[str]]:
    """The perturbations behind each correlation: those of the run that it has an effect for."""
    table, told = run.perturbations.set_index("perturbation"), set(run.predicted_effects.applicable)
    held_out = set(run.held_out)
    seen = [p for p in table.index[table["n_train"] > 0] if p not in held_out]
    groups = (seen, sorted(held_out - set(interacting)), sorted(held_out & set(interacting)))
    return {
        name: [p for p in labels if p in told] for name, labels in zip(_TRUTH, groups, strict=True)
    }


def interacting_words(interacting: Collection[str], held_out: Collection[str]) -> str:
    """Which pairs interact, those that the model was trained on apart; empty without any."""
    parts = {
        "held out": [p for p in interacting if p in held_out],
        "trained on": [p for p in interacting if p not in held_out],
    }
    words = [f"{kind}: {', '.join(map(safe_label, who))}" for kind, who in parts.items() if who]
    return f"Pairs whose genes interact, {'; '.join(words)}." if words else ""


def covered_words(found: Mapping[str, Any]) -> str:
    """How many true effects the intervals hold; empty where that is not known."""
    parts = {
        words: found.get(name.replace("effect_correlation", "interval_coverage"))
        for name, (words, _, _) in _TRUTH.items()
    }
    told = [f"{_percent(share)} ({words})" for words, share in parts.items() if share is not None]
    return f" The drawn 95 % intervals hold {', '.join(told)} of the true effects." if told else ""


def _percent(share: float) -> str:
    return f"{math.floor(100 * share + 0.5)} %"  # halves up, as readers round

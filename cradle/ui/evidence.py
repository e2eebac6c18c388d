"""What speaks for and against a run's effects: coverage of its intervals, and the known truth."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from cradle.evaluation.effects import POSTERIOR_ALONE
from cradle.models.baselines import BASELINES
from cradle.ui import comparison, store
from cradle.ui.labels import GLOSSARY, safe_label

if TYPE_CHECKING:
    from cradle.evaluation.beside_rule import BesideRule
    from cradle.runs import Run

_CERTAIN = "more than chance"
_OPEN = "so who is ahead is open"
MUCH_BY_CHANCE = 0.1  # Jaccard-50 of random lists; below 275 genes it is more
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


def beside_rule(terms: comparison.Terms, with_targets: bool) -> None:
    """Who is ahead in ATE-R², the model or the best rule, and how far to trust it."""
    found = comparison.beside_best_rule(terms, with_targets)
    if found is None or not found.everything.ahead:
        return
    stored = store.scores_at(terms.run_path).get("beside_rule") or {}
    # the stored evaluation is of one view of the page
    of_view = terms == comparison.Terms(terms.run_path, terms.split) and with_targets
    error = (stored.get(terms.split) or {}).get("standard_error") if of_view else None
    st.markdown(" ".join(filter(None, (distance_words(found, error), rests_on(found)))))


def few_genes(run: Run) -> None:
    """Warns where lists of 50 genes overlap by chance, for a panel is small."""
    n = len(run.moments.genes)
    by_chance = min(50, n) / (2 * n - min(50, n))
    if by_chance > MUCH_BY_CHANCE:
        st.caption(
            f":material/warning: Of {n} genes, two lists of 50 drawn at random share "
            f"{by_chance:.2f} on average: Jaccard-50 says little here."
        )


def distance_words(found: BesideRule, error: float | None) -> str:
    """How far model and best rule are apart in ATE-R², beside its standard error where known."""
    (model, rule, _), name = found.everything, BASELINES[found.rule].label
    who = "The model is ahead of" if model > rule else "The model is behind"
    words = f"**{who} the best simple rule** ({name}) in ATE-R²: {model:.2f} against {rule:.2f}"
    if error is None:
        return words + "."
    ratio = abs(model - rule) / error
    return words + (
        f". With other cells, as many, the distance would be another by ± {error:.2g} (standard "
        f"error): it is {ratio:.1f} of these, {_CERTAIN if ratio > 2 else _OPEN}."
    )


def rests_on(found: BesideRule) -> str:
    """Whether one gene or one perturbation decides who is ahead; empty where there is no second
    one of either."""
    tried = [of for of, pair in found.without.items() if pair is not None]
    turned = found.turned_by()
    if not turned:
        return f"No single {' or '.join(tried)} decides that." if tried else ""
    parts = [f"without {safe_label(str(pair.left_out))} they are {pair.model:.2f} and "
             f"{pair.rule:.2f}" for _, pair in turned]  # fmt: skip
    who = " and a single ".join(of for of, _ in turned)
    return f"**A single {who} decide{'s' * (len(turned) == 1)} that**: {', '.join(parts)}."


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
    st.markdown(f"**How many of the {level} intervals hold the observed effect?**")
    with st.container(horizontal=True, gap="small"):
        st.metric(
            "Widened by the noise of the cells", _percent(found["with_sampling_error"]),
            border=True, width=CARD, delta=f"{level} promised", delta_color="off",
            delta_arrow="off",
            help="The interval of the prediction, widened by the sampling noise of the observed "
            "effect. Well below the promise: the model is too sure.",
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
    return f"{100 * share:.0f} %"

"""Scores of a run's effects between floor and ceiling, and what to beware of in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cradle.data.schema import CONTROL
from cradle.evaluation.metrics import EFFECT_METRICS, METRICS
from cradle.evaluation.moments import MIN_CELLS
from cradle.models.baselines import BASELINES
from cradle.ui import comparison, store
from cradle.ui.labels import GLOSSARY, safe_label

if TYPE_CHECKING:
    from cradle.evaluation.beside_rule import BesideRule
    from cradle.runs import Run
    from cradle.ui.effects_view import View

N_NAMED = 5
CLEAR = 2  # standard errors from which a distance is more than chance
_NEGLIGIBLE = 0.005  # below it a score would be shown as -0.00
MUCH_BY_CONTROL = 0.02
MUCH_BY_CHANCE = 0.1  # Jaccard-50 of random lists; below 275 genes it is more


def score_table(run: Run, view: View) -> None:
    """Scores of the model between floor and ceiling."""
    table = comparison.score_rows(view.terms, view.targets).copy()
    rules = {name: f"floor: {rule.label}" for name, rule in BASELINES.items()}
    names = {comparison.MODEL: safe_label(run.name), **rules}
    table["who"] = table["who"].map(lambda who: names.get(who, who))
    scores = table[list(EFFECT_METRICS)]
    table[list(EFFECT_METRICS)] = scores.mask(scores.abs() < _NEGLIGIBLE, 0.0)
    st.subheader("Between floor and ceiling")
    st.dataframe(
        table, hide_index=True, placeholder="–", key="scores",
        column_config={
            "who": st.column_config.TextColumn("", width="medium"),
            "perturbations": st.column_config.NumberColumn(
                help="Rules that do not apply to every perturbation are scored on fewer, and then "
                "not comparable with the model."),
        } | {
            name: st.column_config.NumberColumn(METRICS[name].label, format="%.2f",
                                                help=METRICS[name].explanation)
            for name in EFFECT_METRICS},
    )  # fmt: skip
    st.caption(
        f"Of {view.words}; targeted genes {'counted' if view.targets else 'left out'}. "
        f"Floor: {GLOSSARY['floor']} Ceiling: {GLOSSARY['ceiling']} "
        f"Replicate: {GLOSSARY['replicate']} A dash: not applicable.{_on_fewer(table)}"
    )
    _few_cells(view)
    _few_genes(run)
    _beside_rule(view)


def _on_fewer(table: pd.DataFrame) -> str:
    """Names the rules that are scored on fewer perturbations than the model."""
    n = int(table["perturbations"].iloc[0])
    fewer = table[table["who"].str.startswith("floor: ") & (table["perturbations"] < n)]
    named = [f"{who.removeprefix('floor: ')} ({int(on)})"
             for who, on in zip(fewer["who"], fewer["perturbations"], strict=True)]  # fmt: skip
    if not named:
        return ""
    return (f" Not to be compared with the other rows: {', '.join(named)} – of {n} perturbations "
            "the rule applies to so many only.")  # fmt: skip


def _few_cells(view: View) -> None:
    """Which of the groups behind the scores have too few cells to trust."""
    terms = view.terms
    groups = comparison.few_cells(terms.run_path, terms.split, terms.side)
    if terms.perturbation is not None:
        groups = {name: n for name, n in groups.items() if name in (terms.perturbation, CONTROL)}
    if not groups:
        return
    named = [f"{safe_label(name)} ({n})" for name, n in groups.items()]
    more = f" and {len(named) - N_NAMED} more" * (len(named) > N_NAMED)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":orange-background[:material/warning: Fewer than {MIN_CELLS} observed cells] behind "
            f"{', '.join(named[:N_NAMED])}{more}: effects observed in so few are noisy, which "
            "lowers the scores of any model.", width="content",
        )  # fmt: skip
        if more:
            with st.popover(f"All {len(named)}"):
                st.markdown(", ".join(named))


def _few_genes(run: Run) -> None:
    """Warns where lists of 50 genes overlap by chance, for a panel is small."""
    n = len(run.moments.genes)
    by_chance = min(50, n) / (2 * n - min(50, n))
    if by_chance > MUCH_BY_CHANCE:
        st.caption(
            f":material/warning: Of {n} genes, two lists of 50 drawn at random share "
            f"{by_chance:.2f} on average: Jaccard-50 says little here."
        )


def _beside_rule(view: View) -> None:
    """Who is ahead in ATE-R², the model or the best rule, and how far to trust it."""
    terms = view.terms
    found = comparison.beside_best_rule(terms, view.targets)
    if found is None or not found.everything.ahead:
        return
    # the stored evaluation is of one view of the page
    of_view = terms == comparison.Terms(terms.run_path, terms.split) and view.targets
    stored = store.scores_at(terms.run_path) if of_view else {}
    rule, control = ((stored.get(name) or {}).get(terms.split) or {}
                     for name in ("beside_rule", "own_control"))  # fmt: skip
    words = (distance_words(found, rule.get("standard_error")), rests_on(found),
             control_words(found, control.get("ate_r2")))  # fmt: skip
    st.markdown(" ".join(filter(None, words)))


def distance_words(found: BesideRule, error: float | None) -> str:
    """How far model and best rule are apart in ATE-R², beside its standard error where known."""
    (model, rule, _), name = found.everything, BASELINES[found.rule].label
    where = "ahead of" if model > rule else "behind"
    verdict = f"The model is {where} the best simple rule** ({name})"
    against = f"{model:.2f} against {rule:.2f}"
    if error is None:
        return f"**{verdict} in ATE-R²: {against}."
    gap = abs(model - rule)
    if gap <= CLEAR * error:
        verdict = f"The model and the best simple rule** ({name}) **cannot be told apart**"
    return (
        f"**{verdict} in ATE-R²: {against}. With other cells, as many, that distance of {gap:.2f} "
        f"would vary by ±\u00a0{error:.2f} (standard error)."
    )


def rests_on(found: BesideRule) -> str:
    """Whether one gene or one perturbation decides who is ahead; empty where there is no second
    one of either."""
    tried = [of for of, pair in found.without.items() if pair is not None]
    turned = found.turned_by()
    if not turned:
        return f"No single {' or '.join(tried)} decides which is higher." if tried else ""
    parts = [f"without {safe_label(str(pair.left_out))} the model has {pair.model:.2f}, the rule "
             f"{pair.rule:.2f}" for _, pair in turned]  # fmt: skip
    who = " and a single ".join(of for of, _ in turned)
    decide = f"decide{'s' * (len(turned) == 1)}"
    return f"**A single {who} {decide} which is higher**: {', '.join(parts)}."


def control_words(found: BesideRule, with_observed: float | None) -> str:
    """What an error in the model's control costs in ATE-R², where that is worth a word.

    Where observed control is flawed and the model's is not, it is the other way round.
    """
    if with_observed is None or with_observed - found.everything.model < MUCH_BY_CONTROL:
        return ""
    return (
        "A part of its distance from 1 is how it predicts unperturbed cells, from which every "
        f"effect is taken: with those as observed it has {with_observed:.2f}."
    )

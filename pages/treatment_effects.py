"""Treatment effects: predicted against observed, gene by gene, beside the rules to beat."""

import streamlit as st

from cradle.ui import effects_beside, effects_scores, effects_view, evidence, picker
from cradle.ui.frame import show
from cradle.ui.quality_view import threshold_note
from cradle.ui.sidebar import Choices
from cradle.ui.store import needs_run


def body(choices: Choices) -> None:
    run = needs_run(choices)
    threshold_note(choices, "Effects and scores here are of the run as it was trained.")
    view = effects_view.ask(run)
    if view.terms.perturbation is not None:
        picker.support(run, view.terms.perturbation)
    left, right = st.columns([4, 3], gap="large")
    with left:
        clicked = effects_view.scatter(view)
    with right:
        effects_view.gene(choices, run, view, clicked)
    effects_scores.score_table(run, view)
    if choices.dataset.simulated:
        evidence.truth(run)
    evidence.coverage(str(run.path), view.terms.split, view.split)
    if view.terms.perturbation is None:
        effects_view.per_perturbation(view)
    else:
        effects_view.top(view)
    effects_beside.beside(choices, run, view)


show("effects", body)

"""Compare models: scores with their spread over seeds, between floor and ceiling, in words."""

import streamlit as st

from cradle.ui import compare_filters, compare_view
from cradle.ui.frame import show
from cradle.ui.sidebar import Choices


def body(choices: Choices) -> None:
    place = st.container()
    view = compare_filters.ask(choices)
    with place:
        compare_view.context(view, choices)
    compare_view.words(view)
    compare_view.figure(view)
    compare_view.one_score(view)
    compare_view.all_scores(view)
    compare_view.counterfactual_term()


show("compare", body, of_dataset=False)

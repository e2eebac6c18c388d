"""Embeddings: observed and generated cells on one map, and a number that is evidence."""

import streamlit as st

from cradle.ui import embedding_beside, embedding_view, selection_view
from cradle.ui.frame import show
from cradle.ui.sidebar import Choices


def body(choices: Choices) -> None:
    request = embedding_view.ask(choices)
    if request is None:
        st.info(
            "Choose what to show and press **Compute the map**. 2,000 cells take a few seconds "
            "with PCA and up to a minute with UMAP or t-SNE; the map is then kept.",
            icon=":material/arrow_upward:",
        )
        return
    drawn = embedding_view.compute(request)
    selected = embedding_view.draw(choices, request, drawn)
    embedding_view.evidence(drawn)
    selection_view.describe(choices, drawn, selected)
    embedding_beside.beside(choices, request)


show("embeddings", body)

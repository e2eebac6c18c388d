"""Overview: what this is, the chosen dataset and run at a glance, where to go next."""

import streamlit as st

from cradle.ui import glance, store, tour
from cradle.ui.frame import show
from cradle.ui.navigation import link
from cradle.ui.sidebar import Choices

NEXT = (
    ("quality", "generate", "effects", "embeddings", "interactions"),
    ("compare", "inside", "train", "data", "methods"),
)


def body(choices: Choices) -> None:
    st.markdown(
        "See what perturbing a gene, or a pair of genes, does to single cells – measured and "
        "predicted side by side.  \n"
        "A model learns from a CRISPR screen, then generates cells for combinations that nobody "
        "has measured.  \n"
        "It also learns what broken, contaminated or doubled cells look like (the *artifact*), and "
        "can leave that out.  \n"
        "Every prediction comes with the evidence for it: cells behind each gene, intervals, and "
        "simple rules to beat.  \n"
        "Every figure comes with its table; both are yours to download."
    )
    tour.welcome(choices)
    left, right = st.columns(2, gap="large")
    with left:
        glance.dataset(choices)
    with right:
        glance.run(choices, store.run(choices))
    st.subheader("Where to go next")
    for column, keys in zip(st.columns(2), NEXT, strict=True):
        with column:
            for key in keys:
                link(key)


show("overview", body)

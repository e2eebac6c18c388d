"""Quality control: which cells are flawed, by which criterion, and whether it is biology."""

import streamlit as st

from cradle.ui import quality, quality_view, quality_violins
from cradle.ui.frame import show
from cradle.ui.sidebar import Choices


def body(choices: Choices) -> None:
    quality_view.threshold_note(choices)
    found, fitted = quality.flags(choices), quality.thresholds(choices)
    if found is None:
        quality_view.without_cells(choices, fitted)
        return
    quality_view.headline(found, fitted)
    quality_view.doublet_button(choices)
    quality_view.not_measurable(fitted)
    quality_view.biology(choices)
    st.subheader(quality_violins.heading(found))
    quality_violins.violin_grid(choices, found, fitted)
    st.subheader("Thresholds")
    quality_view.threshold_table(found, fitted)
    left, right = st.columns(2, gap="large")
    with left:
        quality_view.overlap(found, fitted)
    with right:
        quality_view.per_perturbation(choices, found)


show("quality", body)

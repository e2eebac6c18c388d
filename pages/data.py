"""Data: what is in the screen, where it comes from, other datasets, and one's own file."""

import streamlit as st

from cradle.ui import data_view, upload_view
from cradle.ui.frame import show
from cradle.ui.sidebar import Choices


def body(choices: Choices) -> None:
    screen, catalogue, upload = st.tabs(["This dataset", "Catalogue", "Your own file"])
    with screen:
        data_view.composition(choices)
        data_view.provenance(choices)
    with catalogue:
        data_view.catalogue()
    with upload:
        upload_view.upload()


show("data", body)

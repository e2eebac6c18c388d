"""The app: ``streamlit run app.py``."""

import streamlit as st

from cradle.ui.frame import route
from cradle.ui.navigation import ROOT

st.set_page_config(page_title="Cradle", page_icon=str(ROOT / "assets" / "icon.svg"), layout="wide")
route()

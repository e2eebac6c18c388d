"""The app: ``streamlit run app.py``."""

from cradle.ui.frame import route
from cradle.ui.navigation import configure

configure()
route()

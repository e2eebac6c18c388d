"""The pages of the app, once; the router and every link read this list."""

from pathlib import Path
from typing import NamedTuple

import streamlit as st

ROOT = Path(__file__).resolve().parents[2]


class PageSpec(NamedTuple):
    """One page: its file in ``pages/``, title, icon and what it answers."""

    file: str
    title: str
    icon: str
    answers: str


PAGES = {
    "overview": PageSpec("overview.py", "Overview", ":material/home:", "what is this"),
    "data": PageSpec("data.py", "Data", ":material/database:",
                     "what was measured; your own file"),
    "quality": PageSpec("quality_control.py", "Quality control", ":material/rule:",
                        "which cells are flawed"),
    "train": PageSpec("train.py", "Train", ":material/model_training:",
                      "a model on your cells, in the background"),
    "generate": PageSpec("generate.py", "Generate", ":material/genetics:",
                         "cells of any combination"),
    "embeddings": PageSpec("embeddings.py", "Embeddings", ":material/scatter_plot:",
                           "a map of the cells"),
    "effects": PageSpec("treatment_effects.py", "Treatment effects", ":material/monitoring:",
                        "how right is it"),
    "interactions": PageSpec("interactions.py", "Interactions", ":material/hub:",
                             "which pairs are more than their sum; what to measure next"),
    "compare": PageSpec("compare_models.py", "Compare models", ":material/leaderboard:",
                        "which model is ahead, and by how much"),
    "inside": PageSpec("inside_the_model.py", "Inside the model", ":material/search_insights:",
                       "what the model has learned; one failed cell without its artifact"),
    "methods": PageSpec("methods.py", "Methods", ":material/menu_book:",
                        "definitions and limits"),
}  # fmt: skip


_STYLE = (
    # Streamlit leaves a hand's breadth free above and below each page.
    ".stMainBlockContainer {padding-top: 3.5rem; padding-bottom: 4rem}"
    # a link says where it leads to its end, also on a phone; so does the label of a number
    "[data-testid='stPageLink'] a *, [data-testid='stMetric'] :is(label, p)"
    "{white-space: normal !important; overflow: visible; height: auto}"
    # Streamlit writes white on the primary colour, which is pale in the dark theme: 2.3 to 1
    ".stApp [data-testid='stBaseButton-primary']:enabled, .stApp [data-tag], "
    ".stApp [data-tag] * {color: light-dark(#FFFFFF, #11181F)}"
    # the ring around what the keyboard is on is hardly seen otherwise
    ".stApp :is(a, button, [role='radio'], [role='tab']):focus-visible "
    "{outline: 2px solid light-dark(#0072B2, #56B4E9) !important; outline-offset: 1px}"
    # Streamlit tells Plotly the width of a column to more digits than Plotly measures, which then
    # draws all again; of whole pixels both think the same
    "[data-testid='stFullScreenFrame'] {width: round(down, 100%, 1px)}"
)
_PHONE = (
    # without a mouse the toolbar of a table always shows, over what stands above the table; the
    # box around it moves, whose height may be fixed
    "[data-testid='stElementContainer']:has(> * > [data-testid='stDataFrame']) {margin-top: 2.2rem}"
    # four columns of sentences do not fit beside each other
    ".st-key-departures thead {display: none}"
    ".st-key-departures :is(table, tbody, tr, th, td) {display: block; width: 100%}"
    ".st-key-departures :is(th, td) {white-space: normal}"
    ".st-key-departures :is(th, td) :is(div, p) {display: inline}"
    ".st-key-departures th p {font-weight: 600}"
    ".st-key-departures td:nth-of-type(1)::before {content: 'Published: '}"
    ".st-key-departures td:nth-of-type(2)::before {content: 'Here: '}"
    ".st-key-departures td:nth-of-type(3)::before {content: 'Why: '}"
)


def configure() -> None:
    """Title, width and icon of the app; with the icon at hand, no browser asks the web for one."""
    icon = str(ROOT / "assets" / "icon.svg")
    st.set_page_config(page_title="Cradle", page_icon=icon, layout="wide")
    st.html(f"<style>{_STYLE}@media (max-width: 640px) {{{_PHONE}}}</style>")


def navigation() -> st.Page:
    """Streamlit's navigation over all pages; returns the page to run."""
    pages = [
        st.Page(ROOT / "pages" / spec.file, title=spec.title, icon=spec.icon, default=i == 0)
        for i, spec in enumerate(PAGES.values())
    ]
    return st.navigation(pages)


def link(key: str, text: str = "") -> None:
    """A link to another page; plain text where the page runs without the router.

    Parameters
    ----------
    key
        Key of ``PAGES``.
    text
        What is behind the link; the page's own question by default.
    """
    spec = PAGES[key]
    words = f"**{spec.title}** – {text or spec.answers}"
    if st.session_state.get("routed"):
        st.page_link(ROOT / "pages" / spec.file, label=words, icon=spec.icon)
    else:
        st.markdown(f"{spec.icon} {words}")


def go(key: str, asked: dict[str, list[str]]) -> None:
    """Open another page at once, with this in its link, which a value in the session alone would
    not reach; nothing happens where the page runs without the router."""
    if st.session_state.get("routed"):
        st.session_state["moved"] = True  # Streamlit empties the link; the sidebar fills it again
        st.switch_page(ROOT / "pages" / PAGES[key].file, query_params=asked)

"""Imports that later pages need, made while the reader looks at the first page."""

import gc
from importlib import import_module
from threading import Thread

import streamlit as st

#: In the order of the pages. What takes many seconds and few visitors need (umap) is left out.
_LATER = (
    "cradle.ui.data_view", "cradle.ui.quality_view", "cradle.evaluation.quality",
    "cradle.ui.effects_view", "cradle.ui.generate_view", "cradle.ui.embedding_view",
    "plotly.io", "cradle.prediction", "cradle.ui.interactions_tables", "cradle.ui.compare_view",
    "cradle.ui.inside_cell", "cradle.inside", "cradle.ui.methods_view", "cradle.ui.run_list",
    "cradle.models.registry",
)  # fmt: skip


@st.cache_resource
def start() -> None:
    """Begin once per server; a page that needs a module sooner waits for it as usual."""
    Thread(target=_import, name="imports", daemon=True).start()


def _import() -> None:
    for name in _LATER:
        import_module(name)
    # Streamlit collects garbage after every run of a script. The objects of the libraries, of
    # which none is garbage, would be looked through each time, for a quarter of a second.
    gc.collect()
    gc.freeze()

"""What is done beside the pages: imports that later ones need, and collecting garbage."""

import gc
import time
from importlib import import_module
from threading import Thread

import streamlit as st

#: In the order of the pages. What takes many seconds and few visitors need (umap) is left out.
_LATER = (
    "cradle.ui.data_view", "cradle.ui.quality_view", "cradle.evaluation.quality",
    "cradle.ui.effects_view", "cradle.ui.effects_scores", "cradle.ui.generate_view",
    "cradle.ui.embedding_view", "plotly.io", "cradle.prediction", "cradle.ui.interactions_tables",
    "cradle.ui.compare_view", "cradle.ui.inside_cell", "cradle.inside", "cradle.ui.methods_view",
    "cradle.ui.run_list", "cradle.models.registry",
)  # fmt: skip


#: Streamlit would collect after every run, which takes longer than many a run and finds a few
#: hundred small objects. Python itself collects when many were made; this is for few large ones.
_COLLECT_SECONDS = 30.0
_collected = time.monotonic()


@st.cache_resource
def start() -> None:
    """Begin once per server; a page that needs a module sooner waits for it as usual."""
    Thread(target=_import, name="imports", daemon=True).start()


def _import() -> None:
    for name in _LATER:
        import_module(name)
    # The objects of the libraries, of which none is garbage, are looked through no more.
    gc.collect()
    gc.freeze()


def collect() -> None:
    """Collect garbage, unless that was done a short while ago; for the end of a run."""
    global _collected
    now = time.monotonic()
    if now - _collected >= _COLLECT_SECONDS:
        _collected = now
        gc.collect()

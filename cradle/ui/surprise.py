"""A pair that nobody has measured, by chance."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import streamlit as st

from cradle.data.dosage import canonical, genes_of
from cradle.ui import store

if TYPE_CHECKING:
    from cradle.runs import Run


def unmeasured_pairs(run: Run) -> list[str]:
    """Pairs of genes that training cells carry each and no cell together; none where the model
    cannot combine genes."""
    return _pairs(str(run.path)) if run.spec.combinations else []


@st.cache_resource(max_entries=8, show_spinner=False)
def _pairs(path: str) -> list[str]:
    run = store.run_at(path)
    known = set(run.perturbations["perturbation"])
    pairs = (canonical(pair) for pair in itertools.combinations(run.perturbed_genes, 2))
    return [label for label in pairs if label not in known]


def pick(pairs: list[str]) -> None:
    """Ask for one of the pairs on the page Generate."""
    st.session_state["genes"] = list(genes_of(random.choice(pairs)))
    st.session_state["surprised"] = True


def button(run: Run) -> bool:
    """A button that picks a pair and asks for its cells; whether it, or the one on the page
    Overview, was pressed."""
    if pairs := unmeasured_pairs(run):
        st.button(
            "Surprise me", icon=":material/casino:", on_click=pick, args=(pairs,),
            help=f"One of the {len(pairs):,} pairs that nobody has measured here, although each of "
            "the two genes was.",
        )  # fmt: skip
    # not the button's own answer, which is lost when the page is drawn anew in between
    return bool(st.session_state.pop("surprised", False))

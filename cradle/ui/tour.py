"""A guided first visit: one step a page, each says what to look at and what to try."""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st

from cradle.ui import navigation, store, surprise
from cradle.ui.sidebar import Choices

_AT = "tour"  # in the session: number of the step; absent when nobody is on the tour


class Step(NamedTuple):
    """One stop: the page and what to do there."""

    page: str
    words: str


STEPS = (
    Step("overview", "The cards say how well the model foresees effects in cells that it was not "
         "trained on, beside what adding up single genes reaches and what the noise of the cells "
         "allows. "
         "The sidebar chooses dataset, threshold and model for all pages."),
    Step("quality", "Each violin is one measure of cell quality; cells in the shaded zone fail. "
         "**Try** another QC threshold in the sidebar and watch the counts move."),
    Step("generate", "**Press Surprise me**: cells of a pair that nobody has measured. The badge "
         "says what stands behind the prediction, *Top genes* what would change. The camera above "
         "the figure saves it."),
    Step("effects", "Is it right? Each point is one gene in one perturbation, in cells that the "
         "model was not trained on; on the dashed line the prediction is exact. **Click a "
         "point** to see its gene; the table below sets the model between simple rules and the "
         "best possible score."),
    Step("embeddings", "Observed and generated cells on one map. **Draw around some cells** with "
         "the lasso: what they are and which genes set them apart appears below."),
    Step("interactions", "Pairs that do more or less than their two genes added up, and further "
         "down, under *What to measure next*, those that nobody has measured."),
    Step("data", "Now your own: the tab *Your own file* checks an .h5ad and makes every page work "
         "on it; the page *Train* then fits a model to it in the background."),
)  # fmt: skip


def welcome(choices: Choices) -> None:
    """Two ways to begin, for whoever opens the app for the first time."""
    run = store.run(choices)
    pairs = [] if run is None else surprise.unmeasured_pairs(run)
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown("**New here?**", width="content")
        if run is not None and run.spec.generates and pairs:
            st.button(
                "Show me a pair that nobody has measured", type="primary",
                icon=":material/casino:", on_click=_surprise, args=(pairs,),
                help=f"One of {len(pairs):,} pairs, with the genes that it is predicted to "
                "change; a few seconds.",
            )  # fmt: skip
        st.button(f"Walk me through it, {len(STEPS)} steps", icon=":material/tour:",
                  on_click=_to, args=(0,))  # fmt: skip
    follow()


def _surprise(pairs: list[str]) -> None:
    surprise.pick(pairs)
    st.session_state["go"] = "generate", {"genes": st.session_state["genes"]}


def _to(number: int | None) -> None:
    """Go to a step; None ends the tour."""
    if number is None:
        st.session_state.pop(_AT, None)
        return
    st.session_state[_AT] = number
    st.session_state["go"] = STEPS[number].page, {}


def follow() -> None:
    """Open the page that a button has asked for; a callback cannot."""
    if wanted := st.session_state.pop("go", None):
        navigation.go(*wanted)


def strip(page: str) -> None:
    """The present step of the tour, on top of every page while it lasts."""
    follow()
    number = st.session_state.get(_AT)
    if number is None:
        return
    step = STEPS[number]
    with st.container(border=True, key="tour"):
        st.markdown(f":material/tour: **Step {number + 1} of {len(STEPS)}** – {step.words}"
                    if step.page == page else
                    f":material/tour: You have left step {number + 1} of {len(STEPS)}, page "
                    f"**{navigation.PAGES[step.page].title}**.")  # fmt: skip
        with st.container(horizontal=True):
            if step.page != page:
                st.button("Back to the tour", on_click=_to, args=(number,), type="primary")
            elif number + 1 < len(STEPS):
                title = navigation.PAGES[STEPS[number + 1].page].title
                st.button(f"Next: {title}", icon=":material/arrow_forward:", type="primary",
                          on_click=_to, args=(number + 1,))  # fmt: skip
            st.button("End the tour", icon=":material/close:", on_click=_to, args=(None,),
                      type="tertiary")  # fmt: skip

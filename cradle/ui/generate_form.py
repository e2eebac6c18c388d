"""What to generate: the form, and whether the cells on the page still answer it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import streamlit as st

from cradle.errors import InputError
from cradle.ui import generation, picker, surprise
from cradle.ui.labels import GLOSSARY, safe_label

if TYPE_CHECKING:
    from cradle.runs import Run

SHOWN = "generated"  # in the link: the cells were asked for


class Query(NamedTuple):
    """What to generate; see ``Predictor.generate``."""

    label: str
    n_cells: int
    artifact: generation.Switch
    seed: int
    library_size: float | None


def ask(run: Run) -> tuple[Query | None, bool]:
    """The form; the query last asked for with this run, and whether the form still says so."""
    if not run.spec.generates:
        raise InputError(
            "This model predicts effects but generates no cells.",
            f"{run.spec.label}: {run.spec.why_no_cells}.", "Choose another run in the sidebar.",
        )  # fmt: skip
    with st.container(border=True):
        label = picker.label(run)
        with st.container(horizontal=True, vertical_alignment="center"):
            lucky = surprise.button(run)
            picker.badge(run, label)
    # no st.form: that keeps a change to itself, and the page could not say that its cells are old
    with st.container(border=True):
        asked = _settings(run, label)
        pressed = st.button("Generate", type="primary", icon=":material/play_arrow:")
    linked = "query" not in st.session_state and st.query_params.get(SHOWN) == "yes"
    if pressed or lucky or linked:
        st.session_state["query"] = str(run.path), asked
    path, query = st.session_state.get("query", (None, None))
    query = query if path == str(run.path) else None
    _into_the_link(query == asked)
    return query, query == asked


def _settings(run: Run, label: str) -> Query:
    left, middle, right, last = st.columns([4, 3, 3, 3])
    artifact = left.segmented_control(
        "Artifact", ["off", "on", "twins"] if run.learned_artifact else ["off"], default="off",
        required=True, key="artifact", bind="query-params",
        help=f"{GLOSSARY['artifact']} Off: clean cells. On: flawed ones. {GLOSSARY['twins']}",
    )  # fmt: skip
    n_cells = middle.number_input("Cells", 10, 5000, 500, 50, key="n_cells", bind="query-params")
    size = right.number_input(
        "Library size (0: drawn)", 0, 200_000, 0, 1000, key="library_size",
        bind="query-params", help=GLOSSARY["library_size"] + " With 0 it is drawn from "
        "training cells: QC-passing ones with the artifact off and for twins, QC-failed ones with "
        "it on.",
    )  # fmt: skip
    seed = last.number_input("Seed", 0, 9999, 0, key="seed", bind="query-params",
                             help=GLOSSARY["seed"])  # fmt: skip
    switch = cast("generation.Switch", artifact)
    return Query(label, int(n_cells), switch, int(seed), float(size) or None)


def _into_the_link(answered: bool) -> None:
    """The link asks for the cells where those on the page are the ones that it would make."""
    if answered:
        st.query_params[SHOWN] = "yes"
    elif SHOWN in st.query_params:
        del st.query_params[SHOWN]


def outdated(query: Query) -> str:
    """What to say beside cells that the form no longer asks for."""
    of = f"{safe_label(query.label)}, artifact {query.artifact}"
    return f"These results are for {of}. Press Generate to update."


def nothing_yet() -> None:
    """Empty state."""
    pick = "Pick one or more genes; without any you get control cells. "
    st.info(
        f"{'' if st.session_state.get('genes') else pick}Press **Generate**: 500 cells take a few "
        "seconds.",
        icon=":material/arrow_upward:",
    )

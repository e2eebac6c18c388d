"""The choices that hold on every page: dataset, threshold, criteria, run. They live in the link."""

from dataclasses import dataclass

import streamlit as st

from cradle.data.qc import CRITERIA
from cradle.errors import InputError
from cradle.ui import library, store
from cradle.ui.labels import GLOSSARY, criterion_label, safe_label
from cradle.ui.navigation import ROOT

_KEYS = {"dataset", "mad", "k", "criteria", "run"}
_PRESETS = ("3", "4", "5", "custom")


@dataclass(frozen=True)
class Choices:
    """What the sidebar says.

    Parameters
    ----------
    dataset
        Entry of the library.
    mad
        Threshold k, in median absolute deviations.
    criteria
        QC criteria that count as artifact.
    run
        Entry of the library, or None when no model was trained on the dataset.
    """

    dataset: library.DatasetEntry
    mad: float
    criteria: tuple[str, ...]
    run: library.RunEntry | None


def draw() -> Choices:
    """Draw the sidebar and return its choices."""
    store.forget_changed(library.files())
    if st.session_state.pop("moved", False):
        for key in _KEYS & st.session_state.keys():
            st.session_state[key] = st.session_state[key]  # what is set anew goes into the link
    st.logo(str(ROOT / "assets" / "logo.svg"), size="large")
    with st.sidebar:
        dataset = _dataset()
        mad = _threshold()
        criteria = _criteria()
        run = _run(dataset)
        _format()
    return Choices(dataset, mad, criteria, run)


def _dataset() -> library.DatasetEntry:
    entries = library.datasets()
    if not entries:
        raise InputError(
            "There is no dataset to show.",
            "neither the shipped demo nor a downloaded file.",
            "Restore the folder assets/, or set CRADLE_DATA_DIR to a folder with data.",
        )
    if (wanted := st.session_state.pop("next_dataset", None)) in entries:
        st.session_state["dataset"] = wanted  # a page has asked for it
    elif "dataset" not in st.session_state and (linked := library.linked_upload()) in entries:
        library.name_of(str(entries[linked].source))  # it is here also when the link has gone
        st.session_state["dataset"] = linked  # a link may name it by its id alone
    name = st.selectbox("Dataset", list(entries), key="dataset", bind="query-params",
                        format_func=lambda name: entries[name].option,
                        help="More on the page Data.")  # fmt: skip
    entry = entries[name]
    if entry.simulated:
        st.badge("simulated", icon=":material/science:", color="violet",
                 help="Made by this project's simulator; its true effects are known.")  # fmt: skip
    note = "" if entry.source else ". The cells are not on this machine."
    st.caption(entry.title + note)
    return entry


def _threshold() -> float:
    preset = st.segmented_control(
        "QC threshold (MAD)", _PRESETS, default="3", required=True, key="mad",
        bind="query-params", help=GLOSSARY["mad"],
    )  # fmt: skip
    if preset != "custom":
        return float(preset or 3)
    return float(
        st.number_input("k", 0.5, 20.0, 3.5, 0.5, key="k", bind="query-params",
                        help="Any positive number of median absolute deviations.")
    )  # fmt: skip


def _criteria() -> tuple[str, ...]:
    with st.expander("What counts as artifact", icon=":material/rule:"):
        chosen = st.multiselect(
            "Criteria", CRITERIA, default=CRITERIA, format_func=criterion_label, key="criteria",
            bind="query-params", label_visibility="collapsed",
            help="Leave a criterion out when it is biology and not a flaw.",
        )  # fmt: skip
    return tuple(c for c in CRITERIA if c in chosen)


def count_all() -> None:
    """Let every criterion count as artifact."""
    st.session_state["criteria"] = list(CRITERIA)


def count(criterion: str, *, counts: bool) -> None:
    """Let one criterion count as artifact or not."""
    others = {c for c in st.session_state["criteria"] if c != criterion}
    chosen = others | {criterion} if counts else others
    st.session_state["criteria"] = [c for c in CRITERIA if c in chosen]


def _run(dataset: library.DatasetEntry) -> library.RunEntry | None:
    data_hash = None if dataset.source is None else store.hash_of(dataset.source)
    entries = library.runs(dataset, data_hash)
    if not entries:
        st.query_params.pop("run", None)
        st.caption("No model has been trained on this dataset yet.")
        return None
    if (wanted := st.session_state.pop("next_run", None)) in entries:
        st.session_state["run"] = wanted  # a page has asked for it
    asked = st.session_state.get("run", st.query_params.get("run"))
    if asked is not None and asked not in entries:  # of another dataset: neither here nor in links
        st.session_state["run"] = next(iter(entries))
    name = st.selectbox("Run (trained model)", list(entries), key="run", bind="query-params",
                        format_func=safe_label)  # fmt: skip
    return entries[name]


def _format() -> None:
    st.segmented_control(
        "Figures are saved as", ("svg", "png"), default="svg", required=True, key="format",
        persist_state="session", help="The camera above each figure saves it in this format.",
    )  # fmt: skip

"""Which datasets and runs there are to choose from; reads names only, no cells and no weights."""

import re
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from cradle.data.catalogue import DATASETS, locate
from cradle.run_folders import runs_folder
from cradle.run_tables import read_json, refuse_links
from cradle.ui.labels import safe_label
from cradle.ui.navigation import ROOT

SHIPPED_RUNS = ROOT / "assets" / "runs"
_UPLOAD = re.compile(r"upload-[0-9a-f]{12}")


@dataclass(frozen=True)
class DatasetEntry:
    """A dataset of the sidebar.

    Parameters
    ----------
    name
        Its id, as in links.
    title
        What it is, in a line.
    source
        What ``cradle.load`` takes; None when its cells are not on this machine.
    simulated
        Whether it was simulated, which is said wherever it appears.
    """

    name: str
    title: str
    source: str | None
    simulated: bool

    @property
    def uploaded(self) -> bool:
        """Whether a visitor brought it."""
        return bool(_UPLOAD.fullmatch(self.name))

    @property
    def option(self) -> str:
        """What it is called in lists and links; of an upload, what its file says and its id."""
        if not self.uploaded:
            return safe_label(self.name)
        return f"{safe_label(_recorded(str(self.source))[0])} · {self.name}"


@dataclass(frozen=True)
class RunEntry:
    """A trained model of the sidebar: its id, folder, and what it was trained on."""

    name: str
    path: Path
    dataset: str
    data_hash: str


def datasets() -> dict[str, DatasetEntry]:
    """Datasets whose cells are here or that a run was trained on, the demo first."""
    trained_on = {entry.dataset for entry in all_runs()}
    listed = {}
    for name, spec in DATASETS.items():
        here = locate(name)
        if here is not None or name in trained_on:
            source = None if here is None else name
            title = spec.title if spec.simulated else f"{spec.title} · {spec.modality}"
            listed[name] = DatasetEntry(name, title, source, spec.simulated)
    for name, path in _uploads().items():
        recorded, simulated = _recorded(str(path))
        title = st.session_state.get("uploads", {}).get(name, recorded)
        listed[name] = DatasetEntry(name, safe_label(str(title)), str(path), simulated)
    return dict(sorted(listed.items(), key=lambda item: item[0] != "demo"))


def runs(dataset: DatasetEntry, data_hash: str | None) -> dict[str, RunEntry]:
    """Finished runs trained on a dataset, by folder name.

    Parameters
    ----------
    dataset
        Entry of ``datasets``.
    data_hash
        Of its cells, which decides whatever the names say; None where they are not here.
    """
    if data_hash is not None:
        return {entry.name: entry for entry in all_runs() if entry.data_hash == data_hash}
    return {entry.name: entry for entry in all_runs() if entry.dataset == dataset.name}


def upload_path(name: str) -> Path:
    """Where an uploaded dataset is kept, under the name that the server gave it."""
    from platformdirs import user_cache_path

    return user_cache_path("cradle") / "uploads" / f"{name}.h5ad"


def add_upload(name: str, title: str) -> None:
    """Offer an uploaded dataset in the sidebar of this session."""
    st.session_state.setdefault("uploads", {})[name] = title


def name_of(source: str) -> str:
    """Name in the sidebar of what a fit was told to read; an upload of another visit is offered
    again."""
    name = Path(source).stem
    if Path(source) != upload_path(name):
        return source
    if name not in st.session_state.get("uploads", {}):
        add_upload(name, _recorded(source)[0])
    return name


def linked_upload() -> str | None:
    """Id of the upload that the link names, by itself or with what its file says."""
    found = _UPLOAD.search(st.query_params.get("dataset", ""))
    return None if found is None else found[0]


def _uploads() -> dict[str, Path]:
    """Uploads of this session, and the one that the link names."""
    names = dict.fromkeys(st.session_state.get("uploads", {}))
    if (linked := linked_upload()) is not None:
        names[linked] = None
    return {name: upload_path(name) for name in names if upload_path(name).is_file()}


@st.cache_data(max_entries=256, show_spinner=False)
def _recorded(path: str) -> tuple[str, bool]:
    """Name of an uploaded dataset and whether it was simulated, as far as its record says: one
    that came in standard form keeps its own."""
    import h5py

    with h5py.File(path) as file:
        name, simulated = (file.get(f"uns/cradle/{key}") for key in ("name", "simulated"))
        return (
            "Uploaded file" if name is None else str(name.asstr()[()]),
            simulated is not None and bool(simulated[()]),
        )


def all_runs() -> list[RunEntry]:
    """Every finished run, one's own before the shipped ones."""
    entries = [_entry(path.parent) for path in _finished()]
    return [entry for entry in entries if entry is not None]


def files() -> dict[str, tuple[str, float]]:
    """What answers are kept of: runs and datasets by the name that the keys of the answers have,
    each with its file and when that was last modified.

    Uploads are named by their contents.
    """
    here = {str(done.parent): done for done in _finished()}
    here |= {name: path for name in DATASETS if (path := locate(name)) is not None}
    return {name: (str(path), path.stat().st_mtime) for name, path in here.items()}


def _finished() -> list[Path]:
    return [
        path for folder in (runs_folder(), SHIPPED_RUNS) for path in sorted(folder.glob("*/DONE"))
    ]


def _entry(folder: Path) -> RunEntry | None:
    try:
        return _read_entry(folder)
    except (OSError, ValueError, KeyError, TypeError):
        # A damaged run must not take the sidebar of every page down; the run list names it.
        return None


@st.cache_data(max_entries=500, show_spinner=False)
def _read_entry(folder: Path) -> RunEntry:
    refuse_links(folder)
    data = read_json(folder / "provenance.json")["data"]
    return RunEntry(folder.name, folder, str(data["name"]), str(data["hash"]))

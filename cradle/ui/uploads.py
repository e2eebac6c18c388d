"""An uploaded file on its way to a dataset: gate, reading, a name of ours on the disk."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from cradle.errors import InputError
from cradle.ui import library

if TYPE_CHECKING:
    from anndata import AnnData
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from cradle.data.standardize import InputSpec


@st.cache_resource(max_entries=1, ttl=3600, show_spinner="Checking the file …")
def opened(file_id: str, _file: UploadedFile) -> tuple[str, AnnData]:
    """Hash and content of an uploaded file that the gate has let pass; nobody changes it.

    Parameters
    ----------
    file_id
        Streamlit's id of the upload.
    _file
        The upload itself.

    Raises
    ------
    InputError
        The file is unsafe, damaged or no AnnData.
    """
    content = _file.getvalue()
    return digest_of(content), read(content, _file.name)


def digest_of(content: bytes) -> str:
    """What identifies a file."""
    return hashlib.sha256(content).hexdigest()


def read(content: bytes, called: str = "the file") -> AnnData:
    """The content as AnnData, after the gate has checked it in a process of its own.

    Parameters
    ----------
    content
        Bytes of the file.
    called
        What the visitor calls it, for what is said of it.

    Raises
    ------
    InputError
        The file is unsafe, damaged or no AnnData.
    """
    from cradle.data.gate import open_safely
    from cradle.files import UNFINISHED, make_folder, remove_abandoned

    folder = library.upload_path("any").parent
    make_folder(folder)
    remove_abandoned(folder)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=UNFINISHED, suffix=".h5ad") as stream:
        stream.write(content)
        stream.flush()
        path = Path(stream.name)
        try:
            return open_safely(path)
        except InputError as error:
            parts = (error.what, error.found, error.do)
            raise InputError(*(part.replace(path.name, called) for part in parts)) from error


def keep(raw: AnnData, digest: str, title: str, spec: InputSpec | None = None) -> str:
    """Write an opened file in standard form, under a name made here.

    Parameters
    ----------
    raw
        Of ``opened``.
    digest
        Of its bytes.
    title
        What the dataset is called in its record.
    spec
        What its names do not tell.

    Returns
    -------
    str
        Id of the dataset, from its content and the way it was read.

    Raises
    ------
    InputError
        It cannot be brought to the standard form.
    """
    from cradle.data.standardize import InputSpec, standardize
    from cradle.files import write_h5ad

    if spec is not None and spec != InputSpec():
        digest = digest_of(f"{digest} {sorted(asdict(spec).items())}".encode())
    name = f"upload-{digest[:12]}"
    path = library.upload_path(name)
    if not path.is_file():
        write_h5ad(path, standardize(raw, spec, name=title, require_labels=False))
    return name


def accept(content: bytes, title: str, spec: InputSpec | None = None) -> str:
    """Check, read and keep the bytes of a file in one go; see ``keep``."""
    return keep(read(content), digest_of(content), title, spec)

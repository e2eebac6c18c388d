"""Odd and hostile datasets on the pages: figures and tables, or a clear box; never markup."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from streamlit.testing.v1 import AppTest

from cradle.errors import InputError
from cradle.ui.uploads import accept

Open = Callable[..., AppTest]
PAGES = ("data", "quality_control")
MARKUP = "![x](http://canary.invalid/x.png)"
LABELS = ["control", "KLF1", "MAP2K6", "KLF1+MAP2K6"] * 15


def table(x: Any = None, labels: Any = LABELS, genes: Any = None, **obs: Any) -> ad.AnnData:
    x = np.random.default_rng(0).poisson(3.0, (60, 30)).astype(np.float32) if x is None else x
    frame = pd.DataFrame(
        {"perturbation": labels, **obs}, index=[f"cell{i}" for i in range(x.shape[0])]
    )
    names = [f"GENE{i}" for i in range(x.shape[1])] if genes is None else genes
    return ad.AnnData(sp.csr_matrix(x), obs=frame, var=pd.DataFrame(index=names))


def uploaded(adata: ad.AnnData, folder: Path, title: str = "own") -> str:
    path = folder / "file.h5ad"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata.write_h5ad(path)
    return accept(path.read_bytes(), title)


CASES = {
    "markup": lambda: table(
        labels=[{"KLF1": MARKUP, "KLF1+MAP2K6": f"{MARKUP}+MAP2K6"}.get(x, x) for x in LABELS],
        genes=[MARKUP, "=HYPERLINK(1)", "<b>x</b>", *(f"GENE{i}" for i in range(27))],
        batch=[MARKUP, "../../etc"] * 30,
    ),
    "one cell": lambda: table(np.ones((1, 30), np.float32), labels=["control"]),
    "one gene": lambda: table(np.full((60, 1), 2.0, np.float32)),
    "equal cells": lambda: table(np.ones((60, 30), np.float32)),
    "no control": lambda: table(labels=["KLF1"] * 60),
    "no labels": lambda: table(labels=[1] * 60),
}


def words(app: AppTest) -> str:
    """All that the page shows as text, tables included."""
    shown = [str(getattr(item, "value", "")) for kind in (
        "markdown", "caption", "warning", "info", "success", "subheader", "metric", "dataframe",
    ) for item in app.get(kind)]  # fmt: skip
    return "\n".join(shown)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.usefixtures("no_run")
def test_every_accepted_file_can_be_looked_at(
    open_page: Open, tmp_path: Path, name: str, page: str
) -> None:
    dataset = uploaded(CASES[name](), tmp_path, MARKUP)
    app = open_page(page, dataset=dataset)
    assert not app.exception
    assert app.sidebar.selectbox(key="dataset").value == dataset
    assert not [box.value for box in app.warning if "could not be drawn" in box.value]
    assert "](http" not in words(app)
    assert "<b>" not in words(app)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: table(-np.ones((60, 30), np.float32)), "negative"),
        (lambda: table(np.full((60, 30), np.nan, np.float32)), "not numbers"),
        (lambda: table(np.full((60, 30), 0.5, np.float32)), "log-normalised"),
        (lambda: table(np.zeros((60, 30), np.float32)), "No cell is left"),
    ],
)
def test_a_refused_upload_is_one_error_in_three_parts(
    tmp_path: Path, make: Callable[[], ad.AnnData], says: str
) -> None:
    with pytest.raises(InputError, match=says) as caught:
        uploaded(make(), tmp_path)
    assert all((caught.value.what, caught.value.found, caught.value.do))


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize("content", [b"", b"not a file", b"\x89HDF\r\n\x1a\n" + b"\0" * 500])
def test_a_damaged_upload_is_a_clear_box(open_page: Open, content: bytes) -> None:
    app = open_page("data")
    app.file_uploader(key="upload").set_value(("own.h5ad", content, "application/octet-stream"))
    app.run()
    assert not app.exception
    boxes = [box.value for box in app.warning if "What to do: " in box.value]
    assert len(boxes) == 1
    assert "Traceback" not in boxes[0]


@pytest.mark.usefixtures("no_run")
def test_an_upload_is_offered_and_its_name_is_no_markup(open_page: Open, tmp_path: Path) -> None:
    table().write_h5ad(tmp_path / "file.h5ad")
    content = (tmp_path / "file.h5ad").read_bytes()
    app = open_page("data")
    assert "A Zarr store is a folder, which cannot be uploaded" in words(app)
    app.file_uploader(key="upload").set_value((f"{MARKUP}.h5ad", content, "application/x-hdf5"))
    app.run()
    next(button for button in app.button if button.label == "Use this dataset").click().run()
    assert not app.exception
    assert any("60 cells" in str(text.value) for text in app.markdown)
    assert "](http" not in words(app)

"""Cells without perturbation labels: what works on them is shown, nothing else is promised."""

from pathlib import Path

import anndata as ad
import pytest
from streamlit.testing.v1 import AppTest

from cradle.ui import data_view
from tests.pages.calm import Open, calm
from tests.pages.test_inputs import table, uploaded, words


def bare() -> ad.AnnData:
    screen = table()
    del screen.obs["perturbation"]
    screen.obs["cell_type"] = ["T", "B", "NK"] * 20
    return screen


def _upload(app: AppTest, name: str, content: bytes) -> AppTest:
    app.file_uploader(key="upload").set_value((name, content, "application/octet-stream"))
    return app.run()


@pytest.mark.usefixtures("no_run")
def test_overview_shows_the_cells_under_the_name_of_the_file(
    open_page: Open, tmp_path: Path
) -> None:
    app = calm(open_page("overview", dataset=uploaded(bare(), tmp_path)))
    assert not [box for box in app.warning if "could not be drawn" in box.value]
    assert any(title.value == "Dataset: own" for title in app.subheader)
    assert next(card for card in app.metric if card.label == "Cells").value == "60"
    said = words(app)
    assert "These cells carry no perturbation labels." in said
    assert "train one on these cells" not in said


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize(
    "page", ["generate", "treatment_effects", "interactions", "inside_the_model"]
)
def test_no_page_advises_to_train_on_them(open_page: Open, tmp_path: Path, page: str) -> None:
    app = open_page(page, dataset=uploaded(bare(), tmp_path))
    (box,) = [box.value for box in app.warning]
    assert "needs a trained model" in box
    assert "page Train" not in box
    assert "its cells carry no perturbation labels" in box
    assert "upload-" not in box
    labelled = open_page(page, dataset=uploaded(table(), tmp_path))
    assert any("page Train" in box.value for box in labelled.warning)


@pytest.mark.usefixtures("no_run")
def test_quality_control_speaks_of_what_it_can_measure(open_page: Open, tmp_path: Path) -> None:
    app = calm(open_page("quality_control", dataset=uploaded(bare(), tmp_path)))
    assert any(title.value.startswith("2 of 6 criteria") for title in app.subheader)
    table = next(t.value for t in app.dataframe if "selected" in t.value)
    assert table["selected"].notna().tolist() == table["measurable"].tolist()
    assert int(table["measurable"].sum()) == 2
    (said,) = [box.value for box in app.info if "A pass says less here" in box.value]
    assert said.endswith("(Mitochondrial share, Ribosomal share, Hemoglobin share).")
    assert not any("called by Scrublet" in text.value for text in app.caption)


@pytest.mark.usefixtures("no_run")
def test_going_on_without_labels_is_no_warning(open_page: Open, tmp_path: Path) -> None:
    bare().write_h5ad(tmp_path / "file.h5ad")
    app = _upload(open_page("data"), "blood.h5ad", (tmp_path / "file.h5ad").read_bytes())
    assert not app.warning
    next(button for button in app.button if button.label == "Use this dataset").click().run()
    assert not app.exception
    assert not app.warning
    assert any("**blood.h5ad** is the dataset" in box.value for box in app.success)
    assert any("carry no perturbation labels" in box.value for box in app.info)


@pytest.mark.usefixtures("no_run")
def test_a_column_that_is_found_by_name_can_be_refused(open_page: Open, tmp_path: Path) -> None:
    screen = table()
    assert "perturbation" in screen.obs
    screen.write_h5ad(tmp_path / "file.h5ad")
    app = _upload(open_page("data"), "blood.h5ad", (tmp_path / "file.h5ad").read_bytes())
    app.selectbox(key="map_column").select("none").run()
    assert not app.warning
    next(button for button in app.button if button.label == "Use this dataset").click().run()
    assert not app.exception
    assert any("carry no perturbation labels" in box.value for box in app.info)


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"hello nonsense", "'nonsense.h5ad' is something else: it begins with the text"),
        (b"\xd0\xcf\x11\xe0", "begins with the bytes d0 cf 11 e0"),
        (b"", "'nonsense.h5ad' has no bytes"),
    ],
)
def test_a_refused_file_goes_by_the_name_that_the_visitor_gave_it(
    open_page: Open, content: bytes, says: str
) -> None:
    (box,) = [box.value for box in _upload(open_page("data"), "nonsense.h5ad", content).warning]
    assert says in box
    assert ".writing-" not in box
    assert "b'" not in box


def test_a_record_is_told_in_words(demo: Path, open_page: Open, tmp_path: Path) -> None:
    app = open_page("data", dataset=uploaded(table(), tmp_path))
    record = next(t.value for t in app.dataframe if "item" in t.value).set_index("item")["value"]
    assert record["counts from"] == "the main matrix of the file (X)"
    assert record["perturbations from"] == "column perturbation of the table of cells"
    assert record["gene symbols from"] == "the names of the genes in the file"
    assert record["cells renamed, for two had one name"] == "0"
    assert not [item for item in record.index if "provenance" in item or "n cells" in item]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (True, "yes"),
        ("obs:n_counts", "column n_counts of the table of cells"),
        ("seed 0", "seed 0"),
    ],
)
def test_values_of_a_record(value: object, told: str) -> None:
    assert data_view.value_words(value) == told

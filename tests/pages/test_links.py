"""A link is taken at its word, and what cannot be taken is said."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.test_inputs import table, uploaded

Open = Callable[..., AppTest]


def _notes(app: AppTest) -> list[str]:
    assert not app.exception, app.exception[0].value
    return [box.value for box in app.warning if "The link asks for" in box.value]


@pytest.mark.parametrize(
    ("page", "link", "words"),
    [
        ("overview", {"dataset": "gone"}, "dataset gone"),
        ("overview", {"run": "gone"}, "run gone"),
        ("overview", {"mad": "9"}, "QC threshold 9"),
        ("generate", {"n_cells": "7"}, "number of cells 7"),
        ("treatment_effects", {"perturbation": "A+B"}, "perturbation A+B"),
        ("overview", {"run": "![x](http://a.b)"}, "run ǃ［x］"),
    ],
)
def test_what_a_link_cannot_get_is_said(
    demo: Path, open_page: Open, page: str, link: dict[str, str], words: str
) -> None:
    app = open_page(page, **link)
    (said,) = _notes(app)
    assert words in said
    assert "What to do:" in said
    assert app.sidebar.selectbox(key="dataset").value == "demo"
    app.sidebar.segmented_control(key="mad").set_value("5").run()
    assert _notes(app), "it stays while the page does"


def test_a_good_link_and_its_defaults_give_no_note(demo: Path, open_page: Open) -> None:
    assert _notes(open_page("overview", dataset="demo", run="demo", mad="3", other="1")) == []
    assert _notes(open_page("train", train_model="CRADLE-VAE")) == []
    assert _notes(open_page("quality_control", mad="custom", k="7.5", criteria="UMI counts")) == []


def test_a_copied_link_generates_the_same_cells(demo: Path, open_page: Open) -> None:
    app = open_page("generate")
    genes = app.multiselect(key="genes").options[:2]
    app.multiselect(key="genes").set_value(genes)
    app.segmented_control(key="artifact").set_value("twins")
    app.number_input(key="n_cells").set_value(50)
    next(b for b in app.button if b.label == "Generate").click().run()
    link = {"genes": genes, "artifact": "twins", "n_cells": "50", "generated": "yes"}
    other = open_page("generate", **link)
    assert _notes(other) == []
    assert [m.value for m in other.metric] == [m.value for m in app.metric]
    assert len(other.metric) == 2, "off and on; this pair was never measured"


def test_an_upload_is_in_the_link_by_what_its_file_says_or_by_its_id(
    demo: Path, open_page: Open, tmp_path: Path
) -> None:
    name = uploaded(table(), tmp_path)
    for asked in (name, f"own · {name}"):
        app = open_page("overview", dataset=asked)
        assert not _notes(app)
        assert app.sidebar.selectbox(key="dataset").value == name
        app.sidebar.segmented_control(key="mad").set_value("5").run()
        assert app.sidebar.selectbox(key="dataset").value == name, "it stays"

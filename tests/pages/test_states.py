"""Every page in every state: demo, without a run, without cells, broken, and with nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from anndata import AnnData
from streamlit.testing.v1 import AppTest

from cradle.data.sources import load
from cradle.ui import library
from cradle.ui.navigation import PAGES

Open = Callable[..., AppTest]

NAMES = [Path(spec.file).stem for spec in PAGES.values()]
FAILED = "could not be drawn"


def _boxes(app: AppTest) -> list[str]:
    assert not app.exception, app.exception[0].value
    return [box.value for box in app.warning]


@pytest.mark.parametrize("page", NAMES)
def test_demo_draws_every_page_and_says_simulated(demo: Path, open_page: Open, page: str) -> None:
    app = open_page(page)
    assert not [box for box in _boxes(app) if FAILED in box or "What to do" in box]
    assert app.title[0].value in {spec.title for spec in PAGES.values()}
    assert any("simulated" in str(text.value) for text in app.markdown)
    assert app.sidebar.selectbox(key="dataset").value == "demo"


@pytest.mark.parametrize("page", NAMES)
def test_without_a_run_every_page_says_what_to_do(no_run: Path, open_page: Open, page: str) -> None:
    app = open_page(page)
    boxes = _boxes(app)
    assert not [box for box in boxes if FAILED in box]
    if page in ("generate", "treatment_effects", "interactions", "inside_the_model"):
        assert "needs a trained model" in boxes[0]
        assert "What to do: " in boxes[0]


@pytest.mark.parametrize("page", NAMES)
def test_run_without_cells_shows_what_it_stored(no_cells: Path, open_page: Open, page: str) -> None:
    app = open_page(page)
    assert not [box for box in _boxes(app) if FAILED in box or "What to do" in box]
    assert app.sidebar.selectbox(key="dataset").value == "norman_subset"
    if page in ("data", "quality_control"):
        assert any("not on this machine" in box.value for box in app.info)


@pytest.mark.parametrize("page", NAMES)
def test_a_model_without_artifact_and_pairs_draws_every_page(
    one_hot: Path, open_page: Open, page: str
) -> None:
    app = open_page(page)
    assert not [box for box in _boxes(app) if FAILED in box or "What to do" in box]


def test_what_does_not_apply_is_said_and_not_offered(one_hot: Path, open_page: Open) -> None:
    from cradle.runs import Run

    (pair,) = Run.load(one_hot).held_out[:1]
    effects = open_page("treatment_effects")
    assert any("Not applicable" in text.value and pair in text.value for text in effects.caption)
    assert effects.selectbox(key="split").options == ["val", "train", "all cells"]
    scores = next(d.value for d in effects.dataframe if "who" in d.value).set_index("who")
    run = Run.load(one_hot)
    assert scores.loc[run.name, "perturbations"] == run.metrics["val"]["n_perturbations"]
    assert scores.loc["floor: Additive", "perturbations"] <= scores.loc[run.name, "perturbations"]
    generate = open_page("generate")
    offered = generate.selectbox(key="treatment").options
    assert pair not in offered
    assert any("+" in label for label in offered)  # a measured pair is a treatment
    generate.selectbox(key="treatment").set_value(next(x for x in offered if "+" in x))
    next(b for b in generate.button if b.label == "Generate").click().run()
    assert not [box for box in _boxes(generate) if FAILED in box or "What to do" in box]
    assert generate.segmented_control(key="artifact").options == ["off"]


@pytest.mark.parametrize("page", [n for n in NAMES if n not in ("methods", "compare_models")])
def test_broken_run_is_named_and_nothing_is_raised(
    broken: Path, open_page: Open, page: str
) -> None:
    boxes = _boxes(open_page(page))
    assert any("Found: " in box and "What to do: " in box for box in boxes)
    assert not [box for box in boxes if "Traceback" in box]


@pytest.mark.parametrize("page", NAMES)
@pytest.mark.usefixtures("nothing")
def test_nothing_at_all_is_an_empty_state(open_page: Open, page: str) -> None:
    boxes = _boxes(open_page(page))
    assert "There is no dataset to show." in boxes[0]


def test_unexpected_errors_show_a_reference_and_no_details(
    demo: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from cradle.ui import glance

    def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(glance, "dataset", fail)
    boxes = _boxes(open_page("overview"))
    assert FAILED in boxes[0]
    assert "secret detail" not in boxes[0]
    reference = boxes[0].split("Reference: ")[1][:8]
    assert any(reference in record.getMessage() and record.exc_info for record in caplog.records)


@pytest.mark.parametrize("page", NAMES)
def test_cells_without_labels_break_no_page(
    demo: Path, tmp_path: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    """An uploaded file of quality control alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cells = load(demo / "demo.h5ad")
    plain = AnnData(cells.X, cells.obs[[]], cells.var[[]])
    name = "upload-0123456789ab"
    library.upload_path(name).parent.mkdir(parents=True)
    plain.write_h5ad(library.upload_path(name))
    app = open_page(page, dataset=name)
    assert not [box for box in _boxes(app) if FAILED in box]
    assert app.sidebar.selectbox(key="dataset").value == name
    if page == "overview":
        assert {m.label: m.value for m in app.metric}["Cells"] == "700"
    if page == "embeddings":
        assert any("these cells carry none" in box for box in _boxes(app))

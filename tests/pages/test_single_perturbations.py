"""Every page on a real screen of single perturbations, where no combination is held out."""

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import pytest
from streamlit.testing.v1 import AppTest

from cradle.data.sources import load
from cradle.fitting import fit
from cradle.ui import library
from cradle.ui.navigation import PAGES
from tests.pages.calm import Open, calm

FILE = "papalexi2021_eccite.h5ad"


@pytest.fixture(scope="module")
def _papalexi(
    real_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Folder of the data, every eighth cell of the screen, and folder of a quickly trained run."""
    data, runs = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("single")
    ad.read_h5ad(real_data(FILE))[::8].copy().write_h5ad(data / FILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRADLE_DATA_DIR", str(data))
        quick = {"n_latent": 4, "n_hidden": 16}
        fit(load("papalexi"), "cradle_vae", quick, out=runs / "single", epochs=1)
    return data, runs


@pytest.fixture
def papalexi(nothing: None, _papalexi: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The app finds that screen and its run alone."""
    data, runs = _papalexi
    monkeypatch.setenv("CRADLE_DATA_DIR", str(data))
    monkeypatch.setattr(library, "SHIPPED_RUNS", runs)


def _words(app: AppTest) -> str:
    return " ".join(str(part.value) for part in [*app.markdown, *app.caption, *app.info])


@pytest.mark.parametrize("page", [Path(spec.file).stem for spec in PAGES.values()])
def test_every_page_draws_and_none_says_that_the_perturbations_are_unseen(
    papalexi: None, open_page: Open, page: str
) -> None:
    app = calm(open_page(page, dataset="papalexi"))
    assert app.sidebar.selectbox(key="dataset").value == "papalexi"
    assert not [box for box in app.warning if "could not be drawn" in box.value]
    words = _words(app)
    assert "never saw" not in words
    assert "test (held out)" not in words
    assert "new pairs often lie outside" not in words
    if page == "train":
        (runs,) = [t.value for t in app.dataframe if "scored on" in t.value]
        assert set(runs["scored on"]) == {"test (cells kept apart)"}
    if page == "overview":
        assert "Adding up" not in words
        assert "that it was trained on, in cells kept apart," in words
    if page == "treatment_effects":
        assert app.selectbox(key="split").options[0] == "test (kept apart)"
        assert "Fewer than 30 observed cells" in words

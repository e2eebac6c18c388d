"""In a real browser: one's own file, training that outlives the page and the app, shared links."""

import io
import os
import re
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cradle.plots.theme import DARK
from cradle.simulation import SimulationConfig, simulate
from tests.browser.visitor import ARGUMENTS, CHROMIUM, MARKS, ROOT, Visitor, wait_for

playwright = pytest.importorskip("playwright.sync_api")

pytestmark = MARKS
Open = Callable[..., Visitor]


class App:
    """A running app that can be killed and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder, self.address = folder, f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if k != "CRADLE_DATA_DIR"}
        environment |= {
            "CRADLE_RUNS_DIR": str(self.folder / "runs"), "XDG_CACHE_HOME": str(self.folder),
        }  # fmt: skip
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true",
                   f"--server.port={self.port}"]  # fmt: skip
        with (self.folder / "log").open("a") as log:
            self.server = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        wait_for(f"{self.address}/_stcore/health")

    def kill(self) -> None:
        """With its whole process group, as a closed terminal does."""
        os.killpg(self.server.pid, signal.SIGKILL)
        self.server.wait(20)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    running = App(tmp_path_factory.mktemp("app"))
    yield running
    running.kill()


@pytest.fixture
def visit(app: App) -> Iterator[Open]:
    """Open an address in a browser context of its own: nothing is shared but the link."""
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)

        def go(link: str, size: tuple[int, int] = (1440, 900), scheme: str = "light") -> Visitor:
            context = browser.new_context(
                viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
            )
            page = context.new_page()
            address = link if link.startswith("http") else f"{app.address}/{link}"
            page.goto(address)
            return Visitor(page, "phone" if size[0] < 500 else "desktop")

        yield go
        browser.close()


@pytest.fixture(scope="module")
def own_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A screen whose names tell nothing, with its counts in a layer."""
    screen = simulate(SimulationConfig(n_cells=500, n_genes=260, n_perturbations=5, n_pairs=4))
    labels = screen.obs["perturbation"].astype(str)
    obs = labels.str.replace("control", "mock").str.replace("+", "_").to_frame("target_x")
    odd = ad.AnnData(np.log1p(screen.X.toarray() * 1.3), obs=obs, var=screen.var[[]])
    odd.layers["umis"] = screen.X.copy()
    path = tmp_path_factory.mktemp("own") / "odd.h5ad"
    odd.write_h5ad(path)
    return path


def _badge(page: "playwright.Page", words: str) -> "playwright.Locator":
    """A badge; its icon's name stands before the words."""
    return page.get_by_text(re.compile(f"{words}$")).first


def test_own_file_is_trained_on_through_a_reload_and_a_killed_app(
    app: App, visit: Open, own_file: Path
) -> None:
    visitor = visit("data")
    page = visitor.page
    page.get_by_role("tab", name="Your own file").click()
    page.locator("input[type=file]").set_input_files(own_file)
    page.get_by_text("The file is safe to read").wait_for()
    page.get_by_text("If a column says which perturbation each cell carries").wait_for()
    visitor.choose("Column with the perturbation", "target_x")
    page.get_by_text("There are no control cells").wait_for()
    visitor.choose("Label of the control cells", "mock")
    page.get_by_text("There are no control cells").wait_for(state="detached")
    visitor.drawn()
    page.get_by_role("button", name="Use this dataset").click()
    page.get_by_text("is the dataset of every page now").wait_for()
    visitor.settle("upload")
    assert re.search(r"dataset=[^&]*upload-", page.url)
    visitor.go("Train")
    page.get_by_role("spinbutton", name="Epochs, at most").fill("100")
    page.get_by_text("More settings").click()
    page.get_by_label("Settings of the network").fill("n_latent=6\nn_hidden=16\npatience=100")
    page.get_by_role("textbox", name="Name of the run").fill("mine")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Start training").click()
    page.get_by_text("of at most 100").first.wait_for()
    page.reload()
    page.get_by_text("of at most 100").first.wait_for()
    visitor.settle("train_running")
    app.kill()
    app.start()
    visitor = visit("train")
    page = visitor.page
    _badge(page, "finished").wait_for()
    page.goto(f"{app.address}/train?card=mine")
    page.get_by_role("heading", name="mine").wait_for()
    visitor.settle("train_finished")
    page.get_by_role("button", name="Treatment effects").click()
    page.get_by_role("heading", name="Between floor and ceiling").wait_for()
    page.get_by_text("run mine").first.wait_for()
    assert (app.folder / "runs" / "mine" / "DONE").is_file()


def test_a_shared_link_shows_the_same_view_elsewhere(visit: Open) -> None:
    first = visit("generate?run=demo_cradle_vae&n_cells=60")
    page = first.page
    first.settle("generate_before")
    page.get_by_role("button", name="Surprise me").click()
    _badge(page, "never measured").wait_for()
    first.settle("generate_surprise")
    heading = page.get_by_role("heading", name="Perturbation:").inner_text()
    metrics = '[data-testid="stMetricValue"]'
    page.locator(metrics).first.wait_for()
    first.settle("generate_drawn")
    rate = page.locator(metrics).all_inner_texts()
    other = visit(page.url)
    _badge(other.page, "never measured").wait_for()
    assert other.page.get_by_role("heading", name="Perturbation:").inner_text() == heading
    other.page.locator(metrics).nth(len(rate) - 1).wait_for()
    other.settle("generate_shared")
    assert other.page.locator(metrics).all_inner_texts() == rate
    assert other.page.get_by_text("The link asks for").count() == 0
    _downloads(other, heading.removeprefix("Perturbation: ").strip())
    strange = visit("generate?run=gone&genes=NOSUCH")
    strange.page.get_by_text("The link asks for something").wait_for()
    strange.page.get_by_text("run gone").wait_for()


def _downloads(visitor: Visitor, label: str) -> None:
    """Every kind of file is what it says."""
    page = visitor.page

    def taken(name: str) -> bytes:
        with page.expect_download() as download:
            page.get_by_role("button", name=name).first.click()
        return Path(download.value.path()).read_bytes()

    cells = ad.read_h5ad(io.BytesIO(taken("Cells (.h5ad)")))
    assert cells.n_obs == 60
    assert set(cells.obs["perturbation"]) == {label}
    said = cells.uns["cradle"]["generated"]
    assert (said["run"], said["perturbation"], said["n_cells"]) == ("demo_cradle_vae", label, 60)
    assert said["simulated"]
    table = pd.read_csv(io.BytesIO(taken("Table of cells (.csv)")))
    assert list(table["cell"]) == list(cells.obs_names)
    assert set(table["perturbation"]) == {label}
    assert table["simulated"].all()
    with zipfile.ZipFile(io.BytesIO(taken("Reproducible bundle (.zip)"))) as archive:
        inside = ad.read_h5ad(io.BytesIO(archive.read("cells.h5ad")))
        assert {"query.json", "effects.csv", "model_card.json"} <= set(archive.namelist())
    np.testing.assert_array_equal(inside.X.toarray(), cells.X.toarray())
    figure = page.locator(".js-plotly-plot").first
    for kind, start in (("svg", b"<svg"), ("png", b"\x89PNG")):
        page.get_by_role("radio", name=kind).click()
        visitor.drawn()
        page.wait_for_timeout(500)
        figure.hover()
        with page.expect_download() as download:
            figure.locator('[data-attr], .modebar-btn[data-title*="ownload"]').first.click()
        assert download.value.suggested_filename.endswith(f".{kind}")
        assert Path(download.value.path()).read_bytes().startswith(start)


@pytest.mark.parametrize("link", ["train?run=demo_cradle_vae", "generate"])
def test_dark_theme_on_a_phone_fits_and_is_dark(visit: Open, link: str) -> None:
    visitor = visit(link, (390, 844), "dark")
    visitor.settle(f"dark_{link.partition('?')[0]}")
    page = visitor.page
    page.wait_for_timeout(1_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    colours = page.evaluate(
        "['.stApp', 'h1'].map((s, i) => getComputedStyle(document.querySelector(s))"
        "[i ? 'color' : 'backgroundColor'])"
    )
    back, text = (sum(int(part) for part in colour[4:-1].split(",")[:3]) for colour in colours)
    assert back < 150 < 500 < text
    button = page.locator('[data-testid="stBaseButton-primary"]').first
    look = "button => [getComputedStyle(button).color, getComputedStyle(button).backgroundColor]"
    light, dark = sorted(map(_luminance, button.evaluate(look)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


#: The labels of vertical axes that were ever written: twice when Plotly draws a figure, once more
#: when it draws it anew.
LABELS = """
window.labels = new Map();
new MutationObserver(changes => changes.forEach(change => change.addedNodes.forEach(node => {
    if (node.classList && node.classList.contains('ytick'))
        labels.set(node, change.target.closest('.js-plotly-plot'));
}))).observe(document, {childList: true, subtree: true});
window.written = () => [...labels.values()].filter(figure => figure && figure.isConnected).length;
"""


@pytest.mark.parametrize("link", ["treatment_effects", "quality_control"])
def test_figures_are_of_the_theme_and_drawn_once(visit: Open, link: str) -> None:
    visitor = visit(link, (1440, 900), "dark")
    page = visitor.page
    page.add_init_script(LABELS)
    page.reload()
    visitor.settle(f"dark_{link}")
    page.wait_for_function(
        "[...document.querySelectorAll('.stPlotlyChart')].every(f => f.querySelector('.ytick'))"
    )
    page.wait_for_timeout(1_000)
    page.wait_for_function(
        "paper => [...document.querySelectorAll('.js-plotly-plot')].every("
        "figure => figure._fullLayout.paper_bgcolor === paper)", arg=DARK.paper,
    )  # fmt: skip
    there = page.locator(".ytick").count()
    assert there <= page.evaluate("written()") <= 2 * there


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2) of ``rgb(…)``."""
    parts = np.array([int(part) for part in colour[4:-1].split(",")[:3]]) / 255
    linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])

"""A real browser walks the main path: no exception box, no console error, screenshots left."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cradle.data.catalogue import locate

playwright = pytest.importorskip("playwright.sync_api")

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "screenshots"
CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-angle=swiftshader",
]  # fmt: skip
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
# Streamlit first looks for its server below the page's own address, and says so in the console.
EXPECTED = re.compile(r"/\w+/_stcore/(health|host-config)")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(locate("demo") is None, reason="the shipped demo is not there"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running app without data folder and without network settings."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("server")
    environment = {k: v for k, v in os.environ.items() if k != "CRADLE_DATA_DIR"}
    environment |= {"CRADLE_RUNS_DIR": str(folder), "XDG_CACHE_HOME": str(folder)}
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true",
               f"--server.port={port}"]  # fmt: skip
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}/_stcore/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)


def _wait(url: str) -> None:
    for _ in range(120):
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(url)


class Visitor:
    """A browser tab that remembers what went wrong in it."""

    def __init__(self, page: "playwright.Page", size: str) -> None:
        self.page, self.size, self.errors = page, size, []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _console(self, message: "playwright.ConsoleMessage") -> None:
        place = str(message.location.get("url", ""))
        if message.type == "error" and not EXPECTED.search(place):
            self.errors.append(f"{message.text} {place}")

    def settle(self, shot: str) -> None:
        """Wait until the page is drawn, check it, and keep a picture of it."""
        self.page.wait_for_selector("h1", timeout=60_000)
        self.page.wait_for_selector(
            '[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=120_000
        )
        self.page.wait_for_timeout(700)
        SHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{shot}_{self.size}.png")
        assert self.page.locator('[data-testid="stException"]').count() == 0
        assert self.page.get_by_text("could not be drawn").count() == 0
        assert not self.errors, self.errors

    def go(self, title: str) -> None:
        """Follow the navigation to a page."""
        sidebar = self.page.locator('[data-testid="stSidebar"]')
        if sidebar.get_attribute("data-collapsed") == "true":
            self.page.locator('[data-testid="stExpandSidebarButton"]').click()
        links = self.page.locator('[data-testid="stSidebarNavLink"]')
        links.filter(has_text=re.compile(f"^\\W*{title}$|{title}$")).first.click()
        self.page.wait_for_selector(f"h1:has-text('{title}')", timeout=60_000)
        if self.size == "phone" and sidebar.get_attribute("data-collapsed") == "false":
            sidebar.hover()
            self.page.locator('[data-testid="stSidebarCollapseButton"] button').click()


@pytest.fixture(params=list(SIZES))
def visitor(request: pytest.FixtureRequest) -> Iterator[Visitor]:
    width, height = SIZES[request.param]
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": width, "height": height})
        yield Visitor(page, request.param)
        browser.close()


@pytest.mark.parametrize("visitor", ["desktop"], indirect=True)
def test_a_link_to_a_page_opens_it_on_a_fresh_server(address: str, visitor: Visitor) -> None:
    """The first of all visitors, before the router has ever run."""
    page = visitor.page
    page.goto(f"{address}/embeddings")
    visitor.settle("embeddings_first")
    links = page.locator('[data-testid="stSidebarNavLink"]').all_inner_texts()
    assert any("Quality control" in text for text in links)
    assert not any("app" in text.split() for text in links)
    assert page.get_by_text("Mixing of observed").count() == 1, "the shipped map is not shown"


def test_walk_through_every_page(address: str, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(address)
    visitor.settle("overview")
    for title in (
        "Data",
        "Quality control",
        "Treatment effects",
        "Interactions",
        "Compare models",
        "Inside the model",
        "Methods",
    ):
        visitor.go(title)
        visitor.settle(title.lower().replace(" ", "_"))
    visitor.go("Generate")
    visitor.settle("generate_empty")
    page.get_by_role("combobox", name="Genes to perturb").click()
    page.get_by_role("option").first.click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Generate", exact=True).last.click()
    page.get_by_text("Pass QC: artifact off").wait_for(timeout=120_000)
    visitor.settle("generate")
    visitor.go("Embeddings")
    page.get_by_role("radio", name="PCA").click()
    page.get_by_role("button", name="Compute the map").click()
    page.get_by_text("Mixing of observed").wait_for(timeout=120_000)
    visitor.settle("embeddings")
    if visitor.size == "desktop":
        _lasso(page)
        page.get_by_text("Genes that differ from all other cells").wait_for(timeout=60_000)
        visitor.settle("embeddings_selected")


def _lasso(page: "playwright.Page") -> None:
    """Draw around the middle of the map."""
    plot = page.locator(".js-plotly-plot .nsewdrag").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    corners = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8), (0.2, 0.2)]
    steps = [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in corners]
    page.mouse.move(*steps[0])
    page.mouse.down()
    for x, y in steps[1:]:
        page.mouse.move(x, y, steps=8)
    page.mouse.up()


@pytest.mark.parametrize("visitor", ["desktop"], indirect=True)
def test_choices_live_in_the_link_and_survive_a_page_change(address: str, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{address}/?mad=4")
    visitor.settle("link")
    assert page.get_by_text("k = 4 MAD").count() > 0
    visitor.go("Quality control")
    visitor.settle("link_quality_control")
    assert page.get_by_text("k = 4 MAD").count() > 0
    assert "mad=4" in page.url


@pytest.mark.parametrize("visitor", ["desktop"], indirect=True)
def test_csv_behind_a_figure_can_be_downloaded(address: str, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(address)
    visitor.settle("overview")
    visitor.go("Data")
    visitor.settle("data")
    page.get_by_text("Table behind the figure").first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").first.click()
    text = Path(download.value.path()).read_text()
    assert text.startswith("perturbation,kind,split,n_cells")

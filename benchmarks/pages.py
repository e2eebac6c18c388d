"""How long a visitor of the demo waits, measured in a real browser.

    python -m benchmarks pages

Starts the app on a free port with a cache folder of its own, as on a fresh machine. ``figures``, in
seconds, are medians of ``ROUNDS``: ``open`` from asking for the address to the first content below
the title, in a browser that was never here (the server is up; its first visitor is apart,
``first_visitor``); ``page_*`` from a click in the navigation to the page drawn,
every page visited before; ``control_*`` from changing a control to the page drawn anew. Drawn: the
script has ended, all figures have a plot, and nothing is marked stale. ``memory_mb``: resident
memory of the server after all of it. ``load_average`` says whether the machine was free, without
which the times are of the others' work. ``ratios`` set the slowest of each kind against its bar;
below 1 is met.
"""

import contextlib
import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.load import app, resident_mb

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROUNDS = 20
BARS = {"open": 3.0, "page": 0.7, "control": 0.5, "memory_mb": 900.0}
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-angle=swiftshader",
]  # fmt: skip
TITLES = (
    "Overview", "Data", "Quality control", "Train", "Generate", "Embeddings", "Treatment effects",
    "Interactions", "Compare models", "Inside the model", "Methods",
)  # fmt: skip

#: Page, list (empty: a row of buttons), and the two options between which it is switched.
CONTROLS = {
    "threshold": ("Quality control", "", ("4", "3")),
    "colour": ("Embeddings", "Colour by", ("perturbation", "observed or generated")),
    "perturbation": ("Treatment effects", "Perturbation", ("CEBPA+CEBPB", "all perturbations")),
    "rule": ("Treatment effects", "Compare with a simple rule", ("Additive", "none")),
    "dataset_threshold": ("Overview", "", ("4", "3")),
}

#: Seconds from pressing ``what`` to the page drawn; polled inside the browser, so that no round
#: trip counts, and ended by two frames, so that the browser has had the time to paint.
PRESS = """
([what, title]) => new Promise((done, fail) => {
    const app = document.querySelector('[data-testid="stApp"]');
    const found = document.evaluate(what, document, null, 9, null).singleNodeValue;
    if (!found) return fail(new Error('not there: ' + what));
    let started = false;
    new MutationObserver(() => { started = started || state() !== 'notRunning'; })
        .observe(app, {attributes: true});
    const state = () => app.dataset.testScriptState;
    const drawn = () => state() === 'notRunning'
        && (document.querySelector('h1') || {innerText: ''}).innerText.includes(title)
        && !document.querySelector('[data-testid="stSkeleton"], [data-stale="true"]')
        && [...document.querySelectorAll('[data-testid="stPlotlyChart"]')].every(
            (box) => !box.offsetParent || box.querySelector('.main-svg'));  // in another tab
    const start = performance.now();
    const frame = requestAnimationFrame;
    const look = () => {
        if (started && drawn())
            return frame(() => frame(() => done((performance.now() - start) / 1000)));
        if (performance.now() - start > 600000) return fail(new Error('not drawn: ' + what));
        setTimeout(look, 5);
    };
    found.click();
    look();
})
"""
#: Notes when the first text or number below the title was there, in seconds since the address.
FIRST = """
const look = () => {
    const box = document.querySelector(
        '[data-testid="stMain"] :is([data-testid="stMarkdownContainer"] p)');
    if (box && document.querySelector('h1')) window.firstContent = performance.now() / 1000;
    else setTimeout(look, 5);
};
look();
"""


def measure() -> dict[str, dict[str, float]]:
    """Times and memory of the app with the demo; see the module."""
    from playwright.sync_api import sync_playwright

    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, _alone(Path(folder)), app() as (port, process):
        with sync_playwright() as engine:
            browser = engine.chromium.launch(
                executable_path=shutil.which("chromium"), args=ARGUMENTS
            )
            address = f"http://127.0.0.1:{port}"
            figures |= _opening(browser, address)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(address)
            _quiet(page)
            figures |= _navigation(page)
            figures |= _controls(page)
            browser.close()
        figures["memory_mb"] = resident_mb(process)
    figures["load_average"] = os.getloadavg()[0]
    return {"figures": figures, "ratios": _ratios(figures)}


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The shipped demo only: no data of one's own, no runs, no maps kept from before."""
    before = dict(os.environ)
    os.environ.pop("CRADLE_DATA_DIR", None)
    os.environ |= {"CRADLE_RUNS_DIR": str(folder / "runs"), "XDG_CACHE_HOME": str(folder)}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


def _quiet(page: "Page") -> None:
    page.wait_for_selector("h1", timeout=120_000)
    page.wait_for_selector(
        '[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=120_000
    )
    page.wait_for_timeout(500)


def _opening(browser: "Browser", address: str) -> dict[str, float]:
    """First content, for browsers that were never here; the first of them wakes the server."""
    seconds = []
    for _ in range(ROUNDS + 1):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.add_init_script(FIRST)
        page = context.new_page()
        page.goto(address)
        page.wait_for_function("window.firstContent", timeout=120_000)
        seconds.append(float(page.evaluate("window.firstContent")))
        _quiet(page)
        context.close()
    return {"first_visitor": seconds[0], "open": statistics.median(seconds[1:])}


def _navigation(page: "Page") -> dict[str, float]:
    """From each page to the next, in the order of the navigation, after one round unmeasured."""
    seconds: dict[str, list[float]] = {title: [] for title in TITLES}
    for number in range(ROUNDS + 1):
        for title in TITLES[1:] + TITLES[:1]:
            took = _press(page, _link(title), title)
            _quiet(page)
            if number:
                seconds[title].append(took)
    return {f"page_{_slug(title)}": statistics.median(found) for title, found in seconds.items()}


def _link(title: str) -> str:
    return f"//*[@data-testid='stSidebarNavLink'][contains(., '{title}')]"


def _press(page: "Page", what: str, title: str) -> float:
    return float(page.evaluate(PRESS, [what, title]))


def _slug(title: str) -> str:
    return title.lower().replace(" ", "_")


def _controls(page: "Page") -> dict[str, float]:
    """Each of ``CONTROLS`` switched to and fro, after one round unmeasured."""
    figures = {}
    for name, (title, label, options) in CONTROLS.items():
        _press(page, _link(title), title)
        _quiet(page)
        seconds = []
        # an even number, so that each control ends where it began: another one may share it
        for number in range(2 * ((ROUNDS + 1) // 2 + 1)):
            what = _offer(page, label, options[number % 2])
            seconds.append(_press(page, what, title))
            _quiet(page)
        figures[f"control_{name}"] = statistics.median(seconds[2:])
    return figures


def _offer(page: "Page", label: str, option: str) -> str:
    """Where to press for an option; a list is opened first, which is not measured."""
    if not label:
        return f"//button[@role='radio'][normalize-space()='{option}']"
    box = page.get_by_role("combobox", name=label)
    box.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    box.click()
    page.get_by_role("option", name=option, exact=True).wait_for()
    return f"//*[@role='option'][normalize-space()='{option}']"


def _ratios(figures: dict[str, float]) -> dict[str, float]:
    slowest = {
        kind: max(value for name, value in figures.items() if name.startswith(kind))
        for kind in BARS
    }
    return {f"{kind}_of_bar": slowest[kind] / bar for kind, bar in BARS.items()}

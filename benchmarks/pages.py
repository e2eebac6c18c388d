"""How long a visitor of the demo waits, measured in a real browser.

    python -m benchmarks pages

Starts the app on a free port with a cache folder of its own, as on a fresh machine. ``figures``, in
seconds, are medians of ``ROUNDS``: ``open_*`` from asking for the address to the first content of
the page below its title (the server is up, its first visitor is apart, as ``open_first``);
``page_*`` from a click in the navigation to the page drawn, every page visited before;
``control_*`` from changing a control to the page drawn anew. Drawn: the script has ended, all
figures have a plot, and nothing is marked stale. ``memory_mb``: resident memory of the server after
all of it. ``ratios`` set the slowest of each kind against its bar; below 1 is met.
"""

import os
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

#: Notes in the page when it was drawn; polled inside the browser, so that no round trip counts.
WATCH = """
(title) => new Promise((done, fail) => {
    const start = performance.now();
    const drawn = () => {
        const app = document.querySelector('[data-testid="stApp"]');
        const head = document.querySelector('h1');
        return app && app.dataset.testScriptState === 'notRunning'
            && head && head.innerText.includes(title)
            && !document.querySelector('[data-testid="stSkeleton"], [data-stale="true"]')
            && [...document.querySelectorAll('[data-testid="stPlotlyChart"]')].every(
                (box) => box.querySelector('.main-svg'));
    };
    const look = () => {
        if (window.__asked === undefined && drawn()) return done(performance.now());
        if (performance.now() - start > 120000) return fail(new Error('not drawn: ' + title));
        requestAnimationFrame(look);
    };
    look();
})
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
            page.evaluate(WATCH, "Overview")
            figures |= _navigation(page)
            figures |= _controls(page)
            browser.close()
        figures["memory_mb"] = resident_mb(process)
    return {"figures": figures, "ratios": _ratios(figures)}


def _ratios(figures: dict[str, float]) -> dict[str, float]:
    slowest = {
        kind: max(value for name, value in figures.items() if name.startswith(kind))
        for kind in BARS
    }
    return {f"{kind}_of_bar": slowest[kind] / bar for kind, bar in BARS.items()}

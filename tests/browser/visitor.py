"""A browser tab that remembers what went wrong in it, and the server that it visits."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cradle.data.catalogue import locate

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "screenshots"
CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-angle=swiftshader",
]  # fmt: skip
PATIENCE = 180_000  # ms; a busy machine may be ten times slower than a quiet one
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
# Streamlit first looks for its server below the page's own address, and says so in the console.
EXPECTED = re.compile(r"/\w+/_stcore/(health|host-config)")
# Between two runs of a page, and while the browser loads what draws a figure, nothing runs either.
STILL = """() => {
    const app = document.querySelector('[data-testid="stApp"]')
    const idle = app !== null && app.dataset.testScriptState === "notRunning"
        && document.querySelector('[data-testid="stSkeleton"]') === null
    const text = idle ? document.body.innerText : null
    if (text === null || text !== window.lastText) {
        window.lastText = text
        window.lastChange = Date.now()
        return false
    }
    return Date.now() - window.lastChange > 500
}"""

MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(locate("demo") is None, reason="the shipped demo is not there"),
]


def wait_for(url: str) -> None:
    """Wait until the server answers."""
    for _ in range(120):
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(url)


class Visitor:
    """A browser tab that remembers what went wrong in it."""

    def __init__(self, page: Page, size: str) -> None:
        self.page, self.size, self.errors = page, size, []
        page.set_default_timeout(PATIENCE)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _console(self, message: ConsoleMessage) -> None:
        place = str(message.location.get("url", ""))
        if message.type == "error" and not EXPECTED.search(place):
            self.errors.append(f"{message.text} {place}")

    def settle(self, shot: str) -> None:
        """Wait until the page is drawn, check it, and keep a picture of it."""
        self.page.wait_for_selector("h1")
        self.drawn()
        SHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{shot}_{self.size}.png")
        assert self.page.locator('[data-testid="stException"]').count() == 0
        assert self.page.get_by_text("could not be drawn").count() == 0
        assert not self.errors, self.errors

    def drawn(self) -> None:
        """Wait until the server has nothing more to say to the last action, and all is drawn."""
        self.page.wait_for_timeout(300)  # an action needs a moment to reach the server
        self.page.wait_for_function(STILL, polling=100)

    def choose(self, name: str, option: str) -> None:
        """Pick an option of a list, and see that it stays picked.

        On a busy machine a list that opens while the page is still drawn or still scrolls closes
        again, and a key meant for the open list reaches the closed one; so it is tried again.
        """
        from playwright.sync_api import TimeoutError as NotThere

        box = self.page.get_by_role("combobox", name=name)
        lists = self.page.locator('[data-testid="stSelectbox"], [data-testid="stMultiSelect"]')
        wanted = self.page.get_by_role("option", name=option).first
        for _ in range(6):
            self.drawn()
            box.scroll_into_view_if_needed()
            self.page.wait_for_timeout(500)
            box.click()
            if box.is_editable():  # a long list holds only what is in view, so it is narrowed
                box.fill(option)
            with contextlib.suppress(NotThere):
                wanted.click(timeout=PATIENCE / 6)
            self.page.keyboard.press("Tab")  # where several can be picked, the list stays open
            self.drawn()
            # one that can take several shows them as tags, one that takes one as its text
            if option in lists.filter(has=box).inner_text() + box.input_value():
                return
        raise AssertionError(f"{option} does not stay picked in {name}")

    def go(self, title: str) -> None:
        """Follow the navigation to a page."""
        sidebar = self.page.locator('[data-testid="stSidebar"]')
        if sidebar.get_attribute("data-collapsed") == "true":
            self.page.locator('[data-testid="stExpandSidebarButton"]').click()
        links = self.page.locator('[data-testid="stSidebarNavLink"]')
        links.filter(has_text=re.compile(f"^\\W*{title}$|{title}$")).first.click()
        self.page.wait_for_selector(f"h1:has-text('{title}')")
        if self.size == "phone" and sidebar.get_attribute("data-collapsed") == "false":
            sidebar.hover()
            self.page.locator('[data-testid="stSidebarCollapseButton"] button').click()

"""Take the README's pictures of the running app: ``python -m scripts.take_pictures``.

Needs the app on http://127.0.0.1:8501 (``make app``), the test tools, and chromium. Writes
``assets/screenshots/*.png``.
"""

import shutil
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ADDRESS = "http://127.0.0.1:8501"
FOLDER = Path(__file__).resolve().parent.parent / "assets" / "screenshots"
SIZE = {"width": 1280, "height": 860}
_DRAWN = '[data-testid="stApp"][data-test-script-state="notRunning"]'
_SCROLL = "y => document.querySelector('[data-testid=stMain]').scrollTo(0, y)"


def main() -> None:
    """Take every picture."""
    with sync_playwright() as engine:
        browser = engine.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--use-angle=swiftshader"],
        )
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        treatment_effects(page)
        generate(page)
        browser.close()


def treatment_effects(page: Page) -> None:
    """Predicted against observed effects of held-out pairs."""
    page.goto(f"{ADDRESS}/treatment_effects")
    keep(page, "treatment_effects", 75)


def generate(page: Page) -> None:
    """Violins of observed cells and of twins."""
    page.goto(f"{ADDRESS}/generate?genes=KLF1&artifact=twins")
    settle(page)
    page.get_by_role("button", name="Generate", exact=True).last.click()
    page.get_by_text("Pass QC: artifact off").wait_for(timeout=120_000)
    page.get_by_role("tab", name="Quality control").click()
    keep(page, "generate", 440)


def keep(page: Page, name: str, scroll: int) -> None:
    """Keep what stands below ``scroll`` pixels of the page."""
    settle(page)
    page.evaluate(_SCROLL, scroll)
    page.mouse.move(5, SIZE["height"] - 5)
    page.wait_for_timeout(1000)
    FOLDER.mkdir(exist_ok=True)
    page.screenshot(path=FOLDER / f"{name}.png")


def settle(page: Page) -> None:
    """Wait until the page is drawn."""
    page.wait_for_selector("h1", timeout=60_000)
    page.wait_for_timeout(500)
    page.wait_for_selector(_DRAWN, timeout=120_000)
    page.wait_for_timeout(1500)


if __name__ == "__main__":
    main()

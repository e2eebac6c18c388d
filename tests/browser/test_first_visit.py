"""A first visit in a real browser: how many clicks to a figure of a pair nobody has measured."""

import urllib.parse
from pathlib import Path

import pytest

from tests.browser.visitor import MARKS, Visitor

pytest.importorskip("playwright.sync_api")
pytestmark = MARKS
MOST_CLICKS = 6


@pytest.fixture
def clicks(visitor: Visitor) -> list[str]:
    """What was clicked, as the browser counts it."""
    seen: list[str] = []
    visitor.page.expose_function("clicked", lambda text: seen.append(text))
    visitor.page.add_init_script(
        "addEventListener('click', event => clicked(event.target.textContent), true)"
    )
    return seen


def _take_figure(visitor: Visitor) -> bytes:
    figure = visitor.page.locator(".js-plotly-plot").first
    figure.wait_for()
    visitor.settle("first_figure")
    with visitor.page.expect_download() as download:
        figure.locator('.modebar-btn[data-title*="ownload"]').first.click()
    assert download.value.suggested_filename.startswith("top_genes_")
    return Path(download.value.path()).read_bytes()


def test_from_opening_to_a_figure_of_an_unseen_pair(
    address: str, visitor: Visitor, clicks: list[str]
) -> None:
    page = visitor.page
    page.goto(address)
    visitor.settle("first_overview")
    page.get_by_role("button", name="Show me a pair").click()
    page.wait_for_selector("h1:has-text('Generate')")
    page.get_by_role("heading", name="Perturbation:").wait_for()
    page.get_by_text("never measured").first.wait_for(state="attached")
    assert _take_figure(visitor).startswith(b"<svg")
    heading = page.get_by_role("heading", name="Perturbation:").inner_text()
    genes = urllib.parse.parse_qs(urllib.parse.urlsplit(page.url).query)["genes"]
    assert heading == f"Perturbation: {'+'.join(sorted(genes))}", "the link shows another view"
    assert 1 < len(clicks) <= MOST_CLICKS, clicks


@pytest.mark.parametrize("visitor", ["desktop"], indirect=True)
def test_the_same_through_the_navigation(address: str, visitor: Visitor, clicks: list[str]) -> None:
    """For whoever overlooks the button: the page Generate, and its own."""
    page = visitor.page
    page.goto(address)
    visitor.settle("first_overview")
    visitor.go("Generate")
    page.get_by_role("button", name="Surprise me").click()
    page.get_by_role("heading", name="Perturbation:").wait_for()
    page.get_by_text("never measured").first.wait_for(state="attached")
    assert _take_figure(visitor).startswith(b"<svg")
    assert 2 < len(clicks) <= MOST_CLICKS, clicks


@pytest.mark.parametrize("visitor", ["desktop"], indirect=True)
def test_the_tour_leads_through_its_pages(address: str, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{address}?mad=4")
    visitor.settle("tour_0")
    page.get_by_role("button", name="Walk me through it").click()
    for number in range(1, 7):
        page.get_by_text(f"Step {number} of 7").wait_for()
        visitor.settle(f"tour_{number}")
        assert "mad=4" in page.url
        page.get_by_role("button", name="Next: ").click()
    page.get_by_text("Step 7 of 7").wait_for()
    page.get_by_role("button", name="End the tour").click()
    page.get_by_text("Step 7 of 7").wait_for(state="detached")

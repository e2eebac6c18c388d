"""Datasets and runs switched back and forth: the page, its choices and its link stay one view."""

import pytest

from tests.browser.visitor import MARKS, Visitor

pytest.importorskip("playwright.sync_api")
pytestmark = MARKS


@pytest.mark.parametrize("visitor", ["desktop"], indirect=True)
def test_the_link_shows_what_the_page_shows(address: str, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{address}/treatment_effects")
    visitor.settle("switch_first")
    run = page.get_by_role("combobox", name="Run (trained model)")
    context = page.get_by_text("Dataset demo · run")
    visitor.choose("Run (trained model)", "demo_sams_vae")
    visitor.choose("Dataset", "norman_subset")
    visitor.choose("Dataset", "demo")
    visitor.settle("switch_back")
    assert page.get_by_text("can be scored").count() == 0
    shown = context.inner_text()
    assert "run demo_" in shown
    page.goto(page.url)
    visitor.settle("switch_reloaded")
    assert context.inner_text() == shown, page.url
    assert run.count() == 1
    assert page.get_by_text("asks for something that is not here").count() == 0

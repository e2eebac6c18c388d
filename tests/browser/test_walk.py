"""A real browser walks the main path: no exception box, no console error, screenshots left."""

from pathlib import Path

import pytest

from tests.browser.visitor import MARKS, Visitor

pytest.importorskip("playwright.sync_api")
pytestmark = MARKS


@pytest.mark.parametrize("visitor", ["desktop"], indirect=True)
def test_a_link_to_a_page_opens_it_on_a_fresh_server(address: str, visitor: Visitor) -> None:
    """The first of all visitors, before the router has ever run."""
    page = visitor.page
    page.goto(f"{address}/embeddings")
    visitor.settle("embeddings_first")
    links = page.locator('[data-testid="stSidebarNavLink"]').all_inner_texts()
    assert any("Quality control" in text for text in links)
    assert not any("app" in text.split() for text in links)
    page.get_by_text("Mixing of observed").wait_for()  # the shipped map, without a press


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
    visitor.choose("Genes to perturb", "CBL")
    page.get_by_role("button", name="Generate", exact=True).last.click()
    page.get_by_text("Pass QC: artifact off").wait_for()
    visitor.settle("generate")
    visitor.go("Embeddings")
    page.get_by_role("radio", name="PCA").click()
    page.get_by_role("button", name="Compute the map").click()
    page.get_by_text("Mixing of observed").wait_for()
    visitor.settle("embeddings")


@pytest.mark.parametrize("visitor", ["desktop"], indirect=True)
def test_choices_live_in_the_link_and_survive_a_page_change(address: str, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{address}/?mad=4")
    visitor.settle("link")
    page.get_by_text("k = 4 MAD").first.wait_for(state="attached")
    visitor.go("Quality control")
    visitor.settle("link_quality_control")
    page.get_by_text("k = 4 MAD").first.wait_for(state="attached")
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

"""In a real browser: a lasso on the map, what is said of the cells, and where else they show."""

import io
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.browser.visitor import MARKS, Visitor

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = MARKS
COUNT = "of 2,446 cells on the map"


def _lasso(page: "playwright.Page", corners: list[tuple[float, float]]) -> None:
    """Draw with the mouse, in shares of the width and height of the first figure."""
    plot = page.locator(".js-plotly-plot .nsewdrag").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    steps = [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in corners]
    page.mouse.move(*steps[0])
    page.mouse.down()
    for x, y in steps[1:]:
        page.mouse.move(x, y, steps=8)
    page.mouse.up()


def _csv(visitor: Visitor, name: str) -> pd.DataFrame:
    button = visitor.page.get_by_role("button", name=name)
    with visitor.page.expect_download() as download:
        button.click()
    return pd.read_csv(io.BytesIO(Path(download.value.path()).read_bytes()))


def _marked(page: "playwright.Page") -> int:
    """Cells that the drawn map itself shows as selected."""
    return int(page.evaluate(
        "(document.querySelector('.js-plotly-plot').data[0].selectedpoints || []).length"
    ))  # fmt: skip


@pytest.mark.parametrize("visitor", ["desktop"], indirect=True)
def test_a_lasso_gives_tables_and_marks_and_outlives_a_new_colouring(
    address: str, visitor: Visitor
) -> None:
    page = visitor.page
    page.goto(f"{address}/embeddings")
    visitor.settle("lasso_before")
    _lasso(page, [(0.05, 0.05), (0.95, 0.05), (0.95, 0.45), (0.05, 0.45), (0.05, 0.05)])
    page.get_by_text("What they are").wait_for()
    visitor.settle("lasso_selected")
    n = int(page.get_by_text(COUNT).inner_text().split()[0].replace(",", ""))
    assert 100 < n < 2300
    assert _marked(page) == n
    cells = _csv(visitor, "Selected cells (.csv)")
    assert len(cells) == n
    assert {"perturbation", "source", "qc_fail", "x", "y"} <= set(cells)
    genes = _csv(visitor, "Download CSV (all 2,000 genes)")
    assert list(genes.columns[:4]) == ["gene", "direction", "difference", "p_adjusted"]
    assert (genes["n_selected"] == n).all()
    assert (genes["n_selected"] + genes["n_rest"] == 2446).all()
    assert len(genes) == 2000

    visitor.choose("Colour by", "perturbation")
    # the title may break its line before the last word
    titled = page.locator(".gtitle", has_text=re.compile(r"cells by\s*perturbation"))
    titled.first.wait_for()
    visitor.settle("lasso_recoloured")
    assert page.get_by_text(COUNT).inner_text().startswith(f"{n:,}")
    assert _marked(page) == n

    visitor.go("Quality control")
    visitor.settle("lasso_quality")
    observed = int((cells["source"] == "observed").sum())
    page.get_by_text(f"Crosses: {observed:,} observed cells").wait_for()

    visitor.go("Embeddings")
    visitor.settle("lasso_again")
    assert _marked(page) == n
    page.get_by_role("button", name="Clear the selection").click()
    page.get_by_text("Draw around cells").wait_for()
    visitor.settle("lasso_cleared")
    assert _marked(page) == 0

"""On a phone, under a finger: nothing covers a heading, and nothing is wider than the screen."""

from collections.abc import Iterator

import pytest

from tests.browser.visitor import ARGUMENTS, CHROMIUM, MARKS, SIZES, Visitor

pytestmark = MARKS


@pytest.fixture
def phone() -> Iterator[Visitor]:
    from playwright.sync_api import sync_playwright

    width, height = SIZES["phone"]
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = browser.new_context(
            viewport={"width": width, "height": height}, has_touch=True, is_mobile=True
        )
        yield Visitor(context.new_page(), "phone")
        browser.close()


def test_toolbars_of_tables_stand_clear_of_headings(address: str, phone: Visitor) -> None:
    phone.page.goto(f"{address}/treatment_effects")
    phone.settle("touch_effects")
    bars = phone.page.locator('[data-testid="stElementToolbar"]:visible')
    bars.first.wait_for()
    covered = phone.page.evaluate(
        """() => {
            const lines = [...document.querySelectorAll('h3')].map(head => {
                const range = document.createRange()
                range.selectNodeContents(head)
                return [head.innerText, range.getBoundingClientRect()]
            })
            const bars = [...document.querySelectorAll('[data-testid="stElementToolbar"]')]
                .map(bar => bar.getBoundingClientRect()).filter(box => box.height)
            return lines.filter(([, line]) => bars.some(
                bar => bar.top < line.bottom && bar.bottom > line.top)).map(([text]) => text)
        }"""
    )
    assert phone.page.locator("h3").count()
    assert covered == []


def test_departures_and_equations_fit(address: str, phone: Visitor) -> None:
    phone.page.goto(f"{address}/methods")
    phone.settle("touch_methods")
    wide = phone.page.evaluate(
        "[...document.querySelectorAll('.st-key-departures table, .katex-html')]"
        ".map(e => e.getBoundingClientRect().right).filter(right => right > innerWidth)"
    )
    assert wide == []
    tallest = phone.page.evaluate(
        "Math.max(...[...document.querySelectorAll('.st-key-departures td')]"
        ".map(e => e.getBoundingClientRect().height))"
    )
    assert tallest < SIZES["phone"][1] / 3

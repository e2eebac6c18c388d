"""A guided first visit: every step stands on a page that exists, and the tour can be left."""

from collections.abc import Callable
from pathlib import Path

from streamlit.testing.v1 import AppTest

from cradle.ui import tour
from cradle.ui.navigation import PAGES

Open = Callable[..., AppTest]


def _press(app: AppTest, start: str) -> AppTest:
    return next(b for b in app.button if b.label.startswith(start)).click().run()


def _words(app: AppTest) -> str:
    return " ".join(text.value for text in app.markdown)


def test_each_step_is_on_its_own_page() -> None:
    pages = [step.page for step in tour.STEPS]
    assert len(set(pages)) == len(pages)
    assert set(pages) <= set(PAGES)


def test_the_tour_shows_its_step_on_its_page_and_can_be_ended(demo: Path, open_page: Open) -> None:
    app = open_page("overview")
    assert "Step 1" not in _words(app)
    _press(app, "Walk me through it")
    assert not app.exception
    assert "Step 1 of 7" in _words(app)
    elsewhere = open_page("quality_control")
    elsewhere.session_state["tour"] = 2
    assert "You have left step 3 of 7, page **Generate**" in _words(elsewhere.run())
    elsewhere.session_state["tour"] = 1
    assert "Step 2 of 7" in _words(elsewhere.run())
    assert any(b.label == "Next: Generate" for b in elsewhere.button)
    assert "Step" not in _words(_press(elsewhere, "End the tour"))


def test_overview_offers_a_pair_only_where_the_model_can_make_one(
    one_hot: Path, open_page: Open
) -> None:
    labels = [b.label for b in open_page("overview").button]
    assert not any(label.startswith("Show me a pair") for label in labels)
    assert any(label.startswith("Walk me through it") for label in labels)


def test_support_of_a_pair_shows_before_it_is_generated(demo: Path, open_page: Open) -> None:
    from cradle.runs import Run

    run = Run.load(demo / "runs" / "demo")
    app = open_page("generate")
    app.multiselect(key="genes").set_value(run.held_out[0].split("+")).run()
    assert "held-out combination" in _words(app)
    assert not app.subheader

"""A page as a test opens it, and that nothing is wrong on it."""

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

Open = Callable[..., AppTest]


def calm(app: AppTest) -> AppTest:
    """The page, without an exception and without the box of an error."""
    assert not app.exception, app.exception[0].value
    assert not [box.value for box in app.warning if "What to do" in box.value]
    return app


def metric(app: AppTest, label: str) -> str:
    """What the card of that name shows."""
    return str(next(card.value for card in app.metric if card.label == label))

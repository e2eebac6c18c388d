"""Compare models: scores with their spread over seeds, between floor and ceiling, in words."""

from cradle.ui import compare_view
from cradle.ui.frame import show
from cradle.ui.sidebar import Choices


def body(choices: Choices) -> None:
    view = compare_view.ask(choices)
    compare_view.words(view)
    compare_view.figure(view)
    compare_view.one_score(view)
    compare_view.all_scores(view)


show("compare", body)

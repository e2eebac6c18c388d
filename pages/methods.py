"""Methods: definitions, departures from the papers, versions, citation, limits."""

from cradle.ui import methods_view
from cradle.ui.frame import show
from cradle.ui.sidebar import Choices
from cradle.ui.store import run


def body(choices: Choices) -> None:
    methods_view.definitions()
    methods_view.scores()
    methods_view.departures()
    methods_view.limits()
    methods_view.versions(run(choices))
    methods_view.citation()


show("methods", body)

"""Inside the model: its masks, its artifact, and what it says of one failed cell without it."""

from cradle.ui import inside_artifact, inside_cell, inside_view
from cradle.ui.frame import show
from cradle.ui.sidebar import Choices
from cradle.ui.store import needs_run


def body(choices: Choices) -> None:
    run = needs_run(choices)
    if not run.spec.generates:
        inside_view.nothing_inside(run)
        return
    inside_view.headline(run)
    inside_view.masks(run)
    inside_artifact.artifact(run)
    inside_view.counterparts(run)
    inside_cell.counterfactual(choices, run)


show("inside", body)

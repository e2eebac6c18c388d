"""Inside the model: masks, artifact and a failed cell without it, or blocks and their graph."""

from cradle.ui import inside_artifact, inside_blocks, inside_cell, inside_probes, inside_view
from cradle.ui.frame import show
from cradle.ui.sidebar import Choices
from cradle.ui.store import needs_run


def body(choices: Choices) -> None:
    run = needs_run(choices)
    if not run.spec.is_network:
        inside_view.nothing_inside(run)
        return
    if run.spec.has_blocks:
        inside_blocks.headline(run)
        inside_blocks.shifts(run)
        inside_blocks.graph(run)
        inside_blocks.programs(run)
        inside_probes.background(choices, run)
        return
    inside_view.headline(run)
    inside_view.masks(run)
    inside_artifact.artifact(choices, run)
    inside_view.counterparts(run)
    inside_cell.counterfactual(choices, run)


show("inside", body)

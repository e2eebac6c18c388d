"""Generate: cells of any perturbation that the model can express, beside the observed ones."""

from cradle.ui import generate_form, generate_view, picker
from cradle.ui.frame import show
from cradle.ui.sidebar import Choices
from cradle.ui.store import needs_run


def body(choices: Choices) -> None:
    run = needs_run(choices)
    query, answered = generate_form.ask(run)
    if query is None:
        generate_form.nothing_yet()
        return
    picker.support(run, query.label, note="" if answered else generate_form.outdated(query))
    generate_view.results(choices, query)


show("generate", body)

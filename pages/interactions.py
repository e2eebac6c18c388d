"""Interactions: which pairs do more or less than their two genes, and which to measure next."""

from cradle.ui import interactions_tables, interactions_view
from cradle.ui.frame import show
from cradle.ui.sidebar import Choices
from cradle.ui.store import needs_run


def body(choices: Choices) -> None:
    run = needs_run(choices)
    table = interactions_view.table_of(run)
    if table is None:
        return
    table = interactions_view.safe(table, run)
    interactions_view.headline(table)
    interactions_view.overview(table, run)
    interactions_view.against_observed(table, run)
    interactions_tables.measure_next(table, run)
    interactions_tables.measured(table, run)


show("interactions", body)

"""Figures are drawn once for the same arguments, and showing them does not change them."""

import pandas as pd
import plotly.graph_objects as go
import pytest
import streamlit as st

from cradle.plots.bars import stacked_bars
from cradle.plots.layout import finish
from cradle.plots.theme import DARK, LIGHT
from cradle.ui import figures


@pytest.fixture
def session(monkeypatch):
    state = {}
    monkeypatch.setattr(st, "session_state", state)
    figures._plotted.clear()
    return state


def table(n):
    return pd.DataFrame({"split": ["train", "test"], "kind": ["control"] * 2, "n_cells": [n, 3]})


def bars(n):
    return figures.plotted(stacked_bars, table(n), category="kind", part="split", title="Cells")


def test_equal_arguments_are_drawn_once_and_others_anew(session):
    assert bars(5) is bars(5)
    assert bars(5) is not bars(6)
    assert bars(6).data[0].x == tuple(
        stacked_bars(table(6), category="kind", part="split", title="Cells").data[0].x
    )


def test_one_row_is_no_rows():
    assert [figures.rows_words(n) for n in (0, 1, 1200)] == ["0 rows", "1 row", "1,200 rows"]


def test_functions_with_equal_arguments_do_not_meet(session):
    def one(title):
        return finish(go.Figure(), title=f"one {title}")

    def other(title):
        return finish(go.Figure(), title=f"other {title}")

    assert figures.plotted(one, "x").layout.title.text == "one x"
    assert figures.plotted(other, "x").layout.title.text == "other x"


def test_simulated_cells_are_named_once_and_only_there(session):
    plain = bars(5)
    session["simulated"] = True
    labelled = bars(5)
    assert labelled.layout.title.subtitle.text == "simulated data"
    assert plain.layout.title.subtitle.text is None
    before = labelled.to_json()
    for name in ("first", "second"):
        figures.figure(labelled, name, alt="Bars.")
    assert labelled.to_json() == before


def test_a_figure_of_other_cells_than_the_page_says_what_they_are(session):
    session["simulated"] = True
    real = bars(5)  # drawn for the page, of which it is not
    plain, other = (
        stacked_bars(table(5), category="kind", part="split", title="Cells") for _ in range(2)
    )
    figures.figure(plain, "real", alt="Bars.", simulated=False)
    assert plain.layout.title.subtitle.text is None
    session["simulated"] = False
    figures.figure(other, "simulated", alt="Bars.", simulated=True)
    assert other.layout.title.subtitle.text == real.layout.title.subtitle.text == "simulated data"


def test_figures_have_the_ink_of_the_page(session, monkeypatch):
    light = bars(5)
    monkeypatch.setattr(figures, "_dark", lambda: True)
    dark = bars(5)
    assert (light.layout.paper_bgcolor, dark.layout.paper_bgcolor) == (LIGHT.paper, DARK.paper)
    assert (light.layout.font.color, dark.layout.font.color) == (LIGHT.text, DARK.text)

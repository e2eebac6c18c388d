"""What the page Interactions says in words."""

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from cradle.ui import interactions_tables, interactions_view

HELD, SEEN = "held-out combination", "seen"


def _pairs(observed, predicted, n_genes=50, support=HELD):
    return pd.DataFrame(
        {"pair": [f"A+{i}" for i in range(len(observed))], "observed_scale": observed,
         "predicted_scale": predicted, "observed_n_genes": n_genes, "support": support,
         "observed_class": "additive"}
    )  # fmt: skip


def test_the_error_of_the_model_stands_beside_that_of_the_plain_sum():
    rows = _pairs([1.2, 1.2, 0.9, 0.9], [1.0, 1.0, 1.0, 1.1])
    words = interactions_view.reading(rows)
    assert "squared error is **30 % larger for the 4 held out**" in words
    assert "between 0.90 and 1.20 × the sum, predicted ones between 1.00 and 1.10" in words


def test_pairs_that_the_figure_leaves_out_are_counted():
    words = interactions_view.reading(_pairs([0.9, np.nan], [0.9, np.nan], [3, 0]))
    assert "2 measured pairs, 2 of them held out" in words
    assert "The figure leaves out 1" in words
    assert "In 2 of 2 fewer than 10 genes respond" in words
    assert "%" not in words


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (_pairs([1.2] * 5, [1.0, 1.2, 1.2, 1.2, 1.2]), None),
        (_pairs([1.2] * 4, [1.2] * 4), "Only 4 held-out pairs"),
        (_pairs([1.2] * 5, [0.9] * 5), "125 % larger than that of saying"),
        (_pairs([1.2] * 9, [1.2] * 9, n_genes=9), "No held-out pair in which at least 10"),
        (_pairs([1.2] * 9, [1.2] * 9, support=SEEN), "No held-out pair in which at least 10"),
    ],
)
def test_the_ranking_is_doubted_unless_held_out_pairs_speak_for_the_model(rows, words):
    found = interactions_tables.doubt(rows)
    assert (found == "") if words is None else (words in found)


def test_pairs_that_stand_out_are_named_beside_the_known_truth():
    rows = pd.DataFrame(
        {"pair": ["A+B", "A+C", "B+C"], "observed_scale": [1.27, 0.95, 0.9],
         "observed_standing": ["more than the sum", "near the sum", "unclear"],
         "interacts": ["yes", "no", "yes"]}
    )  # fmt: skip
    words = interactions_view.found(rows, 10)
    assert "**1 of them stands out**" in words
    assert "**more than the sum**: A+B (1.27×)" in words
    assert "The others: 1 near the sum, 1 unclear." in words
    truth = interactions_view.against_truth(rows)
    assert "2 of these pairs truly interact (A+B, B+C)" in truth
    assert "**1 of 2** stand out; of the 1 that truly add up, none." in truth


def _choose_singles() -> None:
    import pandas as pd
    import streamlit as st

    from cradle.ui.interactions_tables import ALONE, _with_singles

    rows, words = _with_singles(pd.DataFrame({"alone": [ALONE[n] for n in (2, 1, 0, 2)]}))
    st.text(f"{len(rows)}{words}")


def test_pairs_without_their_singles_are_shown_on_request_only():
    app = AppTest.from_function(_choose_singles).run()
    assert app.text[0].value == "2, both of whose genes were measured alone"
    assert "Also the 2 pairs" in app.toggle[0].label
    app.toggle[0].set_value(True).run()
    assert app.text[0].value == "4"

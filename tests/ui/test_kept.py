"""What follows from a table is computed once a table, and gone with it."""

import gc

import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
import pytest
from streamlit.dataframe_util import convert_pandas_df_to_arrow_bytes

from cradle.ui import figures, warm
from cradle.ui.kept import once


def test_a_table_is_asked_once_for_each_argument():
    asked = []

    @once
    def total(table: pd.DataFrame, times: int = 1) -> int:
        asked.append(times)
        return int(table["n"].sum()) * times

    first, second = pd.DataFrame({"n": [1, 2]}), pd.DataFrame({"n": [1, 2]})
    assert [total(first), total(first), total(first, 2), total(first, 2)] == [3, 3, 6, 6]
    assert asked == [1, 2]
    assert total(second) == 3  # an equal table is another one
    assert asked == [1, 2, 1]


def test_an_answer_goes_with_its_table():
    class Answer:
        living = 0

        def __init__(self) -> None:
            Answer.living += 1

        def __del__(self) -> None:
            Answer.living -= 1

    answer = once(lambda _table: Answer())
    tables = [pd.DataFrame({"n": [i]}) for i in range(50)]
    for table in tables:
        answer(table)
    assert Answer.living == 50
    del tables, table
    gc.collect()
    assert Answer.living == 0


@pytest.mark.parametrize(
    "changed",
    [
        pd.DataFrame({"gene": ["A", "B"], "value": [1.0, 3.0]}),
        pd.DataFrame({"gene": ["A", "C"], "value": [1.0, 2.0]}),
        pd.DataFrame({"gene": ["A", "B"], "score": [1.0, 2.0]}),
        pd.DataFrame({"gene": ["A", "B"], "value": [1, 2]}),
        pd.DataFrame({"gene": ["A", "B"], "value": [1.0, 2.0]}, index=[1, 0]),
        pd.DataFrame({"value": [1.0, 2.0], "gene": ["A", "B"]}),
    ],
    ids=["value", "text", "name", "type", "index", "order"],
)
def test_another_table_is_another_figure(changed: pd.DataFrame):
    table = pd.DataFrame({"gene": ["A", "B"], "value": [1.0, 2.0]})
    assert figures.contents(table) == figures.contents(table.copy())
    assert figures.contents(table) != figures.contents(changed)


def test_an_equal_table_draws_no_second_figure():
    drawn = []

    def bars(table: pd.DataFrame) -> go.Figure:
        drawn.append(len(table))
        return go.Figure(layout={"margin": {"t": 10}, "height": 300}).add_bar(y=table["n"])

    table = pd.DataFrame({"n": [4, 5, 6]})
    first, again = figures.plotted(bars, table), figures.plotted(bars, table.copy())
    assert first is again
    assert figures.plotted(bars, table.assign(n=0)) is not first
    assert drawn == [3, 3]


def test_rows_are_sent_as_streamlit_sends_the_table():
    n = figures.MAX_ROWS + 5
    table = pd.DataFrame({"gene": ["A", None] * (n // 2) + ["B"] * (n % 2), "value": range(n)})
    sent = figures.as_sent(table, figures.MAX_ROWS)
    assert isinstance(sent, pa.Table)
    head = table.head(figures.MAX_ROWS)
    pd.testing.assert_frame_equal(sent.to_pandas(), head)
    sink = pa.BufferOutputStream()
    with pa.RecordBatchStreamWriter(sink, sent.schema) as writer:
        writer.write_table(sent)
    assert sink.getvalue().to_pybytes() == convert_pandas_df_to_arrow_bytes(head)


def test_garbage_is_collected_now_and_then(monkeypatch: pytest.MonkeyPatch):
    collected = []
    monkeypatch.setattr(gc, "collect", lambda: collected.append(1))
    now = 1000.0
    monkeypatch.setattr(warm.time, "monotonic", lambda: now)
    monkeypatch.setattr(warm, "_collected", now)
    for now in (1000.0, 1010.0, 1029.0, 1031.0, 1032.0, 1050.0, 1062.0):  # noqa: B007
        warm.collect()
    assert len(collected) == 2

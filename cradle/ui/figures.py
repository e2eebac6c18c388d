"""A figure, its table and its files, always together."""

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
import streamlit as st
from streamlit.dataframe_util import convert_pandas_df_to_arrow_table

from cradle.files import without_formulas
from cradle.plots.room import make_room
from cradle.plots.theme import DARK, LIGHT, dress
from cradle.ui.kept import once

MAX_ROWS = 1_000
_SIMULATED = "simulated data"
_READY = "ready"  # a figure that was drawn before comes back as it was left


def csv_bytes(table: pd.DataFrame) -> bytes:
    """A table as UTF-8 CSV in which no cell can run as a spreadsheet formula."""
    return without_formulas(table).to_csv(index=False).encode()


def config(name: str, *, zoom: bool) -> dict[str, object]:
    """Plotly's mode bar: export under the figure's name, and zooming where it helps."""
    buttons = [] if zoom else ["zoom2d", "pan2d", "resetScale2d"]
    return {
        "displaylogo": False,
        "displayModeBar": True,
        "toImageButtonOptions": {"format": _image_format(), "filename": name},
        "modeBarButtonsToRemove": ["autoScale2d", "zoomIn2d", "zoomOut2d", *buttons],
        "scrollZoom": False,
    }


def plotted(make: Callable[..., go.Figure], *args: object, **kwargs: object) -> go.Figure:
    """What a plotting function draws of these arguments, drawn once; not to be changed.

    It is labelled for the cells of the page, so it is no figure of others.

    Plotly checks every property of a figure, which takes longer than all else on a page of many.
    """
    simulated = bool(st.session_state.get("simulated"))
    name = f"{make.__module__}.{make.__qualname__}"
    return _plotted(name, simulated, _dark(), args, kwargs, make)


@once
def contents(table: pd.DataFrame) -> bytes:
    """A hash of a table: of its values, names and types."""
    about = repr((table.shape, list(table.columns), list(table.dtypes), table.index.names))
    values = pd.util.hash_pandas_object(table).to_numpy()
    return hashlib.sha256(about.encode() + values.tobytes()).digest()


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs={pd.DataFrame: contents})
def _plotted(
    name: str, simulated: bool, dark: bool, args: Any, kwargs: Any,
    _make: Callable[..., go.Figure],
) -> go.Figure:  # fmt: skip
    return _labelled(_make(*args, **kwargs), simulated)


def figure_with_table(
    fig: go.Figure,
    table: pd.DataFrame,
    name: str,
    *,
    alt: str,
    select: Sequence[Literal["points", "box", "lasso"]] = (),
    again: int = 0,
    simulated: bool | None = None,
) -> list[int]:
    """Show a figure with its table twin and both downloads.

    Parameters
    ----------
    fig
        The figure; the camera of its mode bar saves it as SVG.
    table
        What the figure shows, as a table.
    name
        File name without ending; also the key of the widgets, so unique on the page.
    alt
        What a reader who cannot see the figure should know.
    select
        Ways in which points can be selected; none by default.
    again
        Another number draws the figure as new, with nothing selected in the browser.
    simulated
        Whether its cells are simulated; by default, whether those of the page are.

    Returns
    -------
    list of int
        The row numbers (custom data) of the selected points.
    """
    if not select:
        figure(fig, name, alt=alt, simulated=simulated)
        table_twin(table, name)
        return []
    event = st.plotly_chart(
        _labelled(fig, simulated), key=f"figure_{name}_{again}", config=config(name, zoom=True),
        alt=alt, theme=None, on_select="rerun", selection_mode=list(select),
    )  # fmt: skip
    table_twin(table, name)
    points: list[Any] = event["selection"]["points"]
    return [int(point["customdata"]) for point in points if "customdata" in point]


def figure(fig: go.Figure, name: str, *, alt: str, simulated: bool | None = None) -> None:
    """Show one figure of a group that shares a table; see ``figure_with_table``."""
    st.plotly_chart(_labelled(fig, simulated), key=f"figure_{name}", theme=None,
                    config=config(name, zoom=False), alt=alt)  # fmt: skip


def _labelled(fig: go.Figure, simulated: bool | None = None) -> go.Figure:
    """A figure as it is shown: with room for its labels, in the ink of the page, and with what it
    says when it leaves alone: that its cells are simulated."""
    if fig.layout.meta == _READY:
        return fig
    make_room(fig)
    if bool(st.session_state.get("simulated")) if simulated is None else simulated:
        fig.update_layout(
            title_subtitle={"text": _SIMULATED, "font": {"size": 11}},
            margin_t=fig.layout.margin.t + 16, height=fig.layout.height + 16,
        )  # fmt: skip
    return dress(fig, DARK if _dark() else LIGHT).update_layout(meta=_READY)


def _dark() -> bool:
    return bool(st.context.theme.type == "dark")


def _image_format() -> str:
    return str(st.session_state.get("format", "svg"))


def csv_button(table: pd.DataFrame, name: str, words: str = "Download CSV") -> None:
    """Download of a table as ``name.csv``; its bytes are made when the button is pressed."""
    st.download_button(
        words, lambda: csv_bytes(table), f"{name}.csv", "text/csv", key=f"csv_{name}",
        icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def table_twin(table: pd.DataFrame, name: str) -> None:
    """The table behind a figure: CSV download, and the rows in an expander."""
    rows = rows_words(len(table))
    with st.expander(f"Table behind the figure ({rows})", icon=":material/table:"):
        csv_button(table, name)
        st.dataframe(as_sent(table, MAX_ROWS), hide_index=True, key=f"table_{name}")
        if len(table) > MAX_ROWS:
            st.caption(f"The first {MAX_ROWS:,} rows; the CSV holds all {len(table):,}.")


def rows_words(n: int) -> str:
    """A number of rows."""
    return f"{n:,} row{'s' * (n != 1)}"


@once
def as_sent(table: pd.DataFrame, limit: int | None = None) -> pa.Table:
    """A table, or its first rows, in the form in which a browser gets it."""
    return convert_pandas_df_to_arrow_table(table if limit is None else table.head(limit))


def slug(text: str) -> str:
    """A text as part of a file name: letters, digits, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", text).strip("_")

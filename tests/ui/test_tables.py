"""Tables leave the app as they are shown, and harmless in a spreadsheet."""

import io

import pandas as pd
import pytest

from cradle.ui.figures import csv_bytes, slug


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_formulas_are_escaped_in_cells_and_headers(start: str) -> None:
    table = pd.DataFrame({f"{start}head": [f"{start}cmd", "plain"]})
    back = pd.read_csv(io.BytesIO(csv_bytes(table)))
    assert list(back.columns) == [f"'{start}head"]
    assert back.iloc[:, 0].tolist() == [f"'{start}cmd", "plain"]


def test_categories_are_escaped_too_and_numbers_stay_numbers() -> None:
    table = pd.DataFrame({"gene": pd.Categorical(["=A", "B"]), "effect": [-1.5, 2.0]})
    back = pd.read_csv(io.BytesIO(csv_bytes(table)))
    assert back["gene"].tolist() == ["'=A", "B"]
    assert back["effect"].tolist() == [-1.5, 2.0]
    assert table["gene"].tolist() == ["=A", "B"]


def test_slug_is_a_file_name() -> None:
    assert slug("KLF1+MAP2K6 / on") == "KLF1+MAP2K6_on"

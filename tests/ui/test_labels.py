"""Names from files stay names."""

import re

import pytest

from cradle.ui.labels import (
    CRITERIA,
    MAX_LABEL,
    by_criteria,
    safe_label,
    safe_text,
    threshold_words,
    with_criteria_named,
)


@pytest.mark.parametrize("name", ["KLF1", "KLF1+MAP2K6", "HLA-A", "MT-CO1", "AC012345.1", "a_b"])
def test_ordinary_names_are_unchanged(name: str) -> None:
    assert safe_label(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "![x](http://host/x.png)", "<img src=x>", ":material/home:", "$x$", "**b**", "`c`",
        "www.host.com", "a@host.com", "[a](b)", "%{x}", "~~s~~", "__b__", "# h", "&lt;", "a|b",
    ],
)  # fmt: skip
def test_markup_characters_are_replaced(name: str) -> None:
    shown = safe_label(name)
    assert shown != name
    assert not set(shown) & set("[]<>`*$~!\\#&{}|@")
    assert not re.search(r":\S", shown)
    assert "www." not in shown
    assert "__" not in shown


def test_labels_are_one_short_line() -> None:
    shown = safe_label("a\nb\x00\u202ec" + "x" * 200)
    assert len(shown) == MAX_LABEL
    assert "\n" not in shown
    assert "\u202e" not in shown


def test_criteria_are_counted_and_go_by_their_names() -> None:
    assert by_criteria(["umi_counts", "doublet"]) == "2 of 6 criteria (UMI counts, Doublets)"
    assert by_criteria([]) == "0 of 6 criteria (none measurable)"
    sentence = with_criteria_named("These cannot be judged: umi_counts, doublet, doublets_x.")
    assert sentence == "These cannot be judged: UMI counts, Doublets, doublets_x."


def test_text_keeps_its_length_and_loses_its_markup() -> None:
    assert safe_text("x" * 200) == "x" * 200
    assert "[" not in safe_text("gene [a](http://b)")


def test_the_threshold_says_how_many_criteria_only_where_some_are_left_out() -> None:
    assert threshold_words(3.0, tuple(CRITERIA)) == "k = 3 MAD"
    assert threshold_words(3.5, ["umi_counts", "doublet"]) == "k = 3.5 MAD, 2 of 6 criteria"

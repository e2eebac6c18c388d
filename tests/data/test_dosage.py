"""Labels, dosage rows and what users type."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cradle.data.dosage import (
    Design,
    canonical,
    dosage_rows,
    genes_of,
    is_control,
    parse_query,
    perturbed_genes,
)
from cradle.errors import InputError

GENES = ("CBL", "CNN1", "HLA-A", "KLF1", "MAP2K6", "NKX2.5", "RP11_34")
gene_sets = st.sets(st.sampled_from(GENES))


def test_a_label_names_its_genes() -> None:
    assert genes_of("KLF1+MAP2K6") == ("KLF1", "MAP2K6")
    assert genes_of("control") == ()
    assert canonical(["MAP2K6", "KLF1"]) == "KLF1+MAP2K6"
    assert canonical([]) == canonical(["control"]) == "control"


@given(gene_sets)
def test_labels_and_genes_turn_into_each_other(genes: set[str]) -> None:
    assert set(genes_of(canonical(genes))) == genes


@given(st.permutations(["HLA-A", "CBL", "KLF1"]))
def test_the_order_of_genes_does_not_matter(genes: list[str]) -> None:
    assert canonical(genes) == "CBL+HLA-A+KLF1"
    assert parse_query("+".join(genes), GENES) == "CBL+HLA-A+KLF1"


@pytest.mark.parametrize("genes", [["A", "A"], ["A", ""], ["A+B"], ["A", "control"], [" "]])
def test_impossible_combinations_are_refused(genes: list[str]) -> None:
    with pytest.raises(InputError):
        canonical(genes)


def test_dosage_rows_mark_the_perturbed_genes() -> None:
    rows = dosage_rows(["control", "A", "A+C"], ["A", "B", "C"])
    np.testing.assert_array_equal(rows, [[0, 0, 0], [1, 0, 0], [1, 0, 1]])
    assert rows.dtype == np.float32


@given(st.lists(gene_sets, max_size=8))
def test_dosage_rows_sum_to_the_number_of_genes(sets: list[set[str]]) -> None:
    labels = [canonical(genes) for genes in sets]
    rows = dosage_rows(labels, GENES)
    assert rows.sum(axis=1).tolist() == [len(genes) for genes in sets]
    assert perturbed_genes(labels) == tuple(sorted(set().union(*sets)))


def test_a_gene_without_a_column_is_refused() -> None:
    with pytest.raises(InputError, match=r"'KLF2'.*KLF1"):
        dosage_rows(["KLF2"], GENES)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("MAP2K6+KLF1", "KLF1+MAP2K6"),
        (" KLF1 , MAP2K6 ", "KLF1+MAP2K6"),
        ("KLF1 MAP2K6", "KLF1+MAP2K6"),
        ("klf1", "KLF1"),
        ("KLF1+ctrl", "KLF1"),
        ("HLA-A+RP11_34+NKX2.5", "HLA-A+NKX2.5+RP11_34"),
        ("Control", "control"),
        ("neg ctrl", "control"),
        ("non-targeting", "control"),
    ],
)
def test_queries_are_read(text: str, label: str) -> None:
    assert parse_query(text, GENES) == label


@pytest.mark.parametrize("text", ["", " + ", "KLF1+KLF1", "KLF1+klf1", "NOSUCHGENE"])
def test_queries_that_cannot_be_meant_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_query(text, GENES)


def test_an_unknown_gene_is_answered_with_close_names() -> None:
    with pytest.raises(InputError, match="Close names: MAP2K6"):
        parse_query("MAP2K7", GENES)


def test_without_known_genes_any_name_passes() -> None:
    assert parse_query("B,A", None) == "A+B"


@pytest.mark.parametrize(
    "name",
    ["control", "ctrl", "non-targeting", "NT", "negctrl", "Ctrl", "NON_TARGETING", "nontargeting",
     "neg-ctrl", "negative control", "NegCtrl10", "non-targeting_00023", "NTg1", "NT-2"],
)  # fmt: skip
def test_names_of_the_control(name: str) -> None:
    assert is_control(name)


@pytest.mark.parametrize("name", ["NT5E", "NTF3", "CTRL1X", "KLF1", "CONTROLLED", "", "targeting"])
def test_names_of_genes_are_no_control(name: str) -> None:
    assert not is_control(name)


TRAINED = ["control", "A", "B", "A+B", "C+D"]


def test_an_additive_design_has_a_column_a_gene() -> None:
    design = Design.of(TRAINED, additive=True)
    assert design.columns == ("A", "B", "C", "D")
    np.testing.assert_array_equal(
        design.rows(["control", "A+B", "A+D"]), [[0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 1]]
    )
    assert design.parse("d, a") == "A+D"
    assert design == Design(("A", "B", "C", "D"))
    assert design.expresses("A+B+C+D")
    assert hash(design)  # it names what a model was told, so nobody may change it


def test_combinations_of_training_can_have_a_column_of_their_own() -> None:
    design = Design.of(TRAINED, additive=True, combination_dosage=0.25)
    assert design.columns == ("A", "B", "C", "D", "A+B", "C+D")
    rows = design.rows(["control", "A+B", "A+D", "B"])
    never_seen = [1, 0, 0, 1, 0, 0]
    np.testing.assert_array_equal(
        rows, [[0] * 6, [1, 1, 0, 0, 0.25, 0], never_seen, [0, 1, 0, 0, 0, 0]]
    )
    np.testing.assert_array_equal(design.dosages, np.float32([1, 1, 1, 1, 0.25, 0.25]))
    assert design.expresses("A+D")
    assert design.parse("b,a") == "A+B"
    assert Design.of(["A", "control"], additive=True, combination_dosage=0.25).columns == ("A",)


def test_a_one_hot_design_has_a_column_a_treatment() -> None:
    design = Design.of(TRAINED, additive=False)
    assert design.columns == ("A", "A+B", "B", "C+D")
    rows = design.rows(["A+B", "control", "A"])
    np.testing.assert_array_equal(rows, [[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    assert rows.dtype == np.float32
    assert design.parse("b+a") == "A+B"
    assert set(design.dosages) == {1}


@pytest.mark.parametrize("label", ["A+D", "C", "A+B+C"])
def test_a_one_hot_design_refuses_what_was_no_treatment(label: str) -> None:
    design = Design.of(TRAINED, additive=False)
    assert not design.expresses(label)
    assert design.expresses("control")
    for ask in (design.parse, lambda label: design.rows([label])):
        with pytest.raises(InputError, match="not trained on"):
            ask(label)


def test_a_label_of_known_genes_is_no_typed_text() -> None:
    """Names may hold what separates genes where a person types them."""
    labels = ["control", "CEBPA and CEBPB", "KLF1, isoform 2", "A"]
    for additive in (True, False):
        design = Design.of([*labels, "A+KLF1, isoform 2"], additive=additive)
        for label in (*labels, "A+KLF1, isoform 2"):
            assert design.parse(label) == label
        assert design.parse("a") == "A"
    additive = Design.of(labels, additive=True)
    assert additive.parse("KLF1, isoform 2+A") == "A+KLF1, isoform 2"
    with pytest.raises(InputError, match="twice"):
        additive.parse("A+A")

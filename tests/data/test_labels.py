"""Perturbation labels as files spell them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cradle.data.labels import adamson_label, label_map
from cradle.errors import InputError

SINGLES = ("A", "B", "control")


@pytest.mark.parametrize("pair", ["A+B", "A_B", "A,B", "A|B", "B+A", "B_A", "A, B", "A + B"])
def test_every_separator_is_read(pair: str) -> None:
    assert label_map([*SINGLES, pair])[pair] == "A+B"


@pytest.mark.parametrize(
    "label",
    ["A+ctrl", "ctrl+A", "ctrl_A", "A_ctrl", "A,NT", "non-targeting|A", "A_sg2", "A-sgRNA1"],
)
def test_a_single_gene_is_found_in_its_spellings(label: str) -> None:
    assert label_map([*SINGLES, label])[label] == "A"


@pytest.mark.parametrize(
    ("label", "expected"),
    [("A_sg1_B_sg2", "A+B"), ("A_sg1+B_sg2", "A+B"), ("A_g1_B_g2", "A+B"), ("A_sg3_ctrl", "A")],
)
def test_guides_are_taken_off_pairs(label: str, expected: str) -> None:
    assert label_map([*SINGLES, label])[label] == expected


@pytest.mark.parametrize(
    ("label", "expected"),
    [("KLF1g2", "KLF1"), ("KLF1-2", "KLF1"), ("KLF1.1", "KLF1"), ("KLF1-1+NKX2-1-2", "KLF1+NKX2-1"),
     ("NKX2-1", "NKX2-1"), ("KLF1g1_NKX2-1g2", "KLF1+NKX2-1"), ("PCGF6g1", "PCGF6g1")],
)  # fmt: skip
def test_an_ending_is_a_guide_where_a_gene_of_the_file_is_left(label: str, expected: str) -> None:
    """``NKX2-1`` is a gene as it stands; of ``PCGF6g1`` nothing is known."""
    found = label_map([label, "control"], genes=("KLF1", "NKX2-1", "NKX2"))
    assert found[label] == expected


@pytest.mark.parametrize(
    "label",
    ["control", "ctrl", "NTC", "NTC_1", "non-targeting", "NT", "negctrl", "NegCtrl0_NegCtrl0",
     "ctrl+ctrl", "NTg4", "non_targeting", " control "],
)  # fmt: skip
def test_every_name_of_the_control_is_read(label: str) -> None:
    assert label_map(["A", label])[label] == "control"


@pytest.mark.parametrize("label", ["", "*", "nan", " ", "NA"])
def test_unassigned_is_never_control(label: str) -> None:
    assert label_map(["A", "control", label])[label] is None


def test_the_user_may_map_what_is_otherwise_unassigned() -> None:
    assert label_map(["A", "*", "nan"], control=("*", "nan")) == {
        "A": "A", "*": "control", "nan": "control",
    }  # fmt: skip


def test_own_names_of_the_control_and_of_unassigned_cells() -> None:
    labels = label_map(["A", "A+GFP", "GFP", "?"], control=("GFP",), unassigned=("?",))
    assert labels == {"A": "A", "A+GFP": "A", "GFP": "control", "?": None}


def test_pairs_whose_genes_the_file_measures_are_split() -> None:
    assert label_map(["A_B", "control"], genes=("A", "B"))["A_B"] == "A+B"


def test_a_split_that_would_invent_genes_is_refused() -> None:
    with pytest.raises(InputError, match=r"'A_pDS01'.*separator='_'.*separator='none'"):
        label_map(["A_pDS01", "A", "control"])


@pytest.mark.parametrize(
    ("separator", "expected"), [("_", "A+pDS01"), ("none", "A_pDS01"), ("", "A_pDS01")]
)
def test_the_user_says_what_an_underscore_is(separator: str, expected: str) -> None:
    assert label_map(["A_pDS01", "control"], separator=separator)["A_pDS01"] == expected


@pytest.mark.parametrize("other", ["A,B", "A|B", "A_B"])
def test_two_separators_are_refused(other: str) -> None:
    with pytest.raises(InputError, match="more than one way"):
        label_map([*SINGLES, "A+B", other])


def test_a_chosen_separator_leaves_the_other_marks_alone() -> None:
    labels = label_map([*SINGLES, "A+B", "A_B"], separator="+")
    assert labels["A_B"] == "A_B"


def test_a_gene_of_the_file_is_never_taken_apart() -> None:
    genes = ("A", "B", "RP11_34", "KLF1-sg1", "NT5")
    names = ["A_B", "RP11_34", "KLF1-sg1", "NT5", "control"]
    assert label_map(names, genes=genes) == {
        "A_B": "A+B", "RP11_34": "RP11_34", "KLF1-sg1": "KLF1-sg1", "NT5": "NT5",
        "control": "control",
    }  # fmt: skip


@pytest.mark.parametrize("label", ["HLA-A", "NKX2.5", "C11orf1", "MT-ND1"])
def test_gene_names_with_dashes_and_dots_stay_whole(label: str) -> None:
    assert label_map([label, "A+B", "A", "B", "control"])[label] == label


@pytest.mark.parametrize("label", ["A+A", "A+", "+", "A_sg1+A_sg2"])
def test_labels_that_mean_nothing_are_refused(label: str) -> None:
    with pytest.raises(InputError):
        label_map([*SINGLES, label])


def test_a_parser_of_ones_own_replaces_the_rules() -> None:
    labels = label_map(["A-x", "*", "B-x"], parse_label=lambda text: text[0])
    assert labels == {"A-x": "A", "*": None, "B-x": "B"}


names = st.sampled_from(["KLF1", "HLA-A", "CBL", "NKX2.5", "MAP2K6"])


@given(st.lists(st.sets(names, min_size=1, max_size=3), max_size=10), st.sampled_from("+,|_"))
def test_any_dataset_of_one_separator_is_read(sets: list[set[str]], mark: str) -> None:
    genes = sorted(set().union(*sets))
    spelt = {mark.join(sorted(chosen, reverse=True)): chosen for chosen in sets}
    labels = label_map([*genes, "ctrl", *spelt])
    assert {name: labels[name] for name in spelt} == {
        name: "+".join(sorted(chosen)) for name, chosen in spelt.items()
    }


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("63(mod)_pBA580", "control"),
        ("Gal4-4(mod)_pBA582", "control"),
        ("SRP68_pDS008", "SRP68"),
        ("C7orf26_pDS001", "C7orf26"),
    ],
)
def test_adamson_labels(label: str, expected: str) -> None:
    assert adamson_label(label) == expected


def test_adamson_labels_are_refused_without_their_parser() -> None:
    labels = ["SRP68_pDS008", "63(mod)_pBA580", "*", "nan"]
    with pytest.raises(InputError, match="unclear whether '_'"):
        label_map(labels, genes=("SRP68",))
    assert label_map(labels, parse_label=adamson_label) == {
        "SRP68_pDS008": "SRP68", "63(mod)_pBA580": "control", "*": None, "nan": None,
    }  # fmt: skip

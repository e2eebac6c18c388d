"""Splits of combination and single screens."""

from collections import Counter

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cradle.data.dosage import genes_of, perturbed_genes
from cradle.data.splits import draw_held_out, eligible_combinations, split_cells, support_of
from cradle.errors import InputError

COMBINATIONS = {
    "control": 40, "A": 20, "B": 20, "C": 5, "A+B": 10, "A+C": 10, "B+C": 10, "A+D": 10,
}  # fmt: skip

screens = st.lists(
    st.tuples(st.sets(st.sampled_from("ABCDEF"), max_size=3), st.integers(1, 12)), min_size=1
)


def cells(counts: dict[str, int]) -> pd.Series:
    labels = [label for label, n_cells in counts.items() for _ in range(n_cells)]
    return pd.Series(labels, index=[f"cell{i}" for i in range(len(labels))], name="perturbation")


def tally(perturbation: pd.Series, split: pd.Series) -> dict[str, tuple[int, int, int]]:
    table = pd.crosstab(perturbation, split.astype(str)).reindex(
        columns=["train", "val", "test"], fill_value=0
    )
    return {
        str(label): tuple(row) for label, row in zip(table.index, table.to_numpy(), strict=True)
    }


def test_a_combination_screen_holds_combinations_out_and_splits_the_rest() -> None:
    perturbation = cells(COMBINATIONS)
    split = split_cells(perturbation, test_combinations=["B+A"])
    counts = tally(perturbation, split)
    assert counts.pop("A+B") == (0, 0, 10)
    assert counts["control"] == (32, 8, 0)
    assert counts["C"] == (4, 1, 0)
    assert all(n_test == 0 for _, _, n_test in counts.values())
    assert list(split.cat.categories) == ["train", "val", "test", "unused"]
    assert split.index.equals(perturbation.index)


def test_a_single_screen_is_split_within_each_perturbation() -> None:
    perturbation = cells({"control": 100, "A": 50, "B": 25})
    counts = tally(perturbation, split_cells(perturbation))
    assert counts == {"control": (64, 16, 20), "A": (32, 8, 10), "B": (16, 4, 5)}


@pytest.mark.parametrize(
    ("n_cells", "expected"),
    [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (2, 0, 1)), (4, (2, 1, 1)), (5, (3, 1, 1))],
)
def test_tiny_groups_of_a_single_screen_train_first(
    n_cells: int, expected: tuple[int, int, int]
) -> None:
    perturbation = cells({"control": 10, "A": n_cells})
    assert tally(perturbation, split_cells(perturbation))["A"] == expected


@pytest.mark.parametrize(
    ("n_cells", "expected"),
    [(1, (1, 0, 0)), (2, (2, 0, 0)), (3, (2, 1, 0)), (4, (3, 1, 0)), (5, (4, 1, 0))],
)
def test_tiny_groups_of_a_combination_screen_train_first(
    n_cells: int, expected: tuple[int, int, int]
) -> None:
    perturbation = cells(COMBINATIONS | {"C": n_cells})
    assert tally(perturbation, split_cells(perturbation))["C"] == expected


def test_eligible_combinations_keep_their_genes_in_training() -> None:
    assert eligible_combinations(COMBINATIONS) == ["A+B", "A+C", "B+C"]
    assert eligible_combinations(["control", "A", "B"]) == []


def test_combinations_are_drawn_jointly() -> None:
    # Each is eligible alone, but no two of them together.
    circle = ["control", "A+B", "A+C", "B+C"]
    assert len(eligible_combinations(circle)) == 3
    drawn = {frozenset(draw_held_out(circle, seed=seed, test_fraction=1)) for seed in range(20)}
    assert drawn == {frozenset([label]) for label in circle[1:]}


def test_a_quarter_of_the_eligible_combinations_is_drawn() -> None:
    singles = [f"G{i}" for i in range(9)]
    pairs = [f"{a}+{b}" for i, a in enumerate(singles) for b in singles[i + 1 :]]
    held_out = draw_held_out(["control", *singles, *pairs], seed=3)
    assert len(held_out) == 9
    assert held_out != draw_held_out(["control", *singles, *pairs], seed=4)


@given(screens, st.integers(0, 5), st.floats(0.05, 1))
@settings(deadline=None, max_examples=60)
def test_properties_of_any_split(
    groups: list[tuple[set[str], int]], seed: int, fraction: float
) -> None:
    counts = Counter[str]()
    for genes, n_cells in groups:
        counts["+".join(sorted(genes)) or "control"] += n_cells
    perturbation = cells(counts)
    split = split_cells(perturbation, seed=seed, test_fraction=fraction)
    rows = tally(perturbation, split)
    held_out = {label for label, row in rows.items() if row[0] == 0}
    assert held_out == draw_held_out(counts, seed=seed, test_fraction=fraction)
    assert all(rows[label][:2] == (0, 0) for label in held_out)
    trained = set(perturbed_genes(set(counts) - held_out))
    assert all(set(genes_of(label)) <= trained for label in held_out)
    if held_out:
        assert all(row[2] == 0 for label, row in rows.items() if label not in held_out)


@given(st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=20)
def test_the_order_of_cells_does_not_matter(random) -> None:
    perturbation = cells(COMBINATIONS)
    order = list(perturbation.index)
    random.shuffle(order)
    split = split_cells(perturbation, seed=7)
    assert split_cells(perturbation[order], seed=7).equals(split[order])


def test_seeds_repeat_and_differ() -> None:
    perturbation = cells({"control": 100, "A": 50})
    assert split_cells(perturbation, seed=1).equals(split_cells(perturbation, seed=1))
    assert not split_cells(perturbation, seed=1).equals(split_cells(perturbation, seed=2))


def test_a_seed_keeps_giving_what_it_gave() -> None:
    labels = cells({"A": 9, "control": 6}).iloc[::-1]
    codes = split_cells(labels.astype("category")).cat.codes
    assert "".join(map(str, codes)) == "100200120002000"


def test_another_perturbation_leaves_the_split_of_the_first_alone() -> None:
    few, more = cells({"control": 30, "A": 30}), cells({"control": 30, "A": 30, "B": 30})
    assert split_cells(few).astype(str).equals(split_cells(more)[few.index].astype(str))


def test_held_out_single_perturbations() -> None:
    perturbation = cells({"control": 50, "A": 25, "B": 25})
    counts = tally(perturbation, split_cells(perturbation, test_combinations=["A"]))
    assert counts == {"control": (32, 8, 10), "A": (0, 0, 25), "B": (16, 4, 5)}


def test_nothing_is_held_out_on_request() -> None:
    perturbation = cells(COMBINATIONS)
    assert set(split_cells(perturbation, test_combinations=[])) == {"train", "val"}


def test_a_screen_without_eligible_combinations_still_has_test_cells() -> None:
    perturbation = cells({"control": 25, "A+B": 25, "C+D": 25})
    counts = tally(perturbation, split_cells(perturbation))
    assert set(counts.values()) == {(16, 4, 5)}


@pytest.mark.parametrize("label", ["A+Z", "control", "Z", "ctrl", ""])
def test_unknown_combinations_are_refused(label: str) -> None:
    with pytest.raises(InputError):
        split_cells(cells(COMBINATIONS), test_combinations=[label])


def test_close_combinations_are_named() -> None:
    perturbation = cells({"control": 5, "KLF1": 5, "KLF1+MAP2K6": 5})
    with pytest.raises(InputError, match=r"KLF1\+MAP2K6"):
        split_cells(perturbation, test_combinations=["KLF1+MAP2K7"])


def test_impossible_input_is_refused() -> None:
    perturbation = cells(COMBINATIONS)
    with pytest.raises(InputError, match="no perturbation"):
        split_cells(perturbation.mask(perturbation == "A"))
    with pytest.raises(InputError, match="same name"):
        split_cells(pd.Series(["A", "B"], index=["x", "x"]))
    for fraction in (0, -1, 1.5, np.nan):
        with pytest.raises(InputError, match="share"):
            split_cells(perturbation, test_fraction=fraction)


def test_what_stands_behind_a_prediction() -> None:
    counts = {"control": 10, "A": 5, "B+C": 5, "D": 0}
    held_out = {"A+B", "A+D", "C"}
    expected = {
        "control": "seen",
        "A": "seen",
        "A+B": "held-out combination",
        "A+D": "gene never seen",
        "D": "gene never seen",
        "A+Z": "gene never seen",
        "A+C": "never measured",
        "B": "never measured",
        "C": "held-out combination",
    }
    assert {label: support_of(label, counts, held_out) for label in expected} == expected


def test_norman_subset(real_data) -> None:
    adata = anndata.read_h5ad(real_data("norman2019_subset.h5ad"))
    both_singles = {
        "KLF1+MAP2K6", "KLF1+TGFBR2", "MAP2K3+MAP2K6", "MAP2K3+SLC38A2", "MAPK1+TGFBR2",
    }  # fmt: skip
    perturbation = adata.obs["perturbation"]
    eligible = set(eligible_combinations(perturbation.unique()))
    assert both_singles <= eligible
    split = split_cells(perturbation, test_combinations=sorted(both_singles))
    assert set(perturbation[split == "test"]) == both_singles
    assert not both_singles & set(perturbation[split != "test"])


def test_defaults_are_seed_0_and_a_quarter() -> None:
    labels = cells({"A": 9, "B": 9, "C": 9, "A+B": 9, "A+C": 9, "B+C": 9})
    expected = split_cells(labels, seed=0, test_fraction=0.25)
    assert split_cells(labels).equals(expected)


def test_of_a_few_eligible_combinations_exactly_one_is_held_out() -> None:
    singles = {"A", "B", "C", "control"}
    assert len(draw_held_out(singles | {"A+B"}, seed=0)) == 1
    assert len(draw_held_out(singles | {"A+B", "A+C"}, seed=0)) == 1


def test_one_training_cell_and_all_trained_genes_are_support() -> None:
    assert support_of("A", {"A": 1}, ()) == "seen"
    assert support_of("A+B", {"A": 1, "B": 1}, ()) == "never measured"


def test_close_names_of_a_missing_combination_are_sorted_and_three() -> None:
    labels = cells({"A+B": 3, "A+C": 3, "A+D": 3, "A+E": 3, "A": 3})
    with pytest.raises(InputError) as caught:
        split_cells(labels, test_combinations=["A+X"])
    assert caught.value.do.count("+") == 3
    with pytest.raises(InputError, match=r"A\+X"):
        split_cells(labels, test_combinations=["A+Z", "A+X"])

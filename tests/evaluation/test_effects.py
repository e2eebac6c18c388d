"""The table of effects: selection, shapes, long form."""

import numpy as np
import pytest

from cradle.errors import InputError
from cradle.evaluation.effects import Effects


@pytest.fixture
def effects() -> Effects:
    mean = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    return Effects(
        ("A", "B"), ("x", "y", "z"), mean, mean - 1, mean + 1, n_cells=np.array([10, 20])
    )


def test_rows_follow_the_asked_order_and_carry_everything(effects):
    found = effects.rows(["B", "A"])
    assert found.perturbations == ("B", "A")
    assert found.mean.tolist() == [[4, 5, 6], [1, 2, 3]]
    assert found.lower.tolist() == [[3, 4, 5], [0, 1, 2]]
    assert found.n_cells.tolist() == [20, 10]
    assert found.se is None


def test_columns_select_genes_and_leave_the_cells(effects):
    found = effects.columns(["z", "x"])
    assert found.mean.tolist() == [[3, 1], [6, 4]]
    assert found.n_cells.tolist() == [10, 20]


def test_an_unknown_row_or_gene_is_named(effects):
    with pytest.raises(InputError, match="perturbation Q"):
        effects.rows(["A", "Q"])
    with pytest.raises(InputError, match="gene q"):
        effects.columns(["q"])


def test_long_form_has_one_row_per_perturbation_and_gene(effects):
    frame = effects.to_frame()
    assert list(frame.columns) == ["perturbation", "gene", "effect", "lower", "upper"]
    assert frame.iloc[4].tolist() == ["B", "y", 5.0, 4.0, 6.0]
    bare = Effects(("A",), ("x",), np.ones((1, 1))).to_frame()
    assert bare["lower"].isna().all()


def test_a_row_of_nan_is_not_applicable():
    effects = Effects(("A", "B"), ("x",), np.array([[np.nan], [0.0]]))
    assert effects.applicable == ("B",)


def test_shapes_that_disagree_are_refused():
    with pytest.raises(ValueError, match=r"lower has shape \(1, 2\), needs \(1, 1\)"):
        Effects(("A",), ("x",), np.ones((1, 1)), lower=np.ones((1, 2)))


def test_no_rows_at_all_keep_their_genes(effects):
    assert effects.rows([]).mean.shape == (0, 3)

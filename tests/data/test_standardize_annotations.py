"""Cells, labels, names and totals of files as they are met -> the standard dataset."""

import warnings

import numpy as np
import pandas as pd
import pytest

from cradle.data.full_values import TOTALS
from cradle.data.labels import adamson_label
from cradle.data.standardize import InputSpec, standardize
from cradle.errors import InputError
from tests.data.raw_file import COUNTS, LABELS, raw_file, same

# Cells that are dropped


def test_unassigned_and_empty_cells_are_dropped_and_counted() -> None:
    counts = np.vstack([COUNTS, COUNTS])
    counts[9] = 0
    labels = [*LABELS, "", "*", None, np.nan, "A"]
    result = standardize(raw_file(counts, labels), name="x")
    assert result.obs_names.tolist() == [f"cell{i}" for i in range(5)]
    assert result.uns["cradle"]["dropped"] == {"unassigned": 4, "zero_count": 1}


def test_a_file_of_nothing_else_is_refused() -> None:
    with pytest.raises(InputError, match="No cell is left"):
        standardize(raw_file(COUNTS * 0), name="x")


def test_cells_are_chosen_by_a_column() -> None:
    raw = raw_file(dataset=["one", "one", "one", "two", "two"])
    assert standardize(raw, InputSpec(rows=("dataset", "one")), name="x").n_obs == 3
    with pytest.raises(InputError, match=r"'three'.*'one', 'two'"):
        standardize(raw, InputSpec(rows=("dataset", "three")), name="x")
    with pytest.raises(InputError, match=r"Missing column obs\['set'\].*dataset"):
        standardize(raw, InputSpec(rows=("set", "one")), name="x")


# Labels


@pytest.mark.parametrize("control", ["control", "ctrl", "non-targeting", "NT", "negctrl"])
@pytest.mark.parametrize("pair", ["A+B", "A_B", "A,B", "A|B"])
def test_every_spelling_gives_the_same(control: str, pair: str) -> None:
    labels = [control, "A", "B", pair, control]
    assert same(standardize(raw_file(labels=labels), name="x"), standardize(raw_file(), name="x"))


def test_no_control_is_refused_unless_named() -> None:
    raw = raw_file(labels=["GFP", "A", "B", "A", "GFP"])
    with pytest.raises(InputError, match="no control cells"):
        standardize(raw, name="x")
    with pytest.raises(InputError, match="no control cells"):
        standardize(raw, InputSpec(control="LacZ"), name="x")
    for control in ((), "LacZ", ("GFP", "LacZ")):
        with pytest.raises(InputError, match="no control cells"):
            standardize(raw, InputSpec(perturbation="perturbation", control=control), name="x")
    result = standardize(raw, InputSpec(control="GFP"), name="x")
    assert (result.obs["perturbation"] == "control").sum() == 2


@pytest.mark.parametrize("labels", [[0, 1, 2, 3, 4], [0.0, np.nan, 1.0, 1.0, 1.0], [np.nan] * 5])
def test_numeric_labels_are_refused(labels: list[float]) -> None:
    with pytest.raises(InputError, match="not text"):
        standardize(raw_file(labels=labels), InputSpec(perturbation="perturbation"), name="x")
    with pytest.raises(InputError, match="No column is known"):
        standardize(raw_file(labels=labels), name="x")


def test_the_perturbation_column_is_found() -> None:
    raw = raw_file(labels=None, condition=LABELS, cell_type=["k562"] * 5, guide=["g"] * 5)
    assert standardize(raw, name="x").uns["cradle"]["provenance"]["labels"] == "obs:condition"
    raw = raw_file(condition=["ctrl", "A", "A", "ctrl", "A"])
    assert standardize(raw, name="x").obs["perturbation"].tolist() == LABELS


def test_equal_columns_are_no_ambiguity_and_different_ones_are_refused() -> None:
    raw = raw_file(labels=None, condition=LABELS, gene=["NT", *LABELS[1:-1], "NT"])
    assert standardize(raw, name="x").obs["perturbation"].tolist() == LABELS
    raw.obs["gene"] = ["ctrl", "A", "A", "A", "ctrl"]
    with pytest.raises(InputError, match=r"More than one column.*'condition', 'gene'"):
        standardize(raw, name="x")
    result = standardize(raw, InputSpec(perturbation="gene"), name="x")
    assert result.obs["perturbation"].tolist() == ["control", "A", "A", "A", "control"]


def test_a_missing_column_is_refused_with_what_there_is() -> None:
    with pytest.raises(InputError, match=r"obs\['label'\].*the columns perturbation"):
        standardize(raw_file(), InputSpec(perturbation="label"), name="x")
    with pytest.raises(InputError, match="No column is known to hold the perturbation"):
        standardize(raw_file(labels=None), name="x")


def test_labels_may_be_absent_on_request() -> None:
    result = standardize(raw_file(labels=None), name="x", require_labels=False)
    assert "perturbation" not in result.obs
    assert result.n_obs == 5
    unclear = raw_file(labels=["control", "A_x", "A_y", "A_z", "control"])
    assert "perturbation" not in standardize(unclear, name="x", require_labels=False).obs
    assert "perturbation" in standardize(raw_file(), name="x", require_labels=False).obs


def test_adamson_labels_are_read_by_their_parser() -> None:
    labels = ["63(mod)_pBA580", "SRP68_pDS008", "*", None, "SRP68_pDS009"]
    spec = InputSpec(perturbation="perturbation", parse_label=adamson_label)
    result = standardize(raw_file(labels=labels), spec, name="adamson")
    assert result.obs["perturbation"].tolist() == ["control", "SRP68", "SRP68"]
    assert result.uns["cradle"]["dropped"]["unassigned"] == 2
    with pytest.raises(InputError):
        standardize(raw_file(labels=labels), name="adamson")


# Names


def test_symbols_replace_ensembl_ids() -> None:
    raw = raw_file(genes=[f"ENSG0000000000{i}.1" for i in range(3)])
    raw.var["gene_symbols"] = pd.Categorical(["A", "B", None])
    result = standardize(raw, name="x")
    assert result.var_names.tolist() == ["A", "B", "ENSG00000000002.1"]
    assert result.uns["cradle"]["provenance"]["gene_names"] == "var:gene_symbols"
    raw.var["mine"] = ["X", "Y", "Z"]
    assert standardize(raw, InputSpec(symbols="mine"), name="x").var_names.tolist() == list("XYZ")


def test_symbols_in_the_index_are_not_replaced() -> None:
    raw = raw_file()
    raw.var["gene_name"] = ["X", "Y", "Z"]
    assert standardize(raw, name="x").var_names.tolist() == ["A", "B", "C"]


def test_repeated_names_are_made_unique_and_counted() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # anndata remarks on the repeated names
        raw = raw_file(genes=["A", "A-1", "A"])
        raw.obs_names = ["x", "y", "x", "z", "x"]
        result = standardize(raw, name="x")
    assert result.var_names.tolist() == ["A", "A-1", "A-2"]
    assert result.obs_names.tolist() == ["x", "y", "x-1", "z", "x-2"]
    assert result.uns["cradle"]["provenance"]["n_genes_renamed"] == 1
    assert result.uns["cradle"]["n_cells_renamed"] == 2
    np.testing.assert_array_equal(result.X.toarray(), COUNTS)


@pytest.mark.parametrize("column", ["batch", "gemgroup"])
def test_the_batch_is_found(column: str) -> None:
    raw = raw_file(**{column: [1, 1, 2, 2, 2]})
    assert standardize(raw, name="x").obs["batch"].tolist() == ["1", "1", "2", "2", "2"]
    assert "batch" not in standardize(raw, InputSpec(batch=""), name="x").obs


def test_cells_without_a_batch_are_refused() -> None:
    with pytest.raises(InputError, match="no batch"):
        standardize(raw_file(batch=["a", None, "a", "a", "a"]), name="x")


# The split of a file


@pytest.mark.parametrize(
    "words",
    [
        ("train", "val", "test"),
        ("training", "valid", "testing"),
        ("Train", "validation", " holdout "),
        ("TRAIN", "dev", "test"),
    ],
)
@pytest.mark.parametrize("dtype", [object, "category"])
def test_the_split_of_a_file_is_kept_in_other_words_too(words: tuple[str, ...], dtype) -> None:
    train, val, test = words
    values = pd.array([train, val, test, train, "unused"], dtype=dtype)
    result = standardize(raw_file(split=values), name="x")
    assert result.obs["split"].tolist() == ["train", "val", "test", "train", "unused"]
    source = result.uns["cradle"]["split_source"]
    assert source.startswith("obs:split")
    for word, name in zip(words, ("train", "val", "test"), strict=True):
        assert (f"{word} as {name}" in source) == (word != name)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["train", "train", "test", "ood", "ood"], r"'ood' in column 'split', in 2 of 5 cells"),
        (["train", "train", "test", None, "train"], r"'nan'|'None'.* in 1 of 5 cells"),
        (["train", "train", "test", "", "train"], r"'' in column 'split', in 1 of 5 cells"),
        ([0, 1, 2, 0, 1], "'0', '1', '2'"),
        ([0.0, np.nan, 2.0, 0.0, 1.0], "'nan'"),
        ([True, False, True, True, True], "'False', 'True'"),
    ],
)
def test_a_split_that_cannot_be_read_is_refused(values: list, found: str) -> None:
    for column in (values, pd.Categorical(values)):
        with pytest.raises(InputError, match=f"split of the file cannot be read.*({found})") as e:
            standardize(raw_file(split=column), name="x")
        assert "remove the column" in e.value.do


def test_dropped_cells_need_no_split() -> None:
    split = ["train", "val", None, "train", "test"]
    raw = raw_file(labels=["control", "A", "*", "A", "control"], split=split)
    assert standardize(raw, name="x").obs["split"].tolist() == ["train", "val", "train", "test"]


# Totals of the full transcriptome


@pytest.mark.parametrize("name", TOTALS)
def test_reported_totals_are_the_library_size(name: str) -> None:
    result = standardize(raw_file(**{name: [10, 20, 30, 40, 50]}), name="x")
    assert result.obs["library_size"].tolist() == [10, 20, 30, 40, 50]
    assert result.uns["cradle"]["library_size_source"] == f"obs:{name}"


@pytest.mark.parametrize("totals", [[10, 20, 30, 40, 1], [10, 20, np.nan, 40, 50], list("abcde")])
def test_totals_that_cannot_be_are_not_used(totals: list) -> None:
    result = standardize(raw_file(ncounts=totals, n_counts=[50] * 5), name="x")
    assert result.uns["cradle"]["library_size_source"] == "obs:n_counts"


def test_values_of_the_full_transcriptome_are_carried_over_for_a_panel() -> None:
    raw = raw_file(
        ncounts=[100.0] * 5,
        ngenes=[50, 60, 70, 80, 90],
        mitopercent=[0.01, 0.2, 0.05, 0.03, 0.1],
        percent_ribo=[10.0, 20.0, 30.0, 25.0, 12.0],
        pct_counts_hb=[0.1, 0.0, 0.2, 0.9, 0.0],
    )
    obs = standardize(raw, name="x").obs
    assert obs["full_genes_detected"].tolist() == [50, 60, 70, 80, 90]
    np.testing.assert_allclose(obs["full_mt_percent"], [1, 20, 5, 3, 10])
    assert obs["full_ribo_percent"].tolist() == [10, 20, 30, 25, 12]
    assert obs["full_hb_percent"].tolist() == [0.1, 0.0, 0.2, 0.9, 0.0]


def test_a_full_transcriptome_speaks_for_itself() -> None:
    raw = raw_file(ncounts=COUNTS.sum(axis=1), ngenes=[50] * 5, percent_mito=[1.0] * 5)
    result = standardize(raw, name="x")
    assert list(result.obs) == ["perturbation", "library_size"]
    assert result.uns["cradle"]["library_size_source"] == "obs:ncounts"


@pytest.mark.parametrize("column", [{"ngenes": [1] * 5}, {"percent_mito": [1.0] * 4 + [120]}])
def test_impossible_values_are_not_carried_over(column: dict) -> None:
    result = standardize(raw_file(ncounts=[100] * 5, **column), name="x")
    assert list(result.obs) == ["perturbation", "library_size"]


# Totals


def test_totals_are_taken_from_the_column_that_is_named() -> None:
    own = COUNTS.sum(axis=1)
    raw = raw_file(n_counts=own + 10, depth=own + 100)
    found = {
        name: standardize(raw, InputSpec(totals=name), name="x") for name in (None, "depth", "")
    }
    sizes = {name: cells.obs["library_size"].tolist() for name, cells in found.items()}
    assert sizes == {
        None: (own + 10).tolist(), "depth": (own + 100).tolist(), "": own.tolist(),
    }  # fmt: skip
    assert found["depth"].uns["cradle"]["library_size_source"] == "obs:depth"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (COUNTS.sum(axis=1) - 1, "5 cells that count more than it says"),
        ([1.0, 2.0, np.nan, 4.0, 5.0], "type float64, such as 1.0, 2.0, nan"),
        ([0.0, 2.0, 3.0, 4.0, 5.0], "such as 0.0"),
        (list("abcde"), "such as a, b, c"),
    ],
)
def test_a_named_column_that_cannot_hold_totals_is_refused(values, words: str) -> None:
    with pytest.raises(InputError, match="does not hold the total counts") as refused:
        standardize(raw_file(depth=values), InputSpec(totals="depth"), name="x")
    assert words in refused.value.found


def test_a_column_of_totals_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"Missing column obs\['depth'\]"):
        standardize(raw_file(), InputSpec(totals="depth"), name="x")

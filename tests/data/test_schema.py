"""The standard dataset and the list of its violations."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cradle.data.schema import check, is_standard, validate
from cradle.errors import InputError


@pytest.fixture
def standard() -> anndata.AnnData:
    counts = sp.csr_matrix(np.array([[1, 0, 2], [0, 3, 0], [4, 0, 0], [1, 1, 1]], dtype=np.float32))
    obs = pd.DataFrame(
        {
            "perturbation": pd.Categorical(["control", "A", "A+B", "control"]),
            "library_size": [30.0, 3.0, 40.0, 50.0],
        },
        index=[f"cell{i}" for i in range(4)],
    )
    var = pd.DataFrame(index=["A", "B", "C"])
    return anndata.AnnData(counts, obs=obs, var=var, uns={"cradle": {"schema_version": 1}})


def test_a_standard_dataset_has_no_violations(standard) -> None:
    assert is_standard(standard)
    assert validate(standard) == []
    check(standard)


def test_int32_counts_are_standard_too(standard) -> None:
    standard.X = standard.X.astype(np.int32)
    assert validate(standard) == []


def set_values(adata: anndata.AnnData, value: float) -> None:
    adata.X.data[0] = value


BREAKS = {
    "not a CSR matrix": lambda a: setattr(a, "X", a.X.toarray()),
    "neither float32 nor int32": lambda a: setattr(a, "X", a.X.astype(np.float64)),
    "not finite": lambda a: set_values(a, np.nan),
    "are negative": lambda a: set_values(a, -1),
    "not whole": lambda a: set_values(a, 0.5),
    "Missing column obs['perturbation']": lambda a: a.obs.pop("perturbation"),
    "Missing column obs['library_size']": lambda a: a.obs.pop("library_size"),
    "no perturbation": lambda a: a.obs["perturbation"].array.__setitem__(0, None),
    "no control cells": lambda a: a.obs.__setitem__("perturbation", "A"),
    "not in canonical form": lambda a: a.obs.__setitem__("perturbation", ["control", *3 * ["B+A"]]),
    "the same gene twice": lambda a: a.obs.__setitem__("perturbation", ["control", *3 * ["A+A"]]),
    "without a usable name": lambda a: a.obs.__setitem__("perturbation", ["control", *3 * ["A+"]]),
    "not positive numbers": lambda a: a.obs.__setitem__("library_size", 0.0),
    "below the cell's own counts": lambda a: a.obs.__setitem__("library_size", 1.0),
    "no batch": lambda a: a.obs.__setitem__("batch", ["x", None, "x", "x"]),
    "split holds unknown": lambda a: a.obs.__setitem__("split", "holdout"),
    "full_mt_percent holds": lambda a: a.obs.__setitem__("full_mt_percent", 101.0),
    "full_genes_detected holds": lambda a: a.obs.__setitem__("full_genes_detected", np.nan),
    "another version": lambda a: a.uns.__setitem__("cradle", {"schema_version": 99}),
    "missing or of": lambda a: a.uns.pop("cradle"),
    "of another version": lambda a: a.uns["cradle"].__setitem__("schema_version", np.arange(3)),
    "was made is damaged": lambda a: a.uns["cradle"].__setitem__("dropped", {"x": np.nan}),
    "made is damaged": lambda a: a.uns["cradle"].__setitem__("name", np.arange(3)),
    "columns of obs": lambda a: setattr(a, "obs", pd.concat([a.obs, a.obs], axis=1)),
    "columns of var": lambda a: setattr(
        a, "var", pd.DataFrame([[1, 2]] * a.n_vars, a.var_names, ["x", "x"])
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BREAKS)
def test_each_violation_is_found(standard, what: str) -> None:
    BREAKS[what](standard)
    violations = validate(standard)
    assert any(what in violation.what for violation in violations), violations
    assert all(violation.found and violation.do for violation in violations)


def test_every_violation_is_listed(standard) -> None:
    set_values(standard, -0.5)
    standard.obs["library_size"] = 0.0
    standard.uns = {}
    del standard.obs["perturbation"]
    whats = " ".join(violation.what for violation in validate(standard))
    for part in ("negative", "whole", "positive", "record", "perturbation"):
        assert part in whats
    with pytest.raises(InputError, match=r"negative.*whole.*perturbation.*positive.*record"):
        check(standard)


@pytest.mark.parametrize("things", ["cells", "genes"])
def test_repeated_names_are_found(standard, things: str) -> None:
    if things == "cells":
        standard.obs_names = ["x"] * 4
    else:
        standard.var_names = ["x"] * 3
    assert any(f"Two {things}" in violation.what for violation in validate(standard))


@pytest.mark.parametrize("name", ["", " "])
def test_empty_names_are_found(standard, name: str) -> None:
    """A table that holds them as text reads them back as missing."""
    standard.var_names = ["A", name, "C"]
    assert [v.what for v in validate(standard)] == ["Some genes have no name."]
    standard.obs_names = ["x", "y", name, "z"]
    assert [v.found for v in validate(standard)] == [f"an empty name, 1 of {n}." for n in (4, 3)]


@pytest.mark.parametrize(("cells", "genes"), [(0, 3), (4, 0)])
def test_an_empty_dataset_is_found(standard, cells: int, genes: int) -> None:
    violations = validate(standard[:cells, :genes].copy(), require_labels=False)
    assert any("There are no" in violation.what for violation in violations)


def test_labels_are_optional_on_request_and_checked_when_there(standard) -> None:
    standard.obs["perturbation"] = "A+A"
    assert validate(standard, require_labels=False)
    del standard.obs["perturbation"]
    assert validate(standard, require_labels=False) == []


def test_a_file_without_the_record_is_not_standard(standard) -> None:
    standard.uns = {"cradle": "text"}
    assert not is_standard(standard)
    assert validate(standard)

"""Every input met in the wild has one defined result or one refusal, through the command line."""

import warnings

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cradle.data.sources import data_hash, load
from cradle.runs import Run

LABELS = ["control", "KLF1", "MAP2K6", "KLF1+MAP2K6"] * 15
MT = [f"MT-{g}" for g in ("ND1", "ND2", "ND3", "ND4", "ND4L", "ND5", "ND6", "CO1", "CO2", "CO3")]
GENES = ["KLF1", "MAP2K6", *MT, *(f"GENE{i}" for i in range(18))]


def counts(n_cells: int = 60, n_genes: int = 30) -> np.ndarray:
    return np.random.default_rng(0).poisson(3.0, (n_cells, n_genes)).astype(np.float32)


def table(x=None, labels=LABELS, genes=GENES, cells=None, **obs) -> ad.AnnData:
    x = counts() if x is None else x
    frame = pd.DataFrame(
        {**({} if labels is None else {"perturbation": labels}), **obs},
        index=cells or [f"cell{i}" for i in range(x.shape[0])],
    )
    return ad.AnnData(x, obs=frame, var=pd.DataFrame(index=list(genes)))


def write(make, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anndata has its own opinion of these files
        make().write_h5ad(path)


def with_labels(**replace: str) -> list[str]:
    return [replace.get(label.replace("+", "_"), label) for label in LABELS]


def zero_cell():
    x = counts()
    x[3] = 0
    return table(x)


def zero_gene():
    x = counts()
    x[:, 20] = 0
    return table(x)


def changed(value, dtype=np.float32):
    x = counts().astype(dtype)
    x[5, 5] = value
    return table(x)


def ensembl():
    adata = table(genes=[f"ENSG{i:011d}" for i in range(30)])
    adata.var["gene_symbols"] = GENES
    return adata


def layered(**places):
    adata = table(np.log1p(counts() / 7))
    for name, matrix in places.items():
        adata.layers[name] = matrix
    return adata


# what the file is -> cells and genes of the standard form
ACCEPTED = {
    "plain": (table, (60, 30)),
    "a cell without counts is dropped": (zero_cell, (59, 30)),
    "a gene without counts stays": (zero_gene, (60, 30)),
    "one cell of a perturbation": (lambda: table(labels=["X1", *LABELS[1:]]), (60, 30)),
    "names with - _ .": (
        lambda: table(labels=with_labels(KLF1="HLA-A", MAP2K6="AC0.1"),
                      genes=["HLA-A", "AC0.1", "NKX2_5", *GENES[3:]]), (60, 30)),
    "B+A": (lambda: table(labels=with_labels(KLF1_MAP2K6="MAP2K6+KLF1")), (60, 30)),
    "repeated genes": (lambda: table(genes=["KLF1", "KLF1", *GENES[2:]]), (60, 30)),
    "repeated cells": (lambda: table(cells=["same"] * 60), (60, 30)),
    "Ensembl ids": (ensembl, (60, 30)),
    "mouse": (lambda: table(genes=[g.replace("MT-", "mt-") for g in GENES]), (60, 30)),
    "float64": (lambda: table(counts().astype("f8")), (60, 30)),
    "float16": (lambda: table(counts().astype("f2")), (60, 30)),
    "int64": (lambda: table(counts().astype("i8")), (60, 30)),
    "CSC": (lambda: table(sp.csc_matrix(counts())), (60, 30)),
    "counts in a layer": (lambda: layered(counts=counts()), (60, 30)),
    "one gene": (lambda: table(counts(60, 1) + 1, genes=["KLF1"]), (60, 1)),
    "one cell without a name": (
        lambda: table(counts(1), labels=["control"], cells=[""]), (1, 30)),
    "one cell": (lambda: table(counts(1), labels=["control"]), (1, 30)),
    "unassigned cells are dropped": (lambda: table(labels=["", "*", np.nan, *LABELS[3:]]),
                                     (57, 30)),
    "names that mean harm": (
        lambda: table(genes=["=1+1", "../../x", "![x](http://x.invalid)", *GENES[3:]],
                      labels=with_labels(KLF1="=CMD()", KLF1_MAP2K6="=CMD()+MAP2K6")), (60, 30)),
}  # fmt: skip

# what the file is -> the words that name what was wrong
REFUSED = {
    "no control": (lambda: table(labels=with_labels(control="A1BG")), "no control cells"),
    "A+A": (lambda: table(labels=with_labels(KLF1_MAP2K6="KLF1+KLF1")), "same gene twice"),
    "no columns": (lambda: table(labels=None), "No column is known"),
    "numeric labels": (lambda: table(labels=list(range(60))), "No column is known"),
    "only NaN labels": (lambda: table(labels=[np.nan] * 60), "No column is known"),
    "two separators": (lambda: table(labels=["A,B", "C|D", *LABELS[2:]]), "separator"),
    "not whole numbers": (lambda: changed(0.5), "log-normalised"),
    "log-normalised": (lambda: table(np.log1p(counts() / 7)), "log-normalised"),
    "scaled": (lambda: table(counts() * 33.3), "normalised or corrected"),
    "negative": (lambda: changed(-1), "negative"),
    "NaN": (lambda: changed(np.nan), "not numbers"),
    "infinite": (lambda: changed(np.inf), "not numbers"),
    "too large": (lambda: changed(2.0**40, np.float64), "counts that no cell has"),
    "float16 that has rounded": (lambda: changed(4096, np.float16), "too small"),
    "no counts at all": (lambda: table(counts() * 0), "No cell is left"),
    "no cells": (lambda: table(counts(0), labels=[]), ""),
    "no genes": (lambda: table(counts(60, 0), genes=[]), "No cell is left"),
    "batch that is missing for a cell": (lambda: table(batch=["a", None, *["b"] * 58]),
                                         "no batch"),
    "batches without a name": (lambda: table(batch=pd.Categorical([""] * 60)), "no batch"),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(cli, tmp_path, name):
    make, shape = ACCEPTED[name]
    path = tmp_path / "file.h5ad"
    write(make, path)
    outcome = cli("validate", path, "--json")
    assert outcome.code == 0, outcome.err
    assert (outcome.json["n_cells"], outcome.json["n_genes"]) == shape
    quality = cli("qc", path, "--json")
    assert quality.code == 0, quality.err
    assert quality.json["n_cells"] == shape[0]
    fit = cli("fit", path, "--model", "additive", "--out", tmp_path / "run", "--criteria",
              "umi_counts", "--json")  # fmt: skip
    assert fit.code in (0, 2), fit.err
    assert (fit.code == 0) == (tmp_path / "run" / "DONE").exists()
    assert "Traceback" not in outcome.err + quality.err + fit.err
    if "one" not in name:
        assert fit.code == 0, fit.err


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_one_message(refused, cli, tmp_path, name):
    make, says = REFUSED[name]
    path = tmp_path / "file.h5ad"
    write(make, path)
    outcome = refused("fit", path, "--model", "additive", "--out", tmp_path / "run", says=says)
    assert [line.split(":")[0].strip() for line in outcome.err.splitlines()[-2:]] == [
        "Found", "Do",
    ]  # fmt: skip
    assert not (tmp_path / "run").exists()
    report = cli("validate", path, "--json")
    assert report.code == 2
    assert report.json["ok"] is False
    assert all(violation[part] for violation in report.json["violations"]
               for part in ("what", "found", "do"))  # fmt: skip


@pytest.mark.parametrize("own_form", [False, True])
def test_two_columns_of_one_name_are_refused(refused, screen, tmp_path, own_form):
    """anndata writes no such file, but reads it."""
    path = tmp_path / "file.h5ad"
    (screen if own_form else table()).write_h5ad(path)
    with h5py.File(path, "a") as file:
        columns = list(file["obs"].attrs["column-order"])
        file["obs"].attrs["column-order"] = [*columns, columns[0]]
    refused("qc", path, says="Two columns of obs have the same name")
    refused("fit", path, "--model", "additive", "--out", tmp_path / "run", says="same name")


def test_all_storages_give_identical_results(cli, tmp_path):
    """The same screen, stored in five ways: one hash, one report, bit for bit one baseline."""
    ways = [(np.asarray, "f4"), (sp.csr_matrix, "f8"), (sp.csr_matrix, "i8"),
            (sp.csc_matrix, "i8"), (sp.csc_matrix, "f4")]  # fmt: skip
    results = []
    for number, (layout, dtype) in enumerate(ways):
        x = layout(counts().astype(dtype))
        path = tmp_path / f"{number}.h5ad"
        table(x).write_h5ad(path)
        out = tmp_path / f"run{number}"
        assert cli("fit", path, "--model", "additive", "--out", out).code == 0
        files = ("thresholds.json", "split.csv.gz", "genes.csv", "library_sizes.csv")
        run = Run.load(out)
        results.append((
            data_hash(load(path)), cli("qc", path, "--json").out, run.moments.mean.tobytes(),
            run.moments.m2.tobytes(), run.predicted_effects.mean.tobytes(),
            *((out / name).read_bytes() for name in files),
        ))  # fmt: skip
    assert all(result == results[0] for result in results)


def test_mouse_mitochondria_are_measured(cli, tmp_path):
    for name in ("plain", "mouse"):
        write(ACCEPTED[name][0], tmp_path / f"{name}.h5ad")
    plain, mouse = (
        cli("qc", tmp_path / f"{name}.h5ad", "--json").json["thresholds"]["mt_percent"]
        for name in ("plain", "mouse")
    )
    assert mouse["measurable"]
    assert mouse == plain


@pytest.mark.parametrize("criteria", ["umi_counts", "mt_percent"])
def test_all_pass(cli, tmp_path, criteria):
    table().write_h5ad(tmp_path / "file.h5ad")
    report = cli("qc", tmp_path / "file.h5ad", "--mad", "1000", "--criteria", criteria, "--json")
    assert report.json["pass_rate"] == 1


def test_training_on_passing_cells_of_which_there_are_none_is_refused(refused, cli, tmp_path):
    """Doublet calls aside, the median cell always passes; a file may bring values that do not."""
    x = counts()
    x[::2] = 1  # half of the cells lie far below the other half
    table(x).write_h5ad(tmp_path / "file.h5ad")
    outcome = cli("fit", tmp_path / "file.h5ad", "--model", "cradle_vae", "--out",
                  tmp_path / "run", "--mad", "0.001", "--train-cells", "passing", "--epochs", "1",
                  "--set", "n_latent=2", "--set", "n_hidden=4")  # fmt: skip
    assert outcome.code in (0, 2), outcome.err
    assert "Traceback" not in outcome.err

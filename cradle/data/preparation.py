"""A standard dataset made ready for training: split, genes, thresholds, flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from cradle.data.cell_source import sharing_counts
from cradle.data.columns import coded_texts
from cradle.data.genes import select_genes
from cradle.data.qc import CRITERIA, QCThresholds, annotate, cell_metrics, fit_thresholds
from cradle.data.qc_genes import HbGenes
from cradle.data.schema import CONTROL, check
from cradle.data.splits import split_cells
from cradle.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

#: Up to this many genes all are modelled; above, as many highly variable ones.
MAX_GENES = 5000
SPLIT_OF_FILE = "column split of the file"


@dataclass(frozen=True)
class Screen:
    """A dataset made ready for training.

    Parameters
    ----------
    adata
        Modelled genes, with ``split`` and the QC columns in ``obs``.
    thresholds
        Fitted on the training cells.
    split_from
        Where the split comes from: the file, what is named to be held out, or the seed.
    gene_selection
        How the modelled genes were chosen, see :func:`cradle.data.genes.select_genes`.
    """

    adata: AnnData
    thresholds: QCThresholds
    split_from: str
    gene_selection: dict[str, str | int]


def prepare(
    adata: AnnData,
    *,
    mad: float = 3.0,
    criteria: Sequence[str] | None = None,
    split_seed: int = 0,
    test_combinations: Sequence[str] | None = None,
    n_top_genes: int | Literal["all"] | None = None,
    hemoglobin_regex: bool = False,
) -> Screen:
    """Split the cells, select genes, fit the thresholds on training cells and flag all cells.

    Parameters
    ----------
    adata
        Standard form. A ``split`` that it already has is kept, unless
        ``test_combinations`` are given; an empty sequence holds nothing out.
    mad
        Threshold k, in median absolute deviations.
    criteria
        QC criteria that count as artifact; ``None`` = all six. Doublets are called only if they
        are among them.
    n_top_genes
        Highly variable genes to model; ``None`` = all up to ``MAX_GENES``.

    Raises
    ------
    InputError
        The dataset violates its contract, or an argument is out of range.
    """
    check(adata)
    split_from = split_source(adata, split_seed, test_combinations)
    if split_from != SPLIT_OF_FILE:
        adata = sharing_counts(adata)
        adata.obs["split"] = split_cells(
            adata.obs["perturbation"], seed=split_seed, test_combinations=test_combinations
        )
    train = (adata.obs["split"] == "train").to_numpy()
    if n_top_genes is None:
        n_top_genes = MAX_GENES if adata.n_vars > MAX_GENES else "all"
    selection = select_genes(adata, n_top_genes, train=train)
    hb_genes: HbGenes = "reference" if hemoglobin_regex else "listed"
    chosen = tuple(criteria or CRITERIA)
    # Scrublet takes longer than all else: only where its calls count
    metrics = cell_metrics(adata, doublets="doublet" in chosen, hb_genes=hb_genes)
    thresholds = fit_thresholds(
        adata,
        mad=mad,
        criteria=chosen,
        train=train,
        genes=list(selection.genes),
        metrics=metrics,
        hb_genes=hb_genes,
    )
    flagged = annotate(adata, thresholds, metrics=metrics)
    if len(selection.genes) < flagged.n_vars:
        flagged = flagged[:, selection.genes].copy()
    return Screen(flagged, thresholds, split_from, selection.record)


def split_source(
    adata: AnnData, split_seed: int, test_combinations: Sequence[str] | None = None
) -> str:
    """Where :func:`prepare` takes the split from; a split of the file makes the seed idle."""
    if test_combinations is not None:
        held_out = "named combinations" if test_combinations else "nothing held out"
        return f"{held_out}, cells by seed {split_seed}"
    return SPLIT_OF_FILE if "split" in adata.obs else f"seed {split_seed}"


def used_cells(cells: pd.DataFrame, train_cells: Literal["all", "passing"]) -> pd.Series[bool]:
    """Which cells a model may learn from, (n_cells,).

    Parameters
    ----------
    cells
        ``perturbation``, ``split`` and ``qc_fail`` of every cell.

    Raises
    ------
    InputError
        The choice is unknown, or leaves no control cell in training: effects are told against it.
    """
    if train_cells not in ("all", "passing"):
        raise InputError(
            "The choice of training cells is unknown.", repr(train_cells), "Use all or passing."
        )
    passing = ~cells["qc_fail"].astype(bool)
    used = passing if train_cells == "passing" else pd.Series(True, cells.index)
    control = cells["perturbation"] == CONTROL
    trained = control & (cells["split"] == "train")
    if not (trained & used).any():
        raise InputError(
            "There are no control cells to learn from.",
            f"{int(control.sum())} control cells, {int(trained.sum())} of them in the split "
            f"'train', {int((trained & passing).sum())} of these pass quality control.",
            "Move control cells to 'train', remove the column split so that one is drawn, or, "
            "where none passes, train on all cells or with a laxer threshold.",
        )
    return used


def perturbation_table(cells: pd.DataFrame, used: pd.Series[bool] | None = None) -> pd.DataFrame:
    """Cells of each perturbation: n_train, n_val, n_test, n_fail_train, n_counterparts, held_out.

    Parameters
    ----------
    cells
        ``perturbation``, ``split`` and ``qc_fail`` of every cell.
    used
        Which cells may be learned from; ``n_train``, ``n_val`` and ``n_fail_train`` count
        those only. ``n_counterparts`` are the QC-failed ones that serve as counterfactual
        reference, which needs a QC-passing cell of the same perturbation beside them.
    """
    label, split = coded_texts(cells["perturbation"]), cells["split"]
    keep = pd.Series(True, cells.index) if used is None else used

    def count(mask: pd.Series[bool]) -> npt.NDArray[np.int64]:
        return np.bincount(label.codes[mask], minlength=len(label.categories))

    table = pd.DataFrame(
        {
            "n_train": count((split == "train") & keep),
            "n_val": count((split == "val") & keep),
            "n_test": count(split == "test"),
            "n_fail_train": count((split == "train") & keep & cells["qc_fail"].astype(bool)),
        },
        index=label.categories,
    )
    only_failed = table["n_fail_train"] == table["n_train"]
    table["n_counterparts"] = table["n_fail_train"].mask(only_failed, 0)
    table["held_out"] = (count(split == "train") == 0) & (table["n_test"] > 0)
    return table.rename_axis("perturbation").reset_index()

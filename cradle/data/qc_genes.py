"""Which genes belong to which quality criterion, and when a file holds enough of them."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cradle.errors import InputError

CRITERIA = (
    "umi_counts",
    "genes_detected",
    "mt_percent",
    "ribo_percent",
    "hb_percent",
    "doublet",
)
PERCENTAGES = ("mt_percent", "ribo_percent", "hb_percent")

HbGenes = Literal["listed", "reference"]

# The 13 protein-coding genes: the prefix alone would also count mitochondrial tRNA and rRNA.
MT_GENES = tuple(
    f"MT-{gene}"
    for gene in (
        *("ND1", "ND2", "ND3", "ND4", "ND4L", "ND5", "ND6"),
        *("CO1", "CO2", "CO3", "ATP6", "ATP8", "CYB"),
    )
)
HB_GENES = ("HBA1", "HBA2", "HBB", "HBD", "HBE1", "HBG1", "HBG2", "HBM", "HBQ1", "HBZ")
HB_NEEDED = ("HBA1", "HBA2", "HBB", "HBG1", "HBG2")
MT_NEEDED = 10
RIBO_NEEDED = 40

# As published (Baek 2025, code); it also catches HBEGF and HBS1L.
_HB_REFERENCE = re.compile(r"^HB[^(P)]")


def gene_classes(
    var_names: Iterable[str], hb_genes: HbGenes = "listed"
) -> dict[str, NDArray[np.bool_]]:
    """Find the genes of each percentage criterion.

    Parameters
    ----------
    var_names
        Gene symbols, (n_genes,).
    hb_genes
        ``"listed"``: the ten hemoglobin genes by name; ``"reference"``: the published regular
        expression ``^HB[^(P)]``.

    Returns
    -------
    dict
        Criterion to boolean mask, (n_genes,). Letter case is ignored, so that symbols in small
        letters are found; the published expression alone heeds it.

    Raises
    ------
    InputError
        ``hb_genes`` is neither of the two.
    """
    check_hb_genes(hb_genes)
    names = [str(name) for name in var_names]
    upper = [name.upper() for name in names]
    if hb_genes == "listed":
        hemoglobin = [name in HB_GENES for name in upper]
    else:
        hemoglobin = [bool(_HB_REFERENCE.match(name)) for name in names]
    return {
        "mt_percent": np.array([name.startswith("MT-") for name in upper], dtype=bool),
        "ribo_percent": np.array([name.startswith(("RPS", "RPL")) for name in upper], dtype=bool),
        "hb_percent": np.array(hemoglobin, dtype=bool),
    }


def check_hb_genes(hb_genes: str) -> None:
    """Raise InputError unless the rule for hemoglobin genes is known."""
    if hb_genes not in ("listed", "reference"):
        raise InputError(
            "The rule for hemoglobin genes is not known.",
            f"{hb_genes!r}.",
            "Choose 'listed' or 'reference'.",
        )


def lacking_genes(var_names: Iterable[str]) -> dict[str, str]:
    """Tell which percentages the given genes cannot measure, and why.

    Parameters
    ----------
    var_names
        Gene symbols, (n_genes,).

    Returns
    -------
    dict
        Criterion to reason, a sentence; criteria with enough genes are absent. Enough is at
        least 10 of the 13 MT genes, at least 40 RPS/RPL genes, all of HBA1, HBA2, HBB, HBG1, HBG2.
    """
    present = {str(name).upper() for name in var_names}
    mitochondrial = sum(gene in present for gene in MT_GENES)
    ribosomal = sum(name.startswith(("RPS", "RPL")) for name in present)
    absent = [gene for gene in HB_NEEDED if gene not in present]
    reasons = {}
    if mitochondrial < MT_NEEDED:
        reasons["mt_percent"] = (
            f"The genes hold {mitochondrial} of the 13 MT genes; at least {MT_NEEDED} are needed."
        )
    if ribosomal < RIBO_NEEDED:
        reasons["ribo_percent"] = (
            f"The genes hold {ribosomal} RPS/RPL genes; at least {RIBO_NEEDED} are needed."
        )
    if absent:
        reasons["hb_percent"] = (
            f"The genes lack {', '.join(absent)}; all of {', '.join(HB_NEEDED)} are needed."
        )
    return reasons


def modelled_mask(var_names: pd.Index, genes: Sequence[str] | None) -> NDArray[np.bool_]:
    """Mark the modelled genes, (n_genes,); all of them when `genes` is None."""
    if genes is None:
        return np.ones(len(var_names), dtype=bool)
    absent = [gene for gene in genes if gene not in var_names]
    if absent:
        raise InputError(
            "Modelled genes are missing from the cells.",
            f"{len(absent)} of {len(genes)} are absent, among them {', '.join(absent[:5])}.",
            "Use the dataset that the model was trained on.",
        )
    return np.asarray(var_names.isin(genes))


def names_hash(genes: Iterable[str]) -> str:
    """SHA-256 of the gene names, whatever their order."""
    return hashlib.sha256("\n".join(sorted(map(str, genes))).encode()).hexdigest()

"""Real gene symbols for simulated screens, from the tables in ``assets/``."""

from collections import Counter
from collections.abc import Collection
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from cradle.data.dosage import canonical
from cradle.errors import InputError

ASSETS = Path(__file__).resolve().parents[2] / "assets"
SPECIAL = ("mitochondrial", "ribosomal", "hemoglobin")
SPARE_GENES = 100  # enough others for programs to differ and for Scrublet to see them


@lru_cache(maxsize=1)
def symbols() -> pd.DataFrame:
    """Known symbols: gene, role (mitochondrial, ribosomal, …, other), program of a marker.

    Genes of role ``other`` are ordered by falling expression in blood cells.
    """
    return pd.read_csv(ASSETS / "gene_symbols.csv", keep_default_na=False)


@lru_cache(maxsize=1)
def programs() -> dict[str, str]:
    """Label -> gene program, as published for the screen of Norman et al. 2019."""
    table = pd.read_csv(ASSETS / "norman_programs.csv")
    labels = [canonical(label.split("+")) for label in table["perturbation"]]
    return dict(zip(labels, table["program"], strict=True))


def perturbed_symbols(
    n_perturbations: int, available: Collection[str] | None = None
) -> tuple[str, ...]:
    """Genes to perturb: the screen's own, most often combined first, then other symbols."""
    counts = Counter(gene for label in programs() for gene in label.split("+"))
    published = sorted(counts, key=lambda gene: (-counts[gene], gene))
    table = symbols()
    others = table.loc[(table["role"] == "other") & ~table["gene"].isin(published), "gene"]
    if available is not None:
        published = [gene for gene in published if gene in available]
        others = others[others.isin(available)]
    # the most abundant symbols (ACTB, B2M) are no targets of a screen
    pool = [*published, *others.iloc[1000:], *others.iloc[:1000]]
    if n_perturbations > len(pool):
        raise InputError(
            "There are not enough gene symbols to perturb.",
            f"{n_perturbations} perturbations, {len(pool)} symbols.",
            "Ask for fewer perturbations.",
        )
    return tuple(sorted(pool[:n_perturbations]))


def choose_pairs(genes: tuple[str, ...], n_pairs: int, rng: np.random.Generator) -> list[str]:
    """Draw pair labels among ``genes``: pairs of the published screen first, then any."""
    published = [p for p in programs() if "+" in p and set(p.split("+")) <= set(genes)]
    chosen = [published[i] for i in rng.permutation(len(published))[:n_pairs]]
    missing = n_pairs - len(chosen)
    if missing:
        rest = sorted({"+".join(pair) for pair in combinations(genes, 2)} - set(chosen))
        chosen += [rest[i] for i in rng.choice(len(rest), missing, replace=False)]
    return sorted(chosen)


def main_program(gene: str, rng: np.random.Generator) -> str:
    """Program that most published labels with ``gene`` belong to; drawn when there is none."""
    found = Counter(p for label, p in programs().items() if gene in label.split("+"))
    names = sorted(set(programs().values()))
    drawn = names[int(rng.integers(len(names)))]
    return min(found, key=lambda name: (-found[name], name)) if found else drawn


def choose_genes(n_genes: int, perturbed: tuple[str, ...]) -> pd.DataFrame:
    """Select the genes of a screen: special, perturbed, marker, then other ones.

    Returns
    -------
    DataFrame indexed by gene with the columns ``role`` and ``program``.

    Raises
    ------
    InputError
        When the special and perturbed genes do not fit, or the symbols run out.
    """
    table = symbols().set_index("gene")
    special = table[table["role"].isin(SPECIAL)]
    targets = pd.DataFrame({"role": "perturbed", "program": ""}, index=pd.Index(perturbed))
    rest = table[~table["role"].isin(SPECIAL) & ~table.index.isin(perturbed)]
    smallest = len(special) + len(targets) + SPARE_GENES
    largest = len(special) + len(targets) + len(rest)
    if not smallest <= n_genes <= largest:
        raise InputError(
            "The number of genes does not fit this simulation.",
            f"{n_genes} genes with {len(perturbed)} perturbed ones.",
            f"Choose between {smallest} and {largest} genes.",
        )
    chosen = rest.iloc[: n_genes - len(special) - len(targets)]
    return pd.concat([special, targets, chosen]).rename_axis("gene")

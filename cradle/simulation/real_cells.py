"""Real cells as the clean population of a semi-synthetic screen."""

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from cradle.data.qc_genes import gene_classes
from cradle.errors import InputError
from cradle.simulation.artifacts import Counts
from cradle.simulation.config import SimulationConfig
from cradle.simulation.design import Design, Floats
from cradle.simulation.genes import SPARE_GENES, SPECIAL, symbols

REUSE_KEEPS = 0.8  # share of the counts that a cell keeps when the base is used more than once
LEAST_SHARE = 2e-5  # a perturbed gene rises from here even where the base never detects it
ADDED_INVERSE_DISPERSION = 5.0
MAX_EXPECTATION_CELLS = 3000


def choose_base_genes(
    base: AnnData, n_genes: int, perturbed: tuple[str, ...]
) -> tuple[pd.DataFrame, sparse.csr_matrix]:
    """Select the genes to model: special and perturbed ones, then the most expressed.

    Returns
    -------
    The modelled genes with their role and program, in the order of the base, and the counts
    (n_cells, n_columns) of these genes followed by all other genes with any count.
    """
    counts = _checked_counts(base)
    names = pd.Index(base.var_names.astype(str))
    marker = symbols().set_index("gene")["program"].reindex(names).fillna("").to_numpy()
    role = np.where(marker != "", "marker", "other").astype(object)
    for name, mask in zip(SPECIAL, gene_classes(names).values(), strict=True):
        role[mask] = name
        if name != "ribosomal" and not counts[:, mask].nnz:
            raise InputError(
                f"The base has no counts of {name} genes, so artifacts cannot be implanted.",
                f"{base.n_vars} genes, {int(mask.sum())} of them {name}.",
                "Use a base with the full transcriptome and human gene symbols.",
            )
    role[names.isin(perturbed) & ~np.isin(role, SPECIAL)] = "perturbed"
    kept = np.isin(role, [*SPECIAL, "perturbed"])
    total = np.asarray(counts.sum(axis=0)).ravel()
    smallest = int(kept.sum()) + SPARE_GENES
    if not smallest <= n_genes <= len(names):
        raise InputError(
            "The number of genes does not fit this base.",
            f"{n_genes} genes.",
            f"Choose between {smallest} and {len(names)} genes.",
        )
    order = np.lexsort((-total, ~kept))
    modelled = np.sort(order[:n_genes])
    others = np.sort(order[n_genes:])
    genes = pd.DataFrame({"role": role, "program": marker}, index=names.rename("gene"))
    columns = np.concatenate([modelled, others[total[others] > 0]])
    return genes.iloc[modelled], counts[:, columns]


def _checked_counts(base: AnnData) -> sparse.csr_matrix:
    counts = sparse.csr_matrix(base.X)
    values = counts.data
    whole = np.isfinite(values).all() and (values >= 0).all() and (values == np.rint(values)).all()
    if not whole or not base.var_names.is_unique or not (counts.sum(axis=1) > 0).all():
        raise InputError(
            "The base of a semi-synthetic screen needs raw counts.",
            "values that are no counts, cells without any, or gene names that repeat.",
            "Bring it into standard form first, with validate --out.",
        )
    return counts


class RealPopulation:
    """Counts of real cells, with effects implanted by thinning and adding counts."""

    def __init__(
        self,
        base: AnnData,
        genes: pd.DataFrame,
        counts: sparse.csr_matrix,
        design: Design,
        config: SimulationConfig,
    ) -> None:
        self.genes, self.design = genes, design
        self._counts = counts
        self._batch = base.obs["batch"].astype(str).to_numpy() if "batch" in base.obs else None
        self._reused = config.n_cells > counts.shape[0]
        share = np.asarray(counts.sum(axis=0)).ravel()[: len(genes)] / counts.sum()
        floor = np.where(genes["role"] == "perturbed", LEAST_SHARE, 0.0)
        self._share = np.maximum(share, floor)
        record = base.uns.get("cradle", {})
        thinned = " Base cells were used repeatedly, each thinned anew." if self._reused else ""
        self.provenance = {
            "name": "semi_synthetic",
            "source": f"simulation on {record.get('name', 'real cells')}",
            "notes": "Real cells with implanted effects and artifacts." + thinned,
        }

    def states(self, n_cells: int, rng: np.random.Generator) -> pd.DataFrame:
        """Pick base cells, each as often as any other."""
        n_base = self._counts.shape[0]
        rounds = [rng.permutation(n_base) for _ in range(-(-n_cells // n_base))]
        rows = np.concatenate(rounds)[:n_cells]
        states = pd.DataFrame({"base_row": rows})
        return states if self._batch is None else states.assign(batch=self._batch[rows])

    def counts(
        self, states: pd.DataFrame, labels: NDArray[np.intp], rng: np.random.Generator
    ) -> Counts:
        """Draw counts with the effects of the labels implanted, (n_cells, n_columns)."""
        counts = self._base(states["base_row"].to_numpy(), rng)
        modelled = counts[:, : len(self.genes)]
        modelled[:] = self._implant(modelled, counts.sum(axis=1), labels, rng)
        return counts

    def _base(self, rows: NDArray[np.intp], rng: np.random.Generator) -> Counts:
        counts: Counts = self._counts[rows].toarray().astype(np.int64)
        return rng.binomial(counts, REUSE_KEEPS) if self._reused else counts

    def _implant(
        self, counts: Counts, depth: Counts, labels: NDArray[np.intp], rng: np.random.Generator
    ) -> Counts:
        """Implant effects into the modelled genes, (n_cells, n_genes).

        A falling gene keeps each count with probability exp(effect); a rising one gains
        gamma-Poisson counts with mean (exp(effect) − 1)·(mean share in the base)·depth.
        """
        effects = self.design.log_effects[labels]
        rows, columns = np.nonzero(effects)
        effect = effects[rows, columns]
        gained = depth[rows] * self._share[columns] * np.expm1(np.maximum(effect, 0.0))
        noise = rng.standard_gamma(ADDED_INVERSE_DISPERSION, len(rows)) / ADDED_INVERSE_DISPERSION
        kept = rng.binomial(counts[rows, columns], np.exp(np.minimum(effect, 0.0)))
        implanted = counts.copy()
        implanted[rows, columns] = kept + rng.poisson(gained * noise)
        return implanted

    def expected_levels(self, rng: np.random.Generator) -> Floats:
        """E log2(1 + 1e4·x/l) by implanting every label into the same base cells.

        Up to 3 000 base cells, shared by all labels, so that only the implanting is sampled.
        """
        n_cells = min(self._counts.shape[0], MAX_EXPECTATION_CELLS)
        rows = rng.choice(self._counts.shape[0], n_cells, replace=False)
        levels = np.zeros_like(self.design.log_effects)
        for part in np.array_split(rows, -(-n_cells // 500)):
            counts = self._base(part, rng)
            modelled, depth = counts[:, : len(self.genes)], counts.sum(axis=1)
            rest = depth - modelled.sum(axis=1)
            for label in range(len(levels)):
                same = np.full(len(part), label, dtype=np.intp)
                implanted = self._implant(modelled, depth, same, rng)
                # thinning may leave a small cell without a count: 0 for every gene
                scale = 1e4 / np.maximum(rest + implanted.sum(axis=1), 1)
                levels[label] += np.log2(1 + implanted * scale[:, None]).sum(axis=0) / n_cells
        return levels

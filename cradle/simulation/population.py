"""The cells of a fully simulated screen: basal variation, batches, gamma-Poisson counts."""

from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp

from cradle.simulation.artifacts import Counts
from cradle.simulation.config import SimulationConfig
from cradle.simulation.design import CYCLE, Design, Floats, variable_weights
from cradle.simulation.expectation import ExpectationTable

AXES = (
    "true_s_phase",
    "true_g2m_phase",
    "true_differentiation",
    "true_growth",
    "true_mt_content",
)
# shares of all counts: a cell line with its own fetal hemoglobin, as K562
CLASS_SHARES = {"mitochondrial": 0.05, "ribosomal": 0.28, "hemoglobin": 0.01}
CLASS_SPREADS = {"mitochondrial": 0.7, "ribosomal": 0.6, "hemoglobin": 0.3}
HEMOGLOBIN_LEVELS = {"HBG1": 0.28, "HBG2": 0.32, "HBE1": 0.16, "HBZ": 0.1, "HBA1": 0.06}
SPREAD = 2.4  # of the natural log of expression over genes
N_EXPECTATION_STATES = 400


class Population(Protocol):
    """Clean cells of a screen, simulated or real.

    Attributes
    ----------
    genes
        Modelled genes with their role and program.
    design
        Labels and effects.
    provenance
        Name, source and notes for the record.
    """

    genes: pd.DataFrame
    design: Design
    provenance: dict[str, str]

    def states(self, n_cells: int, rng: np.random.Generator) -> pd.DataFrame:
        """Draw what a cell is before it is perturbed; the columns go to ``obs``."""

    def counts(
        self, states: pd.DataFrame, labels: NDArray[np.intp], rng: np.random.Generator
    ) -> Counts:
        """Draw counts (n_cells, n_columns): the modelled genes first, then any others."""

    def expected_levels(self, rng: np.random.Generator) -> Floats:
        """E log2(1 + 1e4·x/l) of clean cells, (n_labels, n_genes)."""


def draw_log_expression(genes: pd.DataFrame, rng: np.random.Generator) -> Floats:
    """Natural log of the share of each gene in the average cell, (n_genes,).

    Genes of role ``other`` fall in the order of their table, log-normally spread; markers and
    perturbed genes are moderately expressed.
    """
    role = genes["role"].to_numpy()
    level = np.zeros(len(genes))
    other = np.flatnonzero(role == "other")
    level[other] = -np.sort(-rng.normal(0.0, SPREAD, len(other)))
    for name, centre, spread in (("marker", 0.0, 1.2), ("perturbed", 0.0, 0.6)):
        rows = np.flatnonzero(role == name)
        level[rows] = rng.normal(centre, spread, len(rows))
    special = np.isin(role, list(CLASS_SHARES))
    level[~special] += np.log(1 - sum(CLASS_SHARES.values())) - logsumexp(level[~special])
    for name, share in CLASS_SHARES.items():
        rows = np.flatnonzero(role == name)
        drawn = rng.normal(0.0, CLASS_SPREADS[name], len(rows))
        if name == "hemoglobin":
            drawn += np.log([HEMOGLOBIN_LEVELS.get(gene, 0.015) for gene in genes.index[rows]])
        level[rows] = drawn + np.log(share) - logsumexp(drawn)
    return level


def draw_inverse_dispersion(mean: Floats, rng: np.random.Generator) -> Floats:
    """θ of each gene: dispersion 1/θ falls with the mean count, down to a floor of 0.05."""
    dispersion = (0.05 + 0.07 / np.sqrt(mean)) * rng.lognormal(0.0, 0.2, mean.shape)
    return np.asarray(1 / dispersion)


def draw_loadings(genes: pd.DataFrame, expression: Floats, rng: np.random.Generator) -> Floats:
    """Low-rank basal variation, natural log per unit of each axis, (n_axes, n_genes)."""
    weights = variable_weights(genes, expression)
    loadings = np.zeros((len(AXES), len(genes)))
    for row, (share, spread) in enumerate(((0.05, 0.3), (0.05, 0.3), (0.1, 1.1), (0.1, 0.15))):
        size = int(share * np.count_nonzero(weights))
        varies = rng.choice(len(genes), size, replace=False, p=weights)
        loadings[row, varies] = rng.normal(0.0, spread, size)
    for row, phase in enumerate(CYCLE):
        marks = (genes["program"] == phase).to_numpy()
        loadings[row, marks] = rng.uniform(0.5, 1.2, np.count_nonzero(marks))
    loadings[3, genes["role"] == "ribosomal"] = 0.1
    loadings[4, genes["role"] == "mitochondrial"] = 0.2
    return loadings


class SimulatedPopulation:
    """log share = expression + basal state · loadings + effect + batch, normalised; counts by θ."""

    def __init__(
        self, genes: pd.DataFrame, design: Design, log_expression: Floats, config: SimulationConfig
    ) -> None:
        rng = np.random.default_rng([config.seed, 2])
        self.genes, self.design, self.config = genes, design, config
        self.provenance = {
            "name": "simulated",
            "source": "simulation",
            "notes": "Simulated: no measured cells.",
        }
        self.log_expression = log_expression
        mean = np.exp(log_expression) * config.median_library_size
        self.inverse_dispersion = draw_inverse_dispersion(mean, rng)
        self.loadings = draw_loadings(genes, mean, rng)
        shifts = rng.normal(0.0, 0.08, (config.n_batches, len(genes)))
        self.batch_shifts = shifts if config.n_batches > 1 else np.zeros_like(shifts)

    def states(self, n_cells: int, rng: np.random.Generator) -> pd.DataFrame:
        """Draw phase of the cell cycle, differentiation, growth, library size and batch."""
        angle = rng.uniform(0, 2 * np.pi, n_cells)
        # two states, far enough apart for Scrublet to see doublets between them
        state = np.where(rng.random(n_cells) < 0.3, 1.4, -0.6)
        columns = (
            np.cos(angle),
            np.sin(angle),
            state + rng.normal(0.0, 0.2, n_cells),
            rng.normal(0.0, 1.0, n_cells),
            rng.normal(0.0, 1.0, n_cells),
        )
        states = pd.DataFrame(dict(zip(AXES, columns, strict=True)))
        spread = rng.normal(0.0, self.config.library_size_sd, n_cells)
        states["true_library_size"] = self.config.median_library_size * np.exp(spread)
        states["batch"] = rng.integers(self.config.n_batches, size=n_cells)
        return states

    def log_shares(self, states: pd.DataFrame, labels: NDArray[np.intp]) -> Floats:
        """Natural log of each gene's expected share of a cell's counts, (n_cells, n_genes)."""
        level = self.log_expression + states[list(AXES)].to_numpy() @ self.loadings
        level += self.design.log_effects[labels]
        level += self.batch_shifts[states["batch"].to_numpy()]
        level -= logsumexp(level, axis=1, keepdims=True)
        return np.asarray(level)

    def counts(
        self, states: pd.DataFrame, labels: NDArray[np.intp], rng: np.random.Generator
    ) -> Counts:
        """Draw gamma-Poisson counts, (n_cells, n_genes)."""
        mean = np.exp(self.log_shares(states, labels))
        mean *= states["true_library_size"].to_numpy()[:, None] / self.inverse_dispersion
        return rng.poisson(mean * rng.standard_gamma(self.inverse_dispersion, mean.shape))

    def expected_levels(self, rng: np.random.Generator) -> Floats:
        """E log2(1 + 1e4·x/l) of clean cells, (n_labels, n_genes).

        Counts and library sizes are integrated numerically, the basal states and batches by
        400 draws that all labels share. l is the expected library size; that of a file is the
        sum of the drawn counts, a few percent around it.
        """
        table = ExpectationTable(
            self.log_expression,
            self.inverse_dispersion,
            self.config.median_library_size,
            self.config.library_size_sd,
        )
        states = self.states(N_EXPECTATION_STATES, rng)
        levels = np.empty_like(self.design.log_effects)
        for row in range(len(levels)):
            same = np.full(len(states), row, dtype=np.intp)
            levels[row] = table(self.log_shares(states, same)).mean(axis=0)
        return levels

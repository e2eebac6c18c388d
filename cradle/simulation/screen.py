"""From a population of clean cells to a screen with artifacts and its truth."""

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from cradle.simulation.artifacts import (
    KINDS,
    RED_CELL_GENES,
    ArtifactModel,
    Counts,
    assign_kinds,
)
from cradle.simulation.config import SimulationConfig
from cradle.simulation.design import CONTROL, Design, Floats, draw_design
from cradle.simulation.genes import choose_genes, perturbed_symbols
from cradle.simulation.population import Population, SimulatedPopulation, draw_log_expression
from cradle.simulation.truth import record_truth, twin_effects

Labels = NDArray[np.intp]
CHUNK = 512  # cells drawn at a time; part of what a seed means
N_TWINS = 2000
NONE = "none"


def simulate(config: SimulationConfig | None = None) -> AnnData:
    """Simulate a perturbation screen whose truth is known.

    Parameters
    ----------
    config
        Settings; the defaults when left out.

    Returns
    -------
    AnnData in standard form: raw counts as CSR float32, ``obs`` perturbation, library_size,
    batch, and the truth (see ``record_truth``).

    Raises
    ------
    InputError
        When the numbers of genes and perturbations do not fit.
    """
    config = config or SimulationConfig()
    rng = np.random.default_rng([config.seed, 0])
    perturbed = perturbed_symbols(config.n_perturbations)
    genes = choose_genes(config.n_genes, perturbed)
    log_expression = draw_log_expression(genes, rng)
    expression = np.exp(log_expression) * config.median_library_size
    design = draw_design(genes, perturbed, expression, config, rng)
    population = SimulatedPopulation(genes, design, log_expression, config)
    adata = assemble(population, config, np.random.default_rng([config.seed, 1]))
    adata.var["true_inverse_dispersion"] = population.inverse_dispersion
    return adata


def assemble(population: Population, config: SimulationConfig, rng: np.random.Generator) -> AnnData:
    """Draw the cells of a screen, implant its artifacts and write down the truth."""
    design = population.design
    labels = assign_labels(len(design.labels), config, rng)
    toxicity = draw_toxicity(design, rng)
    kinds = assign_kinds(labels, toxicity, config.artifact_rate, rng)
    partners = np.where(kinds == KINDS.index("doublet"), other_labels(labels, rng), -1)
    states = population.states(config.n_cells, rng)

    pool = rng.integers(config.n_cells, size=N_TWINS)
    clean = population.counts(states.iloc[pool], labels[pool], rng)
    model = artifact_model(population.genes, clean, config)
    twins = twin_effects(model, clean, len(population.genes), rng)

    counts, library_size = draw_cells(population, states, labels, kinds, partners, model, rng)
    names = np.array([*design.labels, ""])
    obs = states.assign(
        perturbation=pd.Categorical(names[labels]),
        library_size=library_size,
        true_artifact=pd.Categorical(np.array([*KINDS, NONE])[kinds], [NONE, *KINDS]),
        true_clean=kinds < 0,
        true_partner=pd.Categorical(names[partners]),
    )
    obs.index = pd.Index([f"cell_{i:06d}" for i in range(len(obs))])
    adata = AnnData(counts, obs=_with_batch_names(obs), var=population.genes.copy())
    record_truth(adata, design, population.expected_levels(rng), twins, toxicity, config)
    return adata


def assign_labels(n_labels: int, config: SimulationConfig, rng: np.random.Generator) -> Labels:
    """Shuffle labels over cells: a fixed share of control, unequal groups of the others."""
    n_control = max(1, round(config.control_share * config.n_cells))
    weight = rng.lognormal(0.0, 0.2, n_labels - 1)
    ends = np.rint(np.cumsum(weight / weight.sum()) * (config.n_cells - n_control))
    sizes = np.diff(ends.astype(np.intp), prepend=0)
    return rng.permutation(np.repeat(np.arange(n_labels), [n_control, *sizes]))


def draw_toxicity(design: Design, rng: np.random.Generator) -> Floats:
    """Factor on the rate of stressed cells: one strong perturbation kills, so do its pairs."""
    strong = design.singles.index[design.singles["strength"] >= design.singles["strength"].median()]
    toxic = str(strong[int(rng.integers(len(strong)))])
    carries = [toxic in label.split("+") for label in design.labels]
    return np.where(carries, 5.0, 1.0)


def other_labels(labels: Labels, rng: np.random.Generator) -> Labels:
    """For each cell the label of a random cell of the screen that carries another one."""
    partners = labels[rng.integers(len(labels), size=len(labels))]
    while (same := partners == labels).any():
        partners[same] = labels[rng.integers(len(labels), size=int(same.sum()))]
    return partners


def artifact_model(
    genes: pd.DataFrame, clean: Counts, config: SimulationConfig
) -> ArtifactModel:
    """Artifacts of a screen whose average cell is that of ``clean``; columns as in ``clean``."""
    columns = clean.shape[1]
    mitochondrial = np.zeros(columns, dtype=bool)
    mitochondrial[: len(genes)] = genes["role"] == "mitochondrial"
    red_cell = np.zeros(columns)
    red_cell[: len(genes)] = [RED_CELL_GENES.get(gene, 0.0) for gene in genes.index]
    ambient = clean.sum(axis=0) / clean.sum()
    return ArtifactModel(
        mitochondrial, red_cell / red_cell.sum(), ambient, config.artifact_strength
    )


def draw_cells(
    population: Population,
    states: pd.DataFrame,
    labels: Labels,
    kinds: Labels,
    partners: Labels,
    model: ArtifactModel,
    rng: np.random.Generator,
) -> tuple[sparse.csr_matrix, Floats]:
    """Counts (n_cells, n_genes) as CSR float32 and the library sizes, chunk by chunk."""
    blocks, sizes = [], []
    for start in range(0, len(labels), CHUNK):
        rows = slice(start, start + CHUNK)
        counts = population.counts(states.iloc[rows], labels[rows], rng)
        for code, kind in enumerate(KINDS):
            hit = np.flatnonzero(kinds[rows] == code)
            second = counts[:0]
            if kind == "doublet" and len(hit):
                again = population.states(len(hit), rng)
                if "batch" in again:
                    again["batch"] = states["batch"].to_numpy()[rows][hit]
                second = population.counts(again, partners[rows][hit], rng)
            counts[hit] = model.implant(kind, counts[hit], second, rng)
        sizes.append(counts.sum(axis=1).astype(np.float64))
        blocks.append(sparse.csr_matrix(counts[:, : len(population.genes)].astype(np.float32)))
    return sparse.vstack(blocks, format="csr"), np.concatenate(sizes)


def _with_batch_names(obs: pd.DataFrame) -> pd.DataFrame:
    if "batch" not in obs or obs["batch"].nunique() < 2:
        return obs.drop(columns="batch", errors="ignore")
    names = [f"batch_{code + 1}" for code in obs["batch"]] if obs["batch"].dtype.kind == "i" else (
        obs["batch"]
    )
    return obs.assign(batch=pd.Categorical(names))

"""From a population of clean cells to a screen with artifacts and its truth."""

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from cradle.errors import InputError
from cradle.simulation.artifacts import (
    KINDS,
    RED_CELL_GENES,
    ArtifactModel,
    Counts,
    assign_kinds,
)
from cradle.simulation.config import SimulationConfig
from cradle.simulation.design import Design, Floats
from cradle.simulation.population import Population
from cradle.simulation.truth import record, record_truth, twin_effects

Labels = NDArray[np.intp]
CHUNK = 512  # cells drawn at a time; part of what a seed means
N_TWINS = 2000
MAX_REDRAWS = 100  # of a cell without a count
NONE = "none"


def assemble(population: Population, config: SimulationConfig, rng: np.random.Generator) -> AnnData:
    """Draw the cells of a screen, implant its artifacts and write down the truth."""
    design = population.design
    labels = assign_labels(len(design.labels), config, rng)
    toxicity = draw_toxicity(design, rng)
    kinds = assign_kinds(labels, toxicity, config.artifact_rate, rng)
    partners = np.where(kinds == KINDS.index("doublet"), other_labels(labels, rng), -1)
    states = population.states(config.n_cells, rng)

    pool = rng.integers(config.n_cells, size=N_TWINS)
    total, clean = draw_pool(population, states.iloc[pool], labels[pool], rng)
    model = artifact_model(population.genes, total, config)
    twin_model = artifact_model(population.genes, clean.sum(axis=0), config)
    twins = twin_effects(twin_model, clean, len(population.genes), rng)

    counts, totals = draw_cells(population, states, labels, kinds, partners, model, rng)
    names = np.array([*design.labels, ""])
    obs = states.assign(
        perturbation=pd.Categorical(names[labels]),
        **totals,
        true_artifact=pd.Categorical(np.array([*KINDS, NONE])[kinds], [NONE, *KINDS]),
        true_clean=kinds < 0,
        true_partner=pd.Categorical(names[partners]),
    )
    obs.index = pd.Index([f"cell_{i:06d}" for i in range(len(obs))])
    adata = AnnData(counts, obs=_with_batch_names(obs), var=population.genes.copy())
    record_truth(adata, design, population.expected_levels(rng), twins)
    adata.uns["cradle"] = record(design, toxicity, config, population.provenance)
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
    return np.where(carries, 6.0, 1.0)


def other_labels(labels: Labels, rng: np.random.Generator) -> Labels:
    """For each cell the label of a random cell of the screen that carries another one."""
    partners = labels[rng.integers(len(labels), size=len(labels))]
    while (same := partners == labels).any():
        partners[same] = labels[rng.integers(len(labels), size=int(same.sum()))]
    return partners


def draw_pool(
    population: Population, states: pd.DataFrame, labels: Labels, rng: np.random.Generator
) -> tuple[Counts, Counts]:
    """Draw clean cells: the sum of their counts (n_columns,), and the counts of each cell.

    The columns behind the modelled genes are summed in the second, (n_cells, n_genes + 1): all
    that artifacts do to counts acts on a sum as on its parts.
    """
    n_genes = len(population.genes)
    total, blocks = np.zeros(1, dtype=np.int64), []
    for start in range(0, len(labels), CHUNK):
        rows = slice(start, start + CHUNK)
        counts = population.counts(states.iloc[rows], labels[rows], rng)
        total = total + counts.sum(axis=0)
        rest = counts[:, n_genes:].sum(axis=1, keepdims=True)
        blocks.append(np.hstack([counts[:, :n_genes], rest]))
    return total, np.concatenate(blocks)


def artifact_model(genes: pd.DataFrame, total: Counts, config: SimulationConfig) -> ArtifactModel:
    """Artifacts of a screen whose summed counts are ``total``, (n_columns,)."""
    columns = len(total)
    mitochondrial = np.zeros(columns, dtype=bool)
    mitochondrial[: len(genes)] = genes["role"] == "mitochondrial"
    red_cell = np.zeros(columns)
    red_cell[: len(genes)] = [RED_CELL_GENES.get(gene, 0.0) for gene in genes.index]
    ambient = total / total.sum()
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
) -> tuple[sparse.csr_matrix, dict[str, Floats]]:
    """Counts (n_cells, n_genes) as CSR float32 and the totals for ``obs``, chunk by chunk.

    A cell without a count is none that a screen would show, so it is drawn again.
    """
    n_genes = len(population.genes)
    blocks, sizes, detected = [], [], []
    for start in range(0, len(labels), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(labels)))
        counts = _draw_block(population, states, labels, kinds, partners, rows, model, rng)
        for _ in range(MAX_REDRAWS):
            empty = np.flatnonzero(counts.sum(axis=1) == 0)
            if not len(empty):
                break
            again = rows[empty]
            counts[empty] = _draw_block(
                population, states, labels, kinds, partners, again, model, rng
            )
        else:
            raise InputError(
                "Some cells of this simulation never get a count.",
                f"{len(empty)} cells still empty after {MAX_REDRAWS} draws.",
                "Choose larger library sizes, a deeper base, or weaker effects.",
            )
        sizes.append(counts.sum(axis=1).astype(np.float64))
        detected.append((counts > 0).sum(axis=1).astype(np.float64))
        blocks.append(sparse.csr_matrix(counts[:, :n_genes].astype(np.float32)))
    totals = {"library_size": np.concatenate(sizes)}
    if model.ambient.size > n_genes:
        totals["full_genes_detected"] = np.concatenate(detected)
    return sparse.vstack(blocks, format="csr"), totals


def _draw_block(
    population: Population,
    states: pd.DataFrame,
    labels: Labels,
    kinds: Labels,
    partners: Labels,
    rows: Labels,
    model: ArtifactModel,
    rng: np.random.Generator,
) -> Counts:
    """Counts (n_rows, n_columns) of some cells, artifacts implanted."""
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
    return counts


def _with_batch_names(obs: pd.DataFrame) -> pd.DataFrame:
    """Batches as a categorical column, none where there is a single one."""
    if "batch" not in obs or obs["batch"].nunique() < 2:
        return obs.drop(columns="batch", errors="ignore")
    batch = obs["batch"]
    names = [f"batch_{code + 1}" for code in batch] if batch.dtype.kind == "i" else batch
    return obs.assign(batch=pd.Categorical(names))

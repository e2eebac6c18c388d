"""The two kinds of screen, and the file that holds one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from anndata import AnnData

from cradle.files import write_h5ad
from cradle.simulation.config import SimulationConfig
from cradle.simulation.design import draw_design
from cradle.simulation.genes import choose_genes, perturbed_symbols
from cradle.simulation.population import SimulatedPopulation, draw_log_expression
from cradle.simulation.real_cells import RealPopulation, choose_base_genes
from cradle.simulation.screen import assemble


def simulate(config: SimulationConfig | None = None) -> AnnData:
    """Simulate a perturbation screen whose truth is known.

    Parameters
    ----------
    config
        Settings; the defaults when left out.

    Returns
    -------
    AnnData in standard form, raw counts as CSR float32, with the truth in

    - ``obs``: ``true_artifact`` ("none" or its kind), ``true_clean``, ``true_partner`` (label of
      the second cell of a doublet), ``true_library_size`` (expected counts of the clean cell) and
      the basal state (``true_s_phase``, …);
    - ``varm`` and ``uns["cradle"]["truth"]``: see ``record_truth``.

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


def semi_synthetic(base: AnnData, config: SimulationConfig | None = None) -> AnnData:
    """Implant perturbations and artifacts into real cells.

    Labels are given to the cells at random; falling genes are thinned, rising ones gain counts.
    The real cells are taken as clean: ``true_clean`` means without an *implanted* artifact,
    whatever the base contains. Library size and genes detected count all genes of the base. Base
    cells are used once each; when the screen is larger than its base they are used again, and
    every use is thinned by itself to 80 % of the counts, so that repeated cells differ.

    Parameters
    ----------
    base
        Real cells with raw counts in ``X``; ``obs["batch"]`` is kept when there is one.
    config
        Settings; those of basal variation, batches and library sizes do not apply. When left
        out, the defaults with as many cells as the base.

    Returns
    -------
    AnnData as from ``simulate``, with ``obs["base_row"]``, the position of the cell in the base.

    Raises
    ------
    InputError
        When the base holds no counts, no mitochondrial or hemoglobin genes, or too few genes.
    """
    config = config or SimulationConfig(n_cells=base.n_obs)
    rng = np.random.default_rng([config.seed, 0])
    perturbed = perturbed_symbols(config.n_perturbations, set(base.var_names))
    genes, counts = choose_base_genes(base, config.n_genes, perturbed)
    expression = np.asarray(counts.mean(axis=0)).ravel()[: len(genes)]
    design = draw_design(genes, perturbed, expression, config, rng)
    population = RealPopulation(base, genes, counts, design, config)
    return assemble(population, config, np.random.default_rng([config.seed, 1]))


def write_simulation(
    out: str | Path,
    settings: SimulationConfig | Mapping[str, Any] | None = None,
    base: str | Path | None = None,
) -> AnnData:
    """Simulate a screen and write it, whole or not at all.

    Parameters
    ----------
    out
        The `.h5ad` file.
    settings
        A whole configuration, or some settings by name. What is left out has its default; the
        number of cells of a semi-synthetic screen is that of its base.
    base
        Catalogue name or file of real cells for a semi-synthetic screen.
    """
    if base is None:
        adata = simulate(_config(settings))
    else:
        from cradle.data.sources import load

        cells = load(base, require_labels=False)
        adata = semi_synthetic(cells, _config(settings, n_cells=cells.n_obs))
    write_h5ad(out, adata)
    return adata


def _config(
    settings: SimulationConfig | Mapping[str, Any] | None, **defaults: Any
) -> SimulationConfig:
    if isinstance(settings, SimulationConfig):
        return settings
    return SimulationConfig.from_mapping({**defaults, **(settings or {})})

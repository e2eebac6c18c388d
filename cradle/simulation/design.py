"""What a screen perturbs and how strongly: labels, gene programs, pairs, interactions."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cradle.data.schema import CONTROL
from cradle.simulation.config import SimulationConfig
from cradle.simulation.genes import SPECIAL, choose_pairs, main_program, programs

Floats = NDArray[np.float64]
CYCLE = ("S phase", "G2M phase")
# coefficients (c_first, c_second) of the downstream effects of the two genes of a pair
INTERACTIONS = {"synergy": (1.5, 1.5), "suppression": (0.5, 0.5), "epistasis": (1.0, 0.25)}
MOST_ABUNDANT = 15.0  # counts a cell
MARKER = 1.3  # markers of a program answer more strongly
PROGRAM_SHARE = 0.08  # of the genes that may answer
STRENGTHS = (1.1, 0.75, 0.4)  # strong, medium, weak perturbations


@dataclass(frozen=True)
class Design:
    """Labels and their effects.

    Attributes
    ----------
    labels
        Control, then single perturbations, then pairs.
    log_effects
        (n_labels, n_genes), natural-log fold change of expression before normalisation.
    singles
        One row a single perturbation: program, strength, second_program, second_weight.
    pairs
        One row a pair: interaction ("none", "synergy", …), c_first, c_second.
    """

    labels: tuple[str, ...]
    log_effects: Floats
    singles: pd.DataFrame
    pairs: pd.DataFrame


def draw_design(
    genes: pd.DataFrame,
    perturbed: tuple[str, ...],
    expression: Floats,
    config: SimulationConfig,
    rng: np.random.Generator,
) -> Design:
    """Draw effects: additive on the log scale, except for the interacting pairs.

    Parameters
    ----------
    genes
        Indexed by gene, with the columns role and program.
    expression
        (n_genes,), mean counts in a typical cell.
    """
    usable = variable_weights(genes, expression)
    names, loadings = _draw_programs(genes, usable, len(perturbed), rng)
    singles = _draw_singles(perturbed, names, rng)
    downstream = config.effect_strength * _downstream(singles, names, loadings, usable, rng)
    target = _target_effects(genes, perturbed, rng) * config.effect_strength
    pairs = _draw_pairs(singles, config, rng)
    rows = [np.zeros(len(genes)), *(downstream + target)]
    for label, pair in pairs.iterrows():
        a, b = (perturbed.index(gene) for gene in str(label).split("+"))
        combined = pair["c_first"] * downstream[a] + pair["c_second"] * downstream[b]
        rows.append(combined + target[a] + target[b])
    return Design((CONTROL, *perturbed, *pairs.index), np.stack(rows), singles, pairs)


def _draw_programs(
    genes: pd.DataFrame, usable: Floats, n_perturbations: int, rng: np.random.Generator
) -> tuple[list[str], Floats]:
    """Published programs with their marker genes, and a few unnamed ones; (n_programs, n_genes)."""
    named = sorted(set(programs().values()))
    names = named + [f"program {i + 1}" for i in range(max(2, n_perturbations // 8))]
    size = int(np.ceil(PROGRAM_SHARE * np.count_nonzero(usable)))
    loadings = np.zeros((len(names), len(genes)))
    for row, name in zip(loadings, names, strict=True):
        drawn = rng.choice(len(genes), size, replace=False, p=usable)
        sign = np.where(rng.random(size) < 0.65, 1.0, -1.0)
        row[drawn] = sign * _magnitude(size, rng)
        markers = np.flatnonzero(genes["program"] == name)
        row[markers] = MARKER * _magnitude(len(markers), rng)
    arrested = np.flatnonzero(genes["program"].isin(CYCLE))
    loadings[names.index("G1 cell cycle arrest"), arrested] = -_magnitude(len(arrested), rng)
    loadings[names.index("Pro-growth"), genes["role"] == "ribosomal"] = 0.06
    loadings[names.index("Erythroid"), genes["role"] == "hemoglobin"] = 0.15
    return names, loadings


def variable_weights(genes: pd.DataFrame, expression: Floats) -> Floats:
    """Probability that a gene varies: expressed, but not among the most abundant."""
    weight = np.where(expression < MOST_ABUNDANT, expression / (expression + 1.0), 0.0)
    weight[genes["role"].isin([*SPECIAL, "perturbed"])] = 0.0
    return np.asarray(weight / weight.sum())


def _magnitude(size: int, rng: np.random.Generator) -> Floats:
    """Absolute natural-log fold changes: 1.5-fold to 4.5-fold."""
    return np.minimum(0.4 + rng.exponential(0.35, size), 1.5)


def _draw_singles(
    perturbed: tuple[str, ...], names: list[str], rng: np.random.Generator
) -> pd.DataFrame:
    n = len(perturbed)
    main = [main_program(gene, rng) for gene in perturbed]
    second = [names[int(rng.integers(len(names)))] for _ in perturbed]
    # every strength occurs in its share, whatever the seed
    rank = rng.permutation(n) / n
    strength = np.where(rank < 0.5, STRENGTHS[0], np.where(rank < 0.8, *STRENGTHS[1:]))
    weight = np.where(rng.random(n) < 0.6, rng.uniform(0.2, 0.7, n), 0.0)
    return pd.DataFrame(
        {
            "program": main,
            "strength": strength * rng.uniform(0.8, 1.2, n),
            "second_program": second,
            "second_weight": weight * rng.choice([-1.0, 1.0], n, p=[0.3, 0.7]),
        },
        index=pd.Index(perturbed, name="perturbation"),
    )


def _downstream(
    singles: pd.DataFrame,
    names: list[str],
    loadings: Floats,
    usable: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Effects on everything but the target: two programs and a few genes of one's own."""
    weights = np.zeros((len(singles), len(names)))
    every = np.arange(len(singles))
    weights[every, pd.Index(names).get_indexer(pd.Index(singles["program"]))] = 1.0
    second = pd.Index(names).get_indexer(pd.Index(singles["second_program"]))
    weights[every, second] += singles["second_weight"]
    effects = weights @ loadings
    for row in effects:
        own = rng.choice(row.size, min(15, row.size), replace=False, p=usable)
        row[own] += rng.normal(0.0, 0.5, own.size)
    return np.asarray(effects * singles["strength"].to_numpy()[:, None])


def _target_effects(
    genes: pd.DataFrame, perturbed: tuple[str, ...], rng: np.random.Generator
) -> Floats:
    """CRISPR activation: the target itself rises four- to tenfold."""
    effects = np.zeros((len(perturbed), len(genes)))
    columns = genes.index.get_indexer(pd.Index(perturbed))
    effects[np.arange(len(perturbed)), columns] = np.log(rng.uniform(4, 10, len(perturbed)))
    return effects


def _draw_pairs(
    singles: pd.DataFrame, config: SimulationConfig, rng: np.random.Generator
) -> pd.DataFrame:
    """Pairs; those of strong perturbations interact first, so that it can be seen."""
    labels = choose_pairs(tuple(singles.index), config.n_pairs, rng)
    pairs = pd.DataFrame(
        {"interaction": "none", "c_first": 1.0, "c_second": 1.0},
        index=pd.Index(labels, name="perturbation"),
    )
    weaker = np.array([singles.loc[label.split("+"), "strength"].min() for label in labels])
    n_interacting = int(np.ceil(config.interacting * len(labels)))
    order = np.lexsort((rng.random(len(labels)), weaker < 0.5))[:n_interacting]
    for i, row in enumerate(order):
        kind = list(INTERACTIONS)[i % len(INTERACTIONS)]
        pairs.loc[labels[row], "interaction"] = kind
        pairs.loc[labels[row], ["c_first", "c_second"]] = INTERACTIONS[kind]
    return pairs

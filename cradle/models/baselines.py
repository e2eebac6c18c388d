"""Baselines without networks: effects built from the mean profiles of the training cells.

They learn from the same training cells as the models (SPEC 5) and know no constituent that
was never measured alone: such a row is NaN, *not applicable*.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cradle.data.dosage import genes_of
from cradle.errors import InputError
from cradle.evaluation.effects import Effects

FloatArray = npt.NDArray[np.float64]
Rule = Callable[[str], FloatArray | None]


@dataclass(frozen=True)
class TrainMeans:
    """Mean profiles of the training cells, one row a label, control among them.

    Parameters
    ----------
    labels, genes
        Canonical labels of the rows, symbols of the columns.
    means
        Mean of log2(1 + 1e4·x/library size), (n_labels, n_genes).
    """

    labels: tuple[str, ...]
    genes: tuple[str, ...]
    means: FloatArray

    def __post_init__(self) -> None:
        if self.means.shape != (len(self.labels), len(self.genes)):
            raise ValueError(
                f"means have shape {self.means.shape}, needs {(len(self.labels), len(self.genes))}"
            )
        if not any(not genes_of(label) for label in self.labels):
            raise InputError(
                "The training cells hold no control.",
                f"{len(self.labels)} labels, among them {', '.join(self.labels[:5])}.",
                "Label the unperturbed cells `control`.",
            )

    def effects(self) -> dict[str, FloatArray]:
        """Training effect of each perturbation: its mean minus that of control."""
        row = dict(zip(self.labels, self.means, strict=True))
        control = next(row[label] for label in self.labels if not genes_of(label))
        return {label: mean - control for label, mean in row.items() if genes_of(label)}


def additive(train: TrainMeans) -> Rule:
    """δ_A + δ_B = μ_A + μ_B − 2 μ_ctrl, always from the constituents measured alone.

    A combination seen in training is still predicted from its constituents, the usual
    definition; a single is its own training effect.
    """
    effects = train.effects()
    return lambda label: _combined(effects, label, np.sum)


def matching_mean(train: TrainMeans) -> Rule:
    """Mean of the constituents' profiles, (μ_A + μ_B)/2 − μ_ctrl, where each was measured alone."""
    effects = train.effects()
    return lambda label: _combined(effects, label, np.mean)


def perturbed_mean(train: TrainMeans) -> Rule:
    """The same for every query: mean of the training perturbations' profiles, minus control.

    Each perturbation counts once, whatever its number of cells.
    """
    effects = train.effects()
    shared = np.mean(list(effects.values()), axis=0) if effects else None
    return lambda label: shared


def control_mean(train: TrainMeans) -> Rule:
    """No change, whatever the query."""
    return lambda label: np.zeros(len(train.genes))


N_COMPONENTS = 10
RIDGE = 0.1


def linear(train: TrainMeans) -> Rule:
    """Y ≈ G K Pᵀ + b (Ahlmann-Eltze et al., Nature Methods 2025), 10 components, ridge 0.1.

    Y, (n_genes, n_labels), holds the training effects of the single perturbations whose gene
    is measured, and of the control, which is zero; b is its mean over labels. G are the
    principal-component scores of the genes in the mean profiles of all training labels; the
    row of P of a perturbation is the row of G of its gene, that of the control zero.
    K = (GᵀG + λI)⁻¹ Gᵀ (Y − b) P (PᵀP + λI)⁻¹, as published. This project's own: the row of P
    of a combination is the sum of those of its genes. Not applicable where a perturbed gene is
    not measured, or where no single perturbation can be learned from.
    """
    column = {gene: i for i, gene in enumerate(train.genes)}
    effects = train.effects()
    singles = [label for label in effects if label in column]
    if not singles:
        return lambda label: None
    centred = train.means.T - train.means.mean(axis=1)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    G = (left * scale)[:, :N_COMPONENTS]

    def embedding(label: str) -> FloatArray:
        rows: FloatArray = G[[column[gene] for gene in genes_of(label)]].sum(axis=0)
        return rows

    control = np.zeros((1, len(train.genes)))
    Y = np.vstack([*(effects[label] for label in singles), control]).T
    P = np.stack([*(embedding(label) for label in singles), np.zeros(G.shape[1])])
    b = Y.mean(axis=1)
    ridge = RIDGE * np.eye(G.shape[1])
    right = np.linalg.solve(P.T @ P + ridge, P.T @ (Y.T - b) @ G)
    K = np.linalg.solve(G.T @ G + ridge, right.T)

    def rule(label: str) -> FloatArray | None:
        if any(gene not in column for gene in genes_of(label)):
            return None
        return np.asarray(G @ K @ embedding(label) + b)

    return rule


@dataclass(frozen=True)
class BaselineSpec:
    """One row of the registry: `fit` turns training means into a rule label -> effects.

    A rule returns None where it does not apply.
    """

    name: str
    label: str
    explanation: str
    fit: Callable[[TrainMeans], Rule]


BASELINES: dict[str, BaselineSpec] = {
    spec.name: spec
    for spec in (
        BaselineSpec(
            "additive", "Additive", "Sum of the effects of the single perturbations.", additive
        ),
        BaselineSpec(
            "matching_mean",
            "Matching mean",
            "Mean of the effects of the single perturbations.",
            matching_mean,
        ),
        BaselineSpec(
            "perturbed_mean",
            "Perturbed mean",
            "Mean effect of all training perturbations, the same for every query.",
            perturbed_mean,
        ),
        BaselineSpec("control_mean", "Control mean", "No change at all.", control_mean),
        BaselineSpec(
            "linear",
            "Linear",
            "Linear map from the expression pattern of the perturbed gene to the effect "
            "(Ahlmann-Eltze 2025).",
            linear,
        ),
    )
}


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline; answers `treatment_effects` like every model."""

    name: str
    genes: tuple[str, ...]
    rule: Rule

    def treatment_effects(self, query: Sequence[str]) -> Effects:
        """Effects of canonical labels, (n_query, n_genes), log2 units.

        Rows that the baseline cannot answer are NaN; `Effects.applicable` names the others.
        """
        rows = np.full((len(query), len(self.genes)), np.nan)
        for i, label in enumerate(query):
            effect = self.rule(label) if genes_of(label) else np.zeros(len(self.genes))
            if effect is not None:
                rows[i] = effect
        return Effects(tuple(query), self.genes, rows)


def fit_baseline(name: str, train: TrainMeans) -> Baseline:
    """Fit the baseline `name` of BASELINES on training means (InputError when unknown)."""
    if name not in BASELINES:
        raise InputError(
            f"There is no baseline {name}.", name, f"Choose one of {', '.join(BASELINES)}."
        )
    return Baseline(name, train.genes, BASELINES[name].fit(train))


def _combined(
    effects: dict[str, FloatArray], label: str, combine: Callable[..., FloatArray]
) -> FloatArray | None:
    genes = genes_of(label)
    if any(gene not in effects for gene in genes):
        return None
    return combine([effects[gene] for gene in genes], axis=0)

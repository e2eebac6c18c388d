"""Artifacts of a real screen, implanted into clean counts.

Every function takes the clean counts of some cells and returns new ones, so that each artifact
has an exact clean twin. Thinning a gamma-Poisson count binomially leaves it gamma-Poisson with
the same dispersion, so the simulated and the semi-synthetic screens share this file.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

KINDS = ("stress", "red_cell", "ambient", "doublet")
KIND_SHARES = (0.3, 0.25, 0.25, 0.2)
# blood of an adult: what red cells or their debris add
RED_CELL_GENES = {
    "HBB": 0.45,
    "HBA2": 0.28,
    "HBA1": 0.20,
    "HBD": 0.03,
    "HBM": 0.02,
    "HBG2": 0.01,
    "HBG1": 0.01,
}


@dataclass(frozen=True)
class ArtifactModel:
    """What the artifacts of one screen are made of.

    Attributes
    ----------
    mitochondrial
        (n_columns,) mask of the genes that a leaking cell keeps.
    red_cell, ambient
        (n_columns,) profiles that sum to one.
    strength
        0 leaves no trace, 1 is realistic.
    """

    mitochondrial: NDArray[np.bool_]
    red_cell: Floats
    ambient: Floats
    strength: float

    def implant(
        self, kind: str, counts: Counts, partners: Counts, rng: np.random.Generator
    ) -> Counts:
        """Turn clean cells into artifacts of one kind.

        Parameters
        ----------
        counts
            (n_cells, n_columns), counts of clean cells.
        partners
            Counts of the second cells of doublets; not used by the other kinds.
        """
        if kind == "stress":
            return self._stress(counts, rng)
        if kind == "red_cell":
            return self._red_cell(counts, rng)
        if kind == "ambient":
            return self._ambient(counts, rng)
        return counts + partners

    def _stress(self, counts: Counts, rng: np.random.Generator) -> Counts:
        """Cytoplasm leaks out of a broken membrane, mitochondria stay."""
        keep = rng.beta(3.0, 9.0, (len(counts), 1)) ** self.strength
        kept = rng.binomial(counts, keep)
        return np.where(self.mitochondrial, counts, kept)

    def _red_cell(self, counts: Counts, rng: np.random.Generator) -> Counts:
        """Hemoglobin transcripts make up a further share of the counts, 12 % on average."""
        share = np.minimum(self.strength * rng.beta(2.5, 18.0, (len(counts), 1)), 0.9)
        added = counts.sum(axis=1, keepdims=True) * share / (1 - share)
        return np.asarray(counts + rng.poisson(added * self.red_cell))

    def _ambient(self, counts: Counts, rng: np.random.Generator) -> Counts:
        """Few counts, most of them from the soup of all cells."""
        size = (len(counts), 1)
        depth = np.exp(rng.normal(np.log(0.17), 0.4, size)).clip(max=1.0) ** self.strength
        soup = np.minimum(self.strength, 1.0) * rng.uniform(0.6, 0.95, size)
        added = counts.sum(axis=1, keepdims=True) * depth * soup
        own = rng.binomial(counts, depth * (1 - soup))
        return np.asarray(own + rng.poisson(added * self.ambient))


def assign_kinds(
    labels: NDArray[np.intp], toxicity: Floats, rate: float, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Choose the artifacts of a screen.

    Parameters
    ----------
    labels
        (n_cells,), index of each cell's label.
    toxicity
        (n_labels,), factor on the stressed cells of a label.
    rate
        Share of all cells that become artifacts; met exactly, up to rounding.

    Returns
    -------
    (n_cells,), index into ``KINDS``, -1 for a clean cell.
    """
    per_label = np.tile(np.array(KIND_SHARES), (len(toxicity), 1))
    per_label[:, 0] *= toxicity
    per_label *= rng.lognormal(0.0, 0.2, (len(toxicity), 1))
    weight = per_label.sum(axis=1)[labels]
    n_artifacts = round(rate * len(labels))
    chosen = rng.choice(len(labels), n_artifacts, replace=False, p=weight / weight.sum())
    cumulative = np.cumsum(per_label / per_label.sum(axis=1, keepdims=True), axis=1)
    kinds = np.full(len(labels), -1, dtype=np.intp)
    kinds[chosen] = (rng.random((n_artifacts, 1)) > cumulative[labels[chosen], :-1]).sum(axis=1)
    return kinds

"""Populations of generated and observed cells, compared in the space of principal components."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cradle.data.cell_source import row_blocks, take_rows
from cradle.data.schema import CONTROL
from cradle.evaluation.field_metrics import (
    DISTRIBUTION_METRICS,
    FIELD_METRICS,
    e_distance,
    energy_distance,
    mmd,
)
from cradle.evaluation.moments import log2_expression
from cradle.evaluation.quality import Generate
from cradle.evaluation.scores import as_json
from cradle.evaluation.sections import SPLITS, Scoring

if TYPE_CHECKING:
    from anndata import AnnData

#: Cells of a population at most, and at least: the estimators are unbiased, but noisy when small.
N_CELLS, MIN_POPULATION = 128, 10
N_COMPONENTS, N_FIT = 50, 2000
#: Perturbations of a split at most, drawn at random.
N_PERTURBATIONS = 100
#: Splits whose cells no model has learned from.
CELL_SPLITS = ("test", "val")
CELL_METRICS = ("e_distance", *DISTRIBUTION_METRICS)

FloatArray = npt.NDArray[np.floating]
JSON = dict[str, Any]


@dataclass(frozen=True)
class Space:
    """Principal components of ln(1 + 1e4·x/library size), fitted on training cells.

    Parameters
    ----------
    axes
        Components, (n_genes, n_dimensions).
    centre
        Mean of the training cells along them, (n_dimensions,).
    """

    axes: FloatArray
    centre: FloatArray

    @classmethod
    def fitted(cls, adata: AnnData, rows: npt.NDArray[np.intp]) -> Space:
        """Fit on these cells, at most ``N_FIT`` of them."""
        from sklearn.decomposition import PCA

        rng = np.random.default_rng(0)
        if len(rows) > N_FIT:
            rows = rows[np.sort(rng.choice(len(rows), N_FIT, replace=False))]
        sizes = adata.obs["library_size"].to_numpy(np.float64)[rows]
        profiles = _expression(take_rows(adata.X, rows), sizes).toarray().astype(np.float32)
        n = min(N_COMPONENTS, profiles.shape[0] - 1, profiles.shape[1])
        fit = PCA(n_components=n, random_state=0).fit(profiles)
        axes = np.asarray(fit.components_.T, dtype=np.float64)
        return cls(axes, fit.mean_ @ axes)

    def place(self, adata: AnnData, rows: npt.NDArray[np.intp] | None = None) -> FloatArray:
        """Coordinates of cells, or of some of them in the order of the file,
        (n_cells, n_dimensions), in ln units, float32."""
        rows = np.arange(adata.n_obs) if rows is None else rows
        sizes = adata.obs["library_size"].to_numpy(np.float64)
        placed = np.empty((len(rows), len(self.centre)), np.float32)
        for block_rows, block in row_blocks(adata.X):
            mine = slice(*np.searchsorted(rows, (block_rows.start, block_rows.stop)))
            block = block[rows[mine] - block_rows.start]
            placed[mine] = self.locate(_expression(block, sizes[rows[mine]]))
        return placed

    def locate(self, expression: Any) -> FloatArray:
        """Coordinates of cells of expression ln(1 + 1e4·x/library size), (n_cells, n_genes)."""
        return np.asarray(expression @ self.axes - self.centre)


@dataclass(frozen=True)
class Population:
    """Observed cells of each perturbation in that space, as many as are ever compared.

    Parameters
    ----------
    space
        Where they lie.
    rows
        Of the file, ascending, (n_placed,).
    coordinates
        (n_placed, n_dimensions).
    drawn
        Rows of the file in random order, which is that of the names and not of the file, by
        label, split, and whether they all pass quality control.
    """

    space: Space
    rows: npt.NDArray[np.intp]
    coordinates: FloatArray
    drawn: Mapping[tuple[str, str, bool], npt.NDArray[np.intp]]

    @classmethod
    def of(cls, adata: AnnData) -> Population | None:
        """From cells with their split and QC flags; None without three training cells."""
        order = adata.obs_names.to_numpy().argsort()
        known = adata.obs[["perturbation", "split", "qc_fail"]].iloc[order]
        train = order[known["split"] == "train"]
        if len(train) < 3 or adata.n_vars < 2:
            return None
        space = Space.fitted(adata, train)
        drawn = {}
        for (label, split), cells in known.groupby(
            ["perturbation", "split"], observed=True
        ).indices.items():
            passing = cells[~known["qc_fail"].to_numpy(bool)[cells]]
            for only, some in ((False, cells), (True, passing)):
                rng = np.random.default_rng(zlib.crc32(f"{label}/{split}".encode()))
                # two halves of them are as many as are ever asked for
                drawn[label, split, only] = order[rng.permutation(some)[: 2 * N_CELLS]]
        rows = np.unique(np.concatenate([*drawn.values()]))
        return cls(space, rows, space.place(adata, rows), drawn)

    def sample(
        self, label: str, split: str, passing: bool = False, half: int | None = None
    ) -> FloatArray:
        """At most ``N_CELLS`` random cells of a perturbation; two halves have none in common."""
        rows = self.drawn.get((label, split, passing), np.empty(0, np.intp))
        rows = (rows if half is None else rows[half::2])[:N_CELLS]
        return self.coordinates[np.searchsorted(self.rows, rows)].astype(np.float64)


@dataclass
class CellScores:
    """Scores of populations: (who, split) -> metric -> one value a perturbation."""

    baselines: tuple[str, ...]
    values: dict[tuple[str, str], list[dict[str, float]]] = field(default_factory=dict)

    def add(self, who: str, split: str, found: dict[str, float]) -> None:
        """One perturbation more."""
        self.values.setdefault((who, split), []).append(found)

    def nested(self, metrics: Sequence[str]) -> JSON:
        """``model`` (None without generated cells), ``floor``, ``replicate``, ``ceiling``."""
        generated = any(who == "model" for who, _ in self.values)
        return {
            "model": self._splits("model", metrics) if generated else None,
            "floor": {name: self._splits(name, metrics) for name in self.baselines},
            "replicate": self._splits("replicate", metrics),
            "ceiling": self._splits("ceiling", metrics),
        }

    def _splits(self, who: str, metrics: Sequence[str]) -> JSON:
        return {split: self._leaf(who, split, metrics) for split in SPLITS}

    def _leaf(self, who: str, split: str, metrics: Sequence[str]) -> JSON | None:
        rows = self.values.get((who, split))
        if not rows:
            return None
        found = {name: [v for row in rows if np.isfinite(v := row[name])] for name in metrics}
        means = {name: float(np.mean(v)) if v else float("nan") for name, v in found.items()}
        reasons = {name: FIELD_METRICS[name].undefined for name in metrics}
        fewer = {name: len(v) for name, v in found.items() if len(v) < len(rows)}
        leaf = {**as_json(means, reasons), "n_perturbations": len(rows)}
        return {**leaf, "n_of_metric": fewer} if fewer else leaf


def score_cells(scoring: Scoring, population: Population, generate: Generate | None) -> CellScores:
    """Compare populations of each perturbation, test and validation cells apart.

    The floor of a baseline, which predicts no cells, are the training control cells, each moved
    by the predicted effect. Half of the observed cells against the other half is the replicate.
    The ceiling is zero, what the unbiased estimators give two samples of one distribution.

    Parameters
    ----------
    generate
        Cells of a label with the artifact off; None where the model generates none.
    """
    baselines = scoring.baselines()
    scores = CellScores(tuple(baselines))
    generated: dict[str, FloatArray] = {}
    only = scoring.side == "passing"
    control = _sides(population, CONTROL, "train", only)
    for split in CELL_SPLITS:
        labels = _drawn(scoring.scored(split))
        if not labels:
            continue
        effects = {name: b.treatment_effects(labels) for name, b in baselines.items()}
        answered = set(scoring.predicted.applicable)
        for i, label in enumerate(labels):
            seen = _sides(population, label, split, only)
            if len(seen[False]) < MIN_POPULATION:
                continue
            for name, effect in effects.items():
                shift = np.log(2.0) * effect.mean[i] @ population.space.axes
                moved = {passing: cells + shift for passing, cells in control.items()}
                if np.isfinite(shift).all() and len(moved[False]) >= MIN_POPULATION:
                    scores.add(name, split, _compared(seen, moved))
            if generate is not None and label in answered:
                if label not in generated:
                    cells = generate(label, N_CELLS, len(generated))
                    generated[label] = population.space.place(cells)
                same = dict.fromkeys((False, True), generated[label])
                scores.add("model", split, _compared(seen, same))
            scores.add(
                "replicate", split, _halves(population, label, split, scoring.side == "passing")
            )
            scores.add("ceiling", split, dict.fromkeys(CELL_METRICS, 0.0))
    return scores


def _compared(seen: dict[bool, FloatArray], told: dict[bool, FloatArray]) -> dict[str, float]:
    """Every metric of one perturbation; NaN where a population is too small."""
    found = dict.fromkeys(CELL_METRICS, float("nan"))
    functions: dict[str, Callable[[FloatArray, FloatArray], float]] = {
        "energy_distance": energy_distance,
        "mmd": mmd,
    }
    for passing, suffix in ((False, ""), (True, "_passing")):
        if min(len(seen[passing]), len(told[passing])) >= MIN_POPULATION:
            for name, function in functions.items():
                found[name + suffix] = function(seen[passing], told[passing])
            if not passing:
                found["e_distance"] = e_distance(seen[passing], told[passing])
    return found


def _sides(
    population: Population, label: str, split: str, only: bool, half: int | None = None
) -> dict[bool, FloatArray]:
    """All cells of the scored side (False) and the passing ones (True)."""
    return {p: population.sample(label, split, p or only, half) for p in (False, True)}


def _halves(population: Population, label: str, split: str, only: bool) -> dict[str, float]:
    first, second = (_sides(population, label, split, only, half) for half in (0, 1))
    return _compared(first, second)


def _drawn(labels: list[str]) -> list[str]:
    if len(labels) <= N_PERTURBATIONS:
        return labels
    return sorted(np.random.default_rng(0).choice(labels, N_PERTURBATIONS, replace=False).tolist())


def _expression(counts: Any, sizes: npt.NDArray[np.float64]) -> Any:
    return log2_expression(counts, sizes) * np.log(2.0)

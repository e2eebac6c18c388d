"""Treatment effects of perturbations, as every model, baseline and observation reports them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from cradle.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]


def draw_margin(per_draw: FloatArray, level: float = 0.95, axis: int = 0) -> FloatArray:
    """Half width of the Student interval of a further draw about the mean of the draws.

    Quantiles of a few dozen draws would hold less than they say.

    Parameters
    ----------
    per_draw
        Two draws or more along ``axis``.
    """
    n_draws = per_draw.shape[axis]
    sd = per_draw.std(axis=axis, ddof=1)
    return np.asarray(stdtrit(n_draws - 1, (1 + level) / 2) * np.sqrt(1 + 1 / n_draws) * sd)


def variance_with_control(
    variance: FloatArray, n: IntArray, control: FloatArray, n_control: IntArray
) -> npt.NDArray[np.float64]:
    """Variance of cells about the mean of their own group, over the group and control together.

    Counts are sparse: a few cells in which a gene happens to be silent have no variance of their
    own, which is no certainty. Of 20 cells of the demo the variance of their own puts 90 % of the
    differences from other cells of the same perturbation within 1.96 standard errors, this one
    95 % (``assets/benchmarks/README.md``).

    Parameters
    ----------
    variance
        (n_groups, n_genes), NaN for a single cell.
    n
        Cells of each group.
    control, n_control
        Variance among control cells, (n_genes,), and their number.
    """
    own, theirs = (n - 1)[:, None], n_control - 1
    return np.asarray((own * np.nan_to_num(variance) + theirs * control) / (own + theirs))


class Widening(NamedTuple):
    """What an interval lacks that knows the posterior alone: half widths become
    ``√((factor · half width)² + floor²)``."""

    factor: float = 1.0
    floor: float = 0.0  # log2 units

    def of(self, half_width: FloatArray) -> FloatArray:
        """Wider half widths."""
        return np.asarray(np.hypot(self.factor * half_width, self.floor))


POSTERIOR_ALONE = Widening()


@dataclass(frozen=True)
class Effects:
    """Average treatment effects against control, on the scale log2(1 + 1e4·x/library size).

    Parameters
    ----------
    perturbations, genes
        Canonical labels of the rows, symbols of the columns.
    mean
        Effects, (n_perturbations, n_genes), log2 units. A row of NaN: not applicable.
    lower, upper
        Bounds of the interval of each effect, same shape; None where there is no interval.
    se
        Standard error of an observed effect (group and control), same shape.
    n_cells
        Cells behind each row, (n_perturbations,).
    """

    perturbations: tuple[str, ...]
    genes: tuple[str, ...]
    mean: FloatArray
    lower: FloatArray | None = None
    upper: FloatArray | None = None
    se: FloatArray | None = None
    n_cells: IntArray | None = None

    def __post_init__(self) -> None:
        n_rows, n_genes = len(self.perturbations), len(self.genes)
        for name in ("mean", "lower", "upper", "se", "n_cells"):
            value = getattr(self, name)
            expected = (n_rows,) if name == "n_cells" else (n_rows, n_genes)
            if value is not None and value.shape != expected:
                raise ValueError(f"Effects.{name} has shape {value.shape}, needs {expected}")

    @property
    def applicable(self) -> tuple[str, ...]:
        """Perturbations with an effect for every gene."""
        finite = np.isfinite(self.mean).all(axis=1)
        return tuple(self.perturbations[i] for i in np.flatnonzero(finite))

    def widened(self, widening: Widening) -> Effects:
        """With wider intervals; as it is where there are none."""
        if self.lower is None or self.upper is None:
            return self
        below, above = (widening.of(side - self.mean) for side in (self.lower, self.upper))
        return replace(self, lower=self.mean - below, upper=self.mean + above)

    def rows(self, labels: Sequence[str]) -> Effects:
        """Effects of these perturbations, in this order (InputError when one is absent)."""
        index = _positions(labels, self.perturbations, "perturbation")
        return replace(self, perturbations=tuple(labels), **self._taken(index, axis=0))

    def extended(self, labels: Sequence[str]) -> Effects:
        """Means and intervals of these perturbations; NaN, not applicable, where it has none."""
        index = [labels.index(label) for label in self.perturbations]
        shape = (len(labels), len(self.genes))

        def spread(values: FloatArray | None) -> FloatArray | None:
            if values is None:
                return None
            rows = np.full(shape, np.nan, dtype=values.dtype)
            rows[index] = values
            return rows

        lower, upper = spread(self.lower), spread(self.upper)
        mean = spread(self.mean)
        assert mean is not None
        return Effects(tuple(labels), self.genes, mean, lower, upper)

    def columns(self, genes: Sequence[str]) -> Effects:
        """Effects on these genes, in this order (InputError when one is absent)."""
        index = _positions(genes, self.genes, "gene")
        return replace(self, genes=tuple(genes), **self._taken(index, axis=1))

    def to_frame(self) -> pd.DataFrame:
        """Long table: perturbation, gene, effect, and lower, upper (NaN without an interval)."""
        # Imported here: the baselines build Effects and know no pandas.
        import pandas as pd

        n_rows, n_genes = self.mean.shape
        absent = np.full(self.mean.shape, np.nan)
        return pd.DataFrame(
            {
                "perturbation": np.repeat(np.asarray(self.perturbations, dtype=object), n_genes),
                "gene": np.tile(np.asarray(self.genes, dtype=object), n_rows),
                "effect": self.mean.ravel(),
                "lower": (absent if self.lower is None else self.lower).ravel(),
                "upper": (absent if self.upper is None else self.upper).ravel(),
            }
        )

    def _taken(self, index: list[int], axis: int) -> dict[str, Any]:
        arrays = {f.name: getattr(self, f.name) for f in fields(self)[2:]}
        return {
            name: np.take(value, index, axis=axis)
            for name, value in arrays.items()
            if value is not None and value.ndim > axis
        }


def _positions(wanted: Sequence[str], available: Sequence[str], kind: str) -> list[int]:
    where = {name: i for i, name in enumerate(available)}
    absent = [name for name in wanted if name not in where]
    if absent:
        raise InputError(
            f"There is no effect for the {kind} {', '.join(absent[:5])}.",
            f"{len(available)} {kind}s, among them {', '.join(available[:5])}.",
            f"Ask for a {kind} of the table.",
        )
    return [where[name] for name in wanted]

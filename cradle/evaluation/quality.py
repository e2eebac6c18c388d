"""Quality of generated cells: QC pass rates and the distance to observed passing cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import union_categoricals
from scipy.stats import wasserstein_distance

from cradle.data.qc import CellMetrics, QCThresholds, generable_metrics, judge, passing

if TYPE_CHECKING:
    from anndata import AnnData

#: Thresholds at which pass rates are reported, in MADs.
MADS = (3.0, 4.0, 5.0)
#: Share of training cells that must fail a generable criterion before models are compared.
MIN_FAIL_SHARE = 0.05
UNITS = {"umi_counts": "counts", "genes_detected": "genes", "doublet": "share of cells"}

Generate = Callable[[str, int, int], "AnnData"]  # label, number of cells, seed
JSON = dict[str, Any]


@dataclass(frozen=True)
class MeasuredCells:
    """Cells measured by what the modelled genes show.

    Parameters
    ----------
    values
        The criteria, one column each (NaN where not measurable), one row a cell.
    perturbation
        Canonical label of each cell.
    """

    values: pd.DataFrame
    perturbation: pd.Categorical

    def passes(self, thresholds: QCThresholds) -> npt.NDArray[np.bool_]:
        """True for the cells that pass every generable criterion."""
        return passing(self.values, thresholds)

    def of(self, labels: Sequence[str]) -> npt.NDArray[np.bool_]:
        """True for the cells of these perturbations."""
        return np.asarray(self.perturbation.isin(list(labels)))

    def where(self, chosen: npt.NDArray[np.bool_]) -> MeasuredCells:
        """Only the chosen cells."""
        return MeasuredCells(self.values[chosen], self.perturbation[chosen])


def measure(adata: AnnData, thresholds: QCThresholds) -> MeasuredCells:
    """Measure observed or generated cells alike, over the modelled genes that `adata` holds."""
    metrics = generable_metrics(adata, hb_genes=thresholds.hb_genes)
    return MeasuredCells(metrics.values, pd.Categorical(adata.obs["perturbation"]))


def generate_screen(
    generate: Generate,
    sizes: Mapping[str, int],
    thresholds: QCThresholds,
    n_cells: int,
    *,
    at_least: int = 20,
) -> MeasuredCells:
    """Generate and measure cells of every perturbation, in proportion to the observed ones.

    Parameters
    ----------
    generate
        Called with a label, a number of cells and a seed of its own.
    sizes
        Observed cells per perturbation: the mixture is that of the screen, so that its pass
        rate compares with the observed one.
    n_cells
        About how many in all.
    at_least
        Cells of each perturbation.
    """
    total = sum(sizes.values())
    parts = []
    for seed, (label, size) in enumerate(sorted(sizes.items())):
        n = max(at_least, round(n_cells * size / total))
        parts.append(measure(generate(label, n, seed), thresholds))
    return MeasuredCells(
        pd.concat([part.values for part in parts], ignore_index=True),
        union_categoricals([part.perturbation for part in parts]),
    )


def pass_rates(
    generated: MeasuredCells,
    observed: MeasuredCells,
    train: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.bool_],
    thresholds: QCThresholds,
) -> JSON:
    """QC pass rate of generated cells at 3, 4 and 5 MAD, beside the observed one.

    Parameters
    ----------
    generated
        Of the perturbations that are scored.
    observed
        Every observed cell.
    train, rows
        Which observed cells were trained on, and which stand beside the generated ones.

    Returns
    -------
    "3", "4", "5" -> rate, low, high (95 % Wilson), n, criteria, observed, observed_n,
    train_fail_rate, applicable; where not applicable, `reason` says why.
    """
    return {
        f"{mad:g}": _pass_rate(generated, observed, train, rows, thresholds.at(mad=mad))
        for mad in MADS
    }


def distances(
    generated: MeasuredCells,
    observed: MeasuredCells,
    rows: npt.NDArray[np.bool_],
    thresholds: QCThresholds,
) -> JSON:
    """Wasserstein distance of each generable criterion to the observed cells `rows`.

    Returns
    -------
    criterion -> distance (its unit), in_mads (multiples of the training cells' MAD), unit, n,
    observed_n. None instead of a number where there is nothing to divide by or compare.
    """
    return {
        criterion: _distance(
            criterion,
            generated.values[criterion].to_numpy(float),
            observed.values[criterion].to_numpy(float)[rows],
            thresholds.generated[criterion].mad,
        )
        for criterion in thresholds.generable
    }


def failure_rates(
    generated: MeasuredCells, observed: MeasuredCells, thresholds: QCThresholds
) -> JSON:
    """Share of cells that fail each generable criterion: generated with the artifact on, and
    observed ones that failed quality control.

    Returns
    -------
    criterion -> generated, observed (shares), n, observed_n; empty without cells on either side.
    """
    if not len(generated.values) or not len(observed.values):
        return {}
    sides = {
        "generated": judge(CellMetrics(generated.values, {}, {}), thresholds),
        "observed": judge(CellMetrics(observed.values, {}, {}), thresholds),
    }
    return {
        criterion: {side: float((flags[f"fails_{criterion}"] == 1).mean())
                    for side, flags in sides.items()}
        | {"n": len(generated.values), "observed_n": len(observed.values)}
        for criterion in thresholds.generable
    }  # fmt: skip


def wilson_interval(n_hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a share of `n` > 0 independent draws (Wilson 1927)."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = n_hits / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # Rounding alone would leave a bound of 1e-19 where it is exactly 0 (or 1).
    low = 0.0 if n_hits == 0 else float(centre - half)
    high = 1.0 if n_hits == n else float(centre + half)
    return low, high


def _pass_rate(
    generated: MeasuredCells,
    observed: MeasuredCells,
    train: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.bool_],
    thresholds: QCThresholds,
) -> JSON:
    criteria = list(thresholds.generable)
    passed, passed_observed = generated.passes(thresholds), observed.passes(thresholds)
    n = len(passed)
    if not criteria or n == 0:
        reason = "no criterion can be judged on generated cells" if n else "no cell was generated"
        empty = dict.fromkeys(("rate", "low", "high", "observed"))
        return {**empty, "n": n, "criteria": criteria, "applicable": False, "reason": reason}
    low, high = wilson_interval(int(passed.sum()), n)
    fail_rate = float(1 - passed_observed[train].mean()) if train.any() else 0.0
    result = {
        "rate": float(passed.mean()),
        "low": low,
        "high": high,
        "n": n,
        "criteria": criteria,
        "observed": float(passed_observed[rows].mean()) if rows.any() else None,
        "observed_n": int(rows.sum()),
        "train_fail_rate": fail_rate,
        "applicable": fail_rate >= MIN_FAIL_SHARE,
    }
    if not result["applicable"]:
        result["reason"] = (
            f"only {100 * fail_rate:.2g} % of the training cells fail a generable criterion; "
            f"models are compared from {100 * MIN_FAIL_SHARE:g} %"
        )
    return result


def _distance(
    criterion: str,
    generated: npt.NDArray[np.float64],
    observed: npt.NDArray[np.float64],
    mad: float | None,
) -> JSON:
    counts = {
        "unit": UNITS.get(criterion, "percentage points"),
        "n": len(generated),
        "observed_n": len(observed),
    }
    if not len(generated) or not len(observed):
        return {"distance": None, "in_mads": None, **counts, "reason": "no cells to compare"}
    distance = float(wasserstein_distance(generated, observed))
    return {"distance": distance, "in_mads": distance / mad if mad else None, **counts}

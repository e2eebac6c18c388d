"""Thresholds: fitted once, kept with the run, valid for observed and generated cells."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cradle.data.qc_genes import CRITERIA, HbGenes, check_hb_genes
from cradle.errors import InputError

Side = Literal["low", "high"]
SIDES: dict[str, Side] = {
    criterion: "low" if criterion in ("umi_counts", "genes_detected") else "high"
    for criterion in CRITERIA
}


@dataclass(frozen=True)
class Threshold:
    """The threshold of one criterion; a cell fails strictly beyond it.

    Attributes
    ----------
    criterion
        One of `CRITERIA`.
    threshold
        In the unit of the criterion; None where not measurable. For `doublet` the score threshold
        of Scrublet where a single run judged the training cells, else None.
    side
        `"low"`: fails below; `"high"`: fails above.
    median, mad
        Of the cells fitted on, MAD unscaled; None where not measurable and for `doublet`.
    measurable
        Whether the criterion can be judged at all.
    reason
        Why not, a sentence; empty where measurable.
    source
        Where the values come from; empty where not measurable.
    warnings
        What a reader has to be told, sentences.
    """

    criterion: str
    threshold: float | None
    side: Side
    median: float | None
    mad: float | None
    measurable: bool
    reason: str = ""
    source: str = ""
    warnings: tuple[str, ...] = ()


def unmeasurable(criterion: str, reason: str) -> Threshold:
    """Threshold of a criterion that cannot be judged."""
    return Threshold(criterion, None, SIDES[criterion], None, None, False, reason)


def robust_threshold(
    criterion: str, values: NDArray[np.float64], k: float, mad_scale: float, source: str
) -> Threshold:
    """Fit median ∓ k · mad_scale · MAD, with MAD = median(|v − median(v)|).

    Parameters
    ----------
    criterion
        Decides the side.
    values
        Of the cells to fit on, (n_cells,), finite.
    k, mad_scale
        Positive.
    source
        Where the values come from.
    """
    median = float(np.median(values))
    mad = float(np.median(np.abs(values - median)))
    return _at(
        Threshold(criterion, None, SIDES[criterion], median, mad, True, "", source), k, mad_scale
    )


def _at(fitted: Threshold, k: float, mad_scale: float) -> Threshold:
    """The same fit at another k."""
    if fitted.median is None or fitted.mad is None:
        return fitted
    distance = k * mad_scale * fitted.mad
    low = fitted.side == "low"
    threshold = fitted.median - distance if low else fitted.median + distance
    warnings = []
    if fitted.mad == 0:
        warnings.append(
            "The MAD is 0: at least half of the cells have the same value, and every cell "
            f"{'below' if low else 'above'} the median fails."
        )
    if low and threshold <= 0:
        warnings.append("The lower threshold is not above 0: no cell can fail.")
    return replace(fitted, threshold=threshold, warnings=tuple(warnings))


@dataclass(frozen=True)
class QCThresholds:
    """All thresholds of one fit.

    Attributes
    ----------
    mad
        k of median ∓ k · MAD.
    mad_scale
        Factor on the MAD: 1, or 1.4826 to match a standard deviation.
    criteria
        The criteria that count as artifact, in the order of `CRITERIA`.
    fitted_on
        Which cells, in words.
    hb_genes
        Rule for hemoglobin genes.
    observed
        One threshold per criterion, for observed cells.
    generated
        The same refitted over the modelled genes, for generated cells and those beside them.
    genes_sha256
        Of the sorted names of the modelled genes.

    Raises
    ------
    InputError
        A factor is not a positive number, or a criterion is unknown, or none is selected.
    """

    mad: float
    mad_scale: float
    criteria: tuple[str, ...]
    fitted_on: str
    hb_genes: HbGenes
    observed: Mapping[str, Threshold]
    generated: Mapping[str, Threshold]
    genes_sha256: str

    def __post_init__(self) -> None:
        check_positive("The number of MADs", self.mad)
        check_positive("The scale of the MAD", self.mad_scale)
        check_criteria(self.criteria)
        check_hb_genes(self.hb_genes)

    def __getitem__(self, criterion: str) -> Threshold:
        """Threshold of observed cells."""
        return self.observed[criterion]

    @property
    def judged(self) -> tuple[str, ...]:
        """Selected and measurable: what `qc_fail` of observed cells is made of."""
        return tuple(c for c in self.criteria if self.observed[c].measurable)

    @property
    def generable(self) -> tuple[str, ...]:
        """What `qc_fail` of generated cells is made of: judged, and shown by modelled genes."""
        return tuple(c for c in self.judged if self.generated[c].measurable)

    @property
    def not_generable(self) -> dict[str, str]:
        """Every other criterion with the reason, a sentence."""
        return {c: self._why_not(c) for c in CRITERIA if c not in self.generable}

    def _why_not(self, criterion: str) -> str:
        if criterion not in self.criteria:
            return "Not selected as an artifact."
        if not self.observed[criterion].measurable:
            return self.observed[criterion].reason
        return self.generated[criterion].reason

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about observed cells, each naming its criterion."""
        found = [f"{c}: {text}" for c in self.judged for text in self.observed[c].warnings]
        if not self.judged:
            found.append("No selected criterion is measurable: no cell can fail.")
        return tuple(found)

    def at(
        self, *, mad: float | None = None, criteria: Sequence[str] | None = None
    ) -> "QCThresholds":
        """The same fit at another k or with other criteria, without the cells."""
        k = self.mad if mad is None else check_positive("The number of MADs", mad)

        def moved(fits: Mapping[str, Threshold]) -> dict[str, Threshold]:
            return {name: _at(fit, k, self.mad_scale) for name, fit in fits.items()}

        chosen = self.criteria if criteria is None else check_criteria(criteria)
        return replace(
            self,
            mad=k,
            criteria=chosen,
            observed=moved(self.observed),
            generated=moved(self.generated),
        )

    def to_json(self) -> str:
        """Write as JSON; `from_json` gives back an equal object."""
        return json.dumps(asdict(self), indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "QCThresholds":
        """Read what `to_json` wrote.

        Raises
        ------
        InputError
            The text is not JSON, lacks a part, has an unknown one, or holds an impossible value.
        """
        try:
            parts = json.loads(text)
            _check_names(parts, cls)
            for name in ("observed", "generated"):
                rows = {c: _threshold_from(parts[name][c]) for c in CRITERIA}
                parts[name] = rows
            parts["criteria"] = tuple(parts["criteria"])
            return cls(**parts)
        except InputError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise InputError(
                "The thresholds cannot be read.",
                f"{type(error).__name__}: {error}.",
                "Use the thresholds.json of a complete run.",
            ) from error


def check_positive(name: str, number: float) -> float:
    """Return the number as float, or raise InputError unless it is positive and finite."""
    valid = isinstance(number, (int, float, np.number)) and not isinstance(number, bool)
    if not valid or not math.isfinite(number) or number <= 0:
        raise InputError(f"{name} must be a positive number.", f"{number!r}.", "Use 3, 4 or 5.")
    return float(number)


def check_criteria(criteria: Sequence[str]) -> tuple[str, ...]:
    """Return the criteria in the order of `CRITERIA`, or raise InputError."""
    chosen = (criteria,) if isinstance(criteria, str) else tuple(criteria)
    unknown = [name for name in chosen if name not in CRITERIA]
    if unknown or not chosen:
        raise InputError(
            "The selection of quality criteria cannot be used.",
            f"unknown names {', '.join(map(repr, unknown))}." if unknown else "an empty selection.",
            f"Choose from {', '.join(CRITERIA)}.",
        )
    return tuple(name for name in CRITERIA if name in chosen)


def _check_names(parts: Any, kind: type) -> None:
    expected = {field.name for field in fields(kind)}
    if not isinstance(parts, dict) or set(parts) != expected:
        raise ValueError(f"the parts must be {', '.join(sorted(expected))}")


def _threshold_from(parts: Any) -> Threshold:
    _check_names(parts, Threshold)
    numbers = [parts[name] for name in ("threshold", "median", "mad") if parts[name] is not None]
    finite = all(isinstance(n, float) and math.isfinite(n) for n in numbers)
    if not finite or parts["side"] != SIDES[parts["criterion"]]:
        raise ValueError(f"impossible values for {parts['criterion']}")
    return Threshold(**{**parts, "warnings": tuple(parts["warnings"])})

"""Which cells a model learns from and which it never sees."""

import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from cradle.data.columns import coded_texts
from cradle.data.dosage import canonical, genes_of, perturbed_genes
from cradle.data.schema import CONTROL, SPLITS
from cradle.errors import InputError, check_seed

# How the values of a file's own split may be spelt, in any case.
_SPELLINGS = {
    **{name: name for name in SPLITS},
    "training": "train",
    **dict.fromkeys(("valid", "validation", "dev"), "val"),
    **dict.fromkeys(("testing", "holdout"), "test"),
}

Support = Literal["seen", "held-out combination", "never measured", "gene never seen"]

# Whole numbers, so that shares of any number of cells are exact: train, val, test.
_WITH_TEST = (16, 4, 5)
_WITHOUT_TEST = (4, 1, 0)


def split_cells(
    perturbation: pd.Series,
    *,
    seed: int = 0,
    test_combinations: Sequence[str] | None = None,
    test_fraction: float = 0.25,
) -> pd.Series:
    """Split of each cell, by perturbation.

    Held-out perturbations go wholly to ``test``. In a combination screen all other cells
    are split 80/20 into ``train`` and ``val``. In a screen of single perturbations, and in
    one without any eligible combination to draw, cells are split 64/16/20 into ``train``,
    ``val`` and ``test``. Both within each perturbation, of which at least one cell is
    trained on.

    Parameters
    ----------
    perturbation
        Canonical label of each cell, (n_cells,), indexed by unique cell names.
    seed
        Two equal seeds give equal splits, whatever the order of the cells.
    test_combinations
        Perturbations to hold out, single ones allowed, genes in any order; an empty
        sequence holds none out. Drawn by the seed from the eligible combinations when None.
    test_fraction
        Share of the eligible combinations to draw, at least one where any is eligible.

    Returns
    -------
    Categorical over ``SPLITS``, (n_cells,), with the index of ``perturbation``.

    Raises
    ------
    InputError
        When labels are missing, cell names repeat, the fraction is no share, or a
        combination to hold out is not measured.
    """
    _check_cells(perturbation)
    check_seed(seed, "seed of the split")
    coded = coded_texts(perturbation)
    codes, labels = coded.codes, list(coded.categories)
    if test_combinations is None:
        held_out = draw_held_out(labels, seed=seed, test_fraction=test_fraction)
        combinations = bool(held_out)
    else:
        held_out = measured(test_combinations, labels)
        combinations = any(len(genes_of(label)) > 1 for label in labels)
    shares = _WITHOUT_TEST if combinations else _WITH_TEST
    result = np.full(len(perturbation), SPLITS.index("test"), np.int8)
    by_name = perturbation.index.to_numpy().argsort()
    by_label = by_name[codes[by_name].argsort(kind="stable")]
    for label, cells in zip(labels, np.split(by_label, np.bincount(codes).cumsum()), strict=False):
        if label not in held_out:
            result[cells] = _deal(str(label), cells.size, shares, seed)
    dealt = pd.Categorical.from_codes(result, pd.Index(SPLITS))
    return pd.Series(dealt, perturbation.index, name="split")


def split_of_file(values: pd.Series) -> "tuple[pd.Categorical[str], str]":
    """The split that a file brings along, and how it was read.

    Parameters
    ----------
    values
        Column of the file, (n_cells,): ``SPLITS`` or other usual words for them, in any case.

    Returns
    -------
    (n_cells,), one of ``SPLITS`` each; and the column's name with the words that were replaced.

    Raises
    ------
    InputError
        When a value is missing or none of these words: to draw another split instead would train
        on cells that the file sets apart.
    """
    coded = coded_texts(values)
    read = {text: _SPELLINGS.get(text.strip().casefold()) for text in coded.categories}
    if unread := [text for text, name in read.items() if name is None]:
        named = ", ".join(repr(text) for text in unread[:5])
        raise InputError(
            "The split of the file cannot be read.",
            f"{named} in column {values.name!r}, in {int(coded.isin(unread).sum())} of "
            f"{len(values)} cells ('nan' where the value is missing).",
            f"Use {', '.join(_SPELLINGS)} in every cell; or rename or remove the column, then a "
            "split is drawn.",
        )
    places = np.array([SPLITS.index(str(name)) for name in read.values()], dtype=np.int8)
    others = [f"{text} as {name}" for text, name in read.items() if text != name]
    source = f"obs:{values.name}" + (f", {', '.join(others)}" if others else "")
    return pd.Categorical.from_codes(places[coded.codes], pd.Index(SPLITS)), source


def eligible_combinations(perturbations: Iterable[str]) -> list[str]:
    """Combinations that could be held out alone: each gene stays in some other perturbation.

    Parameters
    ----------
    perturbations
        Canonical labels; repetitions do not matter.
    """
    labels = {str(label) for label in perturbations}
    uses = Counter(gene for label in labels for gene in genes_of(label))
    return sorted(
        label
        for label in labels
        if len(genes_of(label)) > 1 and all(uses[gene] > 1 for gene in genes_of(label))
    )


def draw_held_out(
    perturbations: Iterable[str], *, seed: int, test_fraction: float = 0.25
) -> set[str]:
    """Combinations held out by seed, so that together they leave every gene in training.

    Parameters
    ----------
    perturbations
        Canonical labels; repetitions and order do not matter.
    seed
        Order in which the eligible combinations are tried.
    test_fraction
        Share of the eligible combinations to hold out; fewer where the genes run out.
    """
    if not 0 < test_fraction <= 1:
        raise InputError(
            "The share of combinations to hold out is not possible.",
            f"{test_fraction}.",
            "Use a number above 0 and at most 1.",
        )
    labels = {str(label) for label in perturbations}
    eligible = eligible_combinations(labels)
    wanted = max(1, round(test_fraction * len(eligible)))
    uses = Counter(gene for label in labels for gene in genes_of(label))
    held_out: set[str] = set()
    for index in np.random.default_rng(seed).permutation(len(eligible)):
        genes = genes_of(eligible[index])
        if len(held_out) < wanted and all(uses[gene] > 1 for gene in genes):
            held_out.add(eligible[index])
            uses.subtract(genes)
    return held_out


def support_of(label: str, counts: Mapping[str, int], held_out: Collection[str]) -> Support:
    """What stands behind a prediction.

    Parameters
    ----------
    label
        Canonical label.
    counts
        Training cells of each label.
    held_out
        Labels that went wholly to test.

    Returns
    -------
    ``seen`` when the label has training cells; else ``gene never seen`` when one of its
    genes has none in any label; else ``held-out combination`` (a held-out single whose gene
    is trained on in combinations too) or ``never measured``.
    """
    trained = {name for name, n_cells in counts.items() if n_cells > 0}
    if label in trained and label not in held_out:
        return "seen"
    if not set(genes_of(label)) <= set(perturbed_genes(trained - set(held_out))):
        return "gene never seen"
    return "held-out combination" if label in held_out else "never measured"


def _deal(
    label: str, n_cells: int, shares: tuple[int, int, int], seed: int
) -> npt.NDArray[np.int8]:
    """Place in ``SPLITS`` of each cell of one perturbation, in the order of their names."""
    sizes = _sizes(n_cells, shares)
    dealt = np.repeat(np.arange(3, dtype=np.int8), sizes)
    # A generator for each label: other perturbations do not change the split of this one.
    rng = np.random.default_rng([seed, zlib.crc32(label.encode())])
    return dealt[rng.permutation(n_cells)]


def _sizes(n_cells: int, shares: tuple[int, int, int]) -> list[int]:
    """Cells in train, val and test by largest remainder; a single cell has the largest share."""
    total = sum(shares)
    sizes = [n_cells * share // total for share in shares]
    remainders = [n_cells * share % total for share in shares]
    order = sorted(range(3), key=lambda index: -remainders[index])
    for index in order[: n_cells - sum(sizes)]:
        sizes[index] += 1
    return sizes


def measured(wanted: Sequence[str], perturbations: Collection[str]) -> set[str]:
    """Canonical labels of the perturbations to hold out, each of them measured."""
    labels = canonical_labels(wanted)
    for label in labels:
        if label == CONTROL or label not in perturbations:
            close = get_close_matches(label, [*perturbations], n=3, cutoff=0.5)
            raise InputError(
                "A combination to hold out cannot be held out.",
                f"{label!r} is {'the control' if label == CONTROL else 'not in the dataset'}.",
                f"Name measured combinations, for example {', '.join(close)}."
                if close
                else "Name measured combinations.",
            )
    return set(labels)


def canonical_labels(labels: Iterable[str]) -> list[str]:
    """Labels with their genes in any order as canonical ones, sorted, each once.

    Raises
    ------
    InputError
        A label cannot be one.
    """
    return sorted({canonical(genes_of(label.strip())) for label in labels})


def _check_cells(perturbation: pd.Series) -> None:
    if perturbation.isna().any():
        raise InputError(
            "Some cells have no perturbation.",
            f"{int(perturbation.isna().sum())} of {len(perturbation)} cells.",
            "Standardize the dataset first, which drops them.",
        )
    if not perturbation.index.is_unique:
        raise InputError(
            "Two cells have the same name.",
            f"{int(perturbation.index.duplicated().sum())} repetitions.",
            "Standardize the dataset first, which makes the names unique.",
        )

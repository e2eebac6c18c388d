"""Labels and what they mean: ``"KLF1+MAP2K6"`` <-> genes <-> dosage row."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt

from cradle.errors import InputError

CONTROL = "control"  # label of the unperturbed cells
JOIN = "+"

# With an optional guide number, as in "non-targeting_0042", "NegCtrl10", "NTC_1" or "NTg1".
_CONTROL_NAME = re.compile(
    r"(control|ctrl|ntc?|non[-_ ]?targeting|neg(ative)?[-_ ]?(ctrl|control))"
    r"([-_ ]?(sg|g)?[-_ ]?\d+)?",
    re.IGNORECASE,
)


def is_control(name: str) -> bool:
    """Whether a name is one of the usual names of the unperturbed cells, in any case."""
    return _CONTROL_NAME.fullmatch(name.strip()) is not None


def genes_of(label: str) -> tuple[str, ...]:
    """Perturbed genes of a canonical label, in its order; none for ``control``."""
    return () if label == CONTROL else tuple(label.split(JOIN))


def canonical(genes: Iterable[str]) -> str:
    """Canonical label of a set of perturbed genes: sorted, joined by ``+``.

    Parameters
    ----------
    genes
        Gene names in any order; none of them means ``control``.

    Raises
    ------
    InputError
        When a gene is named twice, has an empty name or holds a ``+``.
    """
    names = sorted(genes)
    label = JOIN.join(names)
    usable = all(name.strip() and JOIN not in name and name != CONTROL for name in names)
    if not usable and names != [CONTROL]:
        raise InputError(
            "A perturbation holds a gene without a usable name.",
            f"{label!r}.",
            f"Name every gene, without '+' inside a name and without '{CONTROL}'.",
        )
    if len(set(names)) < len(names):
        raise InputError(
            "A perturbation names the same gene twice.",
            f"{label!r}.",
            "Name each gene once; a dose of two is not modelled.",
        )
    return label or CONTROL


def perturbed_genes(labels: Iterable[str]) -> tuple[str, ...]:
    """Every gene that some label perturbs, sorted."""
    return tuple(sorted({gene for label in set(labels) for gene in genes_of(label)}))


def dosage_rows(labels: Sequence[str], genes: Sequence[str]) -> npt.NDArray[np.float32]:
    """Which of the genes each label perturbs.

    Parameters
    ----------
    labels
        Canonical labels.
    genes
        Perturbed genes, the columns of the result.

    Returns
    -------
    (n_labels, n_genes), 0 or 1; the row of ``control`` is zero.

    Raises
    ------
    InputError
        When a label perturbs a gene that is not among ``genes``.
    """
    column = {gene: index for index, gene in enumerate(genes)}
    rows = np.zeros((len(labels), len(genes)), dtype=np.float32)
    for row, label in enumerate(labels):
        for gene in genes_of(label):
            if gene not in column:
                raise _unknown_gene(gene, genes)
            rows[row, column[gene]] = 1
    return rows


@dataclass(frozen=True)
class Design:
    """The columns that tell a model which perturbation a cell carries.

    Parameters
    ----------
    columns
        Genes, whose dosages stand side by side in a combination, and after them the
        combinations that have a column of their own beside those of their genes; or, one-hot,
        whole treatments, where a measured combination is a treatment like any other.
    additive
        Whether a combination is told by its genes.
    combination_dosage
        Dosage of the column that a combination has of its own.
    """

    columns: tuple[str, ...]
    additive: bool = True
    combination_dosage: float = 0.0

    @classmethod
    def of(
        cls, trained: Iterable[str], *, additive: bool, combination_dosage: float = 0.0
    ) -> "Design":
        """Design of the labels of the training cells; the control has no column, and their
        combinations have none of their own where the dosage is zero."""
        treatments = sorted(set(trained) - {CONTROL})
        if not additive:
            return cls(tuple(treatments), additive)
        own = tuple(label for label in treatments if JOIN in label) if combination_dosage else ()
        return cls((*perturbed_genes(treatments), *own), additive, combination_dosage)

    @property
    def dosages(self) -> npt.NDArray[np.float32]:
        """What stands in each column of a label that has it, ``(n_columns,)``."""
        own = [self.additive and JOIN in name for name in self.columns]
        return np.where(own, np.float32(self.combination_dosage), np.float32(1))

    def expresses(self, label: str) -> bool:
        """Whether a canonical label can be told to the model."""
        parts = genes_of(label) if self.additive or label == CONTROL else (label,)
        return set(parts) <= set(self.columns)

    def parse(self, text: str) -> str:
        """Canonical label of what a user typed, which the model can be told.

        A label of genes that the model knows is taken as it is: names may hold white space and
        commas, at which typed text is split.

        Raises
        ------
        InputError
            As :func:`parse_query`; or the model knows treatments as wholes, and this one was
            not among those of the training cells.
        """
        if self.expresses(text):
            return canonical(genes_of(text))
        label = parse_query(text, perturbed_genes(self.columns))
        if not self.expresses(label):
            raise self._untold(label)
        return label

    def rows(self, labels: Sequence[str]) -> npt.NDArray[np.float32]:
        """What the model is told of each label, ``(n_labels, n_columns)``: 1 for its genes or its
        treatment, ``combination_dosage`` for the combination that it is.

        InputError for a label that it cannot be told.
        """
        if self.additive:
            rows = dosage_rows(labels, self.columns)
            own = {label: at for at, label in enumerate(self.columns) if JOIN in label}
            for row, label in enumerate(labels):
                if label in own:
                    rows[row, own[label]] = self.combination_dosage
            return rows
        rows = np.zeros((len(labels), len(self.columns)), dtype=np.float32)
        for row, label in enumerate(labels):
            if not self.expresses(label):
                raise self._untold(label)
            if label != CONTROL:
                rows[row, self.columns.index(label)] = 1
        return rows

    def _untold(self, label: str) -> InputError:
        return InputError(
            "This model cannot predict a treatment that it was not trained on.",
            f"{label!r} is none of its {len(self.columns)} treatments, which it knows as wholes "
            "(one-hot), not as sums of genes.",
            "Ask for a treatment of the training cells, or use a model for which 'models' says "
            "that it predicts unseen combinations.",
        )


def parse_query(text: str, known_genes: Collection[str] | None = None) -> str:
    """Canonical label of what a user typed.

    Parameters
    ----------
    text
        Genes separated by ``+``, comma or white space, or a name of the control.
    known_genes
        Genes that may be asked for; any name passes when None. A name that differs from
        exactly one of them by upper and lower case alone means that gene.

    Raises
    ------
    InputError
        When nothing is named, a gene is unknown (close matches are listed) or named twice.
    """
    parts = [part for part in re.split(r"[+,\s]+", text) if part]
    if not parts:
        raise InputError(
            "No perturbation is named.",
            f"{text!r}.",
            f"Name one or more genes joined by '+', or '{CONTROL}'.",
        )
    if is_control(text):
        return CONTROL
    named = [part for part in parts if not is_control(part)]
    if known_genes is None:
        return canonical(named)
    return canonical(_known(part, known_genes) for part in named)


def _known(name: str, known_genes: Collection[str]) -> str:
    """The known gene of that name."""
    if name in known_genes:
        return name
    same = [gene for gene in known_genes if gene.casefold() == name.casefold()]
    if len(same) == 1:
        return same[0]
    raise _unknown_gene(name, known_genes)


def _unknown_gene(name: str, known_genes: Collection[str]) -> InputError:
    by_folded = {gene.casefold(): gene for gene in known_genes}
    close = [by_folded[match] for match in get_close_matches(name.casefold(), by_folded)]
    hint = f"Close names: {', '.join(close)}." if close else "No known name is close to it."
    return InputError(
        "A gene of the perturbation is not known.",
        f"{name!r}. {hint}",
        f"Choose among the {len(known_genes)} genes that are perturbed in the training cells.",
    )

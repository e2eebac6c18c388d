"""Perturbation labels as files spell them -> canonical labels. Pure functions of text."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from cradle.data.dosage import canonical, is_control
from cradle.data.schema import CONTROL
from cradle.errors import InputError

LabelParser = Callable[[str], str | None]

UNASSIGNED = frozenset({"", "*", "nan", "NaN", "NA", "<NA>", "None", "unassigned"})
PLAIN_SEPARATORS = ("+", ",", "|")  # no gene name holds one of these
WHOLE = "none"  # what to pass as separator for labels that are one gene each

_GUIDE = re.compile(r"(?:_g|[-_.](?:sgrna|sg|grna|guide))[-_]?\d+(?=$|[+,|_ ])", re.IGNORECASE)
#: Such endings are part of many names: they are guides where a gene of the file is left.
_MAYBE_GUIDE = re.compile(r"(?:[-.]g?|g)\d+$")
_PART = re.compile(r"[^+,|_ ]+")


@dataclass(frozen=True)
class _Names:
    """What a dataset lets a name mean."""

    genes: Collection[str]
    control: Collection[str]

    def is_control(self, text: str) -> bool:
        return text in self.control or (is_control(text) and text not in self.genes)

    def is_whole(self, text: str) -> bool:
        """Whether a label is one name as it stands, whatever marks it holds."""
        return text in self.genes or self.is_control(text)


def label_map(
    names: Iterable[str],
    *,
    genes: Collection[str] = (),
    control: Collection[str] = (),
    separator: str | None = None,
    unassigned: Collection[str] = (),
    parse_label: LabelParser | None = None,
) -> dict[str, str | None]:
    """Canonical label of every distinct label of a dataset.

    Parameters
    ----------
    names
        Labels as the file spells them; a missing one as ``"nan"``.
    genes
        Gene names of the file: they tell whether ``A_B`` is a pair.
    control
        Labels that mean control beside the usual names; they win over unassigned ones.
    separator
        What joins the genes of a combination; None finds it, ``"none"`` keeps labels whole.
    unassigned
        Labels of cells without a known perturbation, beside ``UNASSIGNED``.
    parse_label
        Replaces the rules for all other labels: one label to its canonical form, or None
        for an unassigned cell.

    Returns
    -------
    Label as spelt -> canonical label, None for unassigned.

    Raises
    ------
    InputError
        When a label cannot be read, or only by guessing.
    """
    known = _Names(frozenset(genes), frozenset(control))
    result: dict[str, str | None] = {}
    rest: dict[str, str] = {}
    for name in dict.fromkeys(names):
        text = name.strip()
        if text in known.control:
            result[name] = CONTROL
        elif text in UNASSIGNED or text in unassigned:
            result[name] = None
        else:
            rest[name] = text
    if parse_label is not None:
        if separator is not None:
            raise InputError(
                "The labels of this dataset are read by a rule of their own.",
                f"separator={separator!r} beside it.",
                "Leave the separator out.",
            )
        return result | {name: parse_label(text) for name, text in rest.items()}
    rest = {name: _without_guide(text, known) for name, text in rest.items()}
    mark = _separator({*rest.values()}, known) if separator is None else separator
    return result | {name: _parse(text, mark, known) for name, text in rest.items()}


def adamson_label(text: str) -> str:
    """Label of Adamson et al. 2016: ``<gene>_<plasmid>``, control where it holds ``(mod)``.

    Splitting at ``_`` would make pairs of a gene and a plasmid.
    """
    return CONTROL if "(mod)" in text else canonical([text.rsplit("_", 1)[0]])


def _without_guide(text: str, known: _Names) -> str:
    """Genes without guide numbers: KLF1_sg2, and KLF1g2 or KLF1-2 where KLF1 is a gene."""

    def gene(part: re.Match[str]) -> str:
        name = part[0]
        left = _MAYBE_GUIDE.sub("", name)
        return left if left in known.genes and not known.is_whole(name) else name

    return text if known.is_whole(text) else _PART.sub(gene, _GUIDE.sub("", text))


def _parse(text: str, separator: str, known: _Names) -> str:
    """Canonical label of one label without guide names."""
    splits = separator not in ("", WHOLE) and not known.is_whole(text)
    parts = [part.strip() for part in text.split(separator)] if splits else [text]
    if not all(parts):
        raise InputError(
            "A perturbation label has an empty part.",
            f"{text!r}, split at {separator!r}.",
            f"Mend the label, or pass separator={WHOLE!r} if labels are one gene each.",
        )
    return canonical(part for part in parts if not known.is_control(part))


def _separator(texts: Collection[str], known: _Names) -> str:
    """The one separator of a dataset, ``WHOLE`` where labels are one gene each."""
    open_texts = sorted(text for text in texts if not known.is_whole(text))
    plain = {mark: [t for t in open_texts if mark in t] for mark in PLAIN_SEPARATORS}
    invented = _invented_genes(open_texts, known)
    pairs = [text for text in open_texts if "_" in text and text not in invented]
    found = {mark: labels[0] for mark, labels in plain.items() if labels}
    if found and pairs:
        found["_"] = pairs[0]
    if len(found) > 1:
        raise _two_separators(found)
    if found:
        return next(iter(found))
    if invented:
        raise _would_invent(invented)
    return "_" if pairs else WHOLE


def _invented_genes(texts: Collection[str], known: _Names) -> dict[str, list[str]]:
    """Labels with ``_`` -> those parts that are neither a gene, a single nor a control."""
    singles = {text for text in texts if "_" not in text}
    unknown = {
        text: [part for part in text.split("_") if not (part in singles or known.is_whole(part))]
        for text in texts
        if "_" in text and not any(mark in text for mark in PLAIN_SEPARATORS)
    }
    return {text: parts for text, parts in unknown.items() if parts}


def _two_separators(found: Mapping[str, str]) -> InputError:
    return InputError(
        "Labels join their genes in more than one way.",
        f"{', '.join(map(repr, found.values()))}.",
        "Use one separator in the whole dataset, or pass the one that counts "
        f"(separator={next(iter(found))!r}); other marks then belong to gene names.",
    )


def _would_invent(invented: Mapping[str, list[str]]) -> InputError:
    text, unknown = next(iter(invented.items()))
    return InputError(
        "It is unclear whether '_' joins two genes in a label or belongs to a name.",
        f"{len(invented)} such labels, for example {text!r}: neither a gene of the file nor "
        f"perturbed alone: {', '.join(map(repr, unknown))}.",
        f"Pass separator='_' to split at it, or separator={WHOLE!r} to keep labels whole.",
    )

"""Names and words on screen: safe when they come from files, explained when they are jargon."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Literal

import pandas as pd

if TYPE_CHECKING:
    from cradle.ui.library import DatasetEntry

MAX_LABEL = 60

# Each of these starts Markdown, HTML, LaTeX, an emoji code or a Plotly tag; the substitutes look
# alike and mean nothing to any of them. An image link in a gene name made the browser call out.
_LOOKALIKES = str.maketrans(
    {
        "[": "［", "]": "］", "<": "‹", ">": "›", "`": "ˋ", "*": "∗", "$": "＄", "~": "∼",
        "!": "ǃ", "\\": "＼", "#": "＃", "&": "＆", "{": "｛", "}": "｝", "|": "¦",
    }
)  # fmt: skip
_COLON = re.compile(r":(?=\S)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")


def safe_label(name: object) -> str:
    """A name from a file that no widget, table or figure can take for markup.

    Parameters
    ----------
    name
        Anything printable: gene, perturbation, batch or file name.

    Returns
    -------
    str
        One line of at most ``MAX_LABEL`` characters; ordinary gene symbols are unchanged.
    """
    return _safe_label(str(name))


@functools.lru_cache(maxsize=65_536)  # a list of genes is offered on every run of a page
def _safe_label(name: str) -> str:
    text = safe_text(name).strip()
    text = re.sub(r"(?i)\bwww\.", "www․", text).replace("@", "＠")
    return text if len(text) <= MAX_LABEL else text[: MAX_LABEL - 1] + "…"


def safe_labels(names: pd.Series) -> pd.Series:
    """``safe_label`` of each name in a column; of long columns, each different name once."""
    return names.map({name: safe_label(name) for name in names.unique()})


def dataset_label(entry: DatasetEntry) -> str:
    """What a dataset is called on screen: the id of an upload says nothing to a reader, its title
    is the name of the file."""
    return entry.title if entry.uploaded else safe_label(entry.name)


CRITERIA = {
    "umi_counts": ("UMI counts", "UMI counts per cell"),
    "genes_detected": ("Genes detected", "genes with at least one count"),
    "mt_percent": ("Mitochondrial share", "% of counts from MT genes"),
    "ribo_percent": ("Ribosomal share", "% of counts from RPS and RPL genes"),
    "hb_percent": ("Hemoglobin share", "% of counts from hemoglobin genes"),
    "doublet": ("Doublets", "Scrublet's doublet score"),
}


def criterion_label(criterion: str) -> str:
    """Name of a QC criterion as shown on screen."""
    return CRITERIA[criterion][0]


def by_criteria(criteria: Sequence[str]) -> str:
    """How many of the criteria decide, and which."""
    names = ", ".join(map(criterion_label, criteria)) or "none measurable"
    return f"{len(criteria)} of {len(CRITERIA)} criteria ({names})"


def with_criteria_named(text: str) -> str:
    """A sentence in which criteria go by the names on screen."""
    return re.sub("|".join(rf"\b{c}\b" for c in CRITERIA), lambda m: criterion_label(m[0]), text)


def threshold_words(mad: float, criteria: Collection[str]) -> str:
    """By what cells are judged: k, and how many criteria where some are left out."""
    few = f", {len(criteria)} of {len(CRITERIA)} criteria" * (len(criteria) < len(CRITERIA))
    return f"k = {mad:g} MAD{few}"


def split_name(split: str, unseen: bool | None = None) -> str:
    """A split in words.

    Parameters
    ----------
    split
        train, val, test or all.
    unseen
        Whether the model never saw any perturbation of the test split; None where that is not
        known.
    """
    apart = {True: "held out", False: "cells kept apart", None: "kept apart"}
    return {"test": f"test ({apart[unseen]})", "all": "all cells"}.get(split, split)


#: Of a criterion with value v; LaTeX.
QC_FORMULAS = (
    r"\mathrm{MAD} = \mathrm{median}\,|v - \mathrm{median}(v)|",
    r"\text{low side: } v < \mathrm{median} - k\,\mathrm{MAD}",
    r"\text{high side: } v > \mathrm{median} + k\,\mathrm{MAD}",
)

GLOSSARY = {
    "mad": "Median absolute deviation: the median distance of cells from the median cell. "
    "A cell fails when it lies more than k of them on the bad side of the median; "
    "a smaller k is stricter.",
    "artifact": "A technical flaw of a cell (broken, stressed, contaminated, two cells in one "
    "droplet), as opposed to an effect of the perturbation.",
    "qc_pass_rate": "Share of cells that pass every selected, measurable criterion.",
    "held_out": "A combination that the model never saw in training, neither for the weights nor "
    "for the thresholds; both of its genes were seen in other cells.",
    "effect": "Mean over cells of log2(1 + 10,000 · counts / library size) of the perturbation, "
    "minus the same mean of the control cells, batch by batch where there are batches. 1 means "
    "about twice the expression; of a gene with hardly any counts, more than twice.",
    "floor": "What simple rules without a neural network reach from the same training cells. "
    "A model earns its keep only above them.",
    "ceiling": "The score that the true means would get: the observed effects carry sampling "
    "noise, so even a perfect model stays below 1.",
    "replicate": "One random half of the observed cells predicting the other half.",
    "library_size": "Total UMI counts of a cell over the whole transcriptome.",
    "twins": "Pairs of cells that share everything (basal state, effects, library size, count "
    "noise) and differ only in the artifact switch.",
    "mask": "For each perturbed gene and each latent a switch that the model learns: on, the gene "
    "may move this latent; off, it cannot. A sparse model has few on.",
    "responsive": "Responsive latents are what a perturbation moves. In predicted cells they come "
    "from the label alone, the background comes from control cells.",
    "latent_graph": "The model lets a responsive latent depend on the ones before it. A strong "
    "edge says that cells high in one are high (or low) in the other because of it, as far as "
    "this model can tell.",
    "elbo": "ELBO (evidence lower bound): how well the model explains a cell, in nats, the unit of "
    "natural logarithms. −ELBO is drawn. Validation cells are not fitted on: training ends when "
    "they no longer gain, and the best epoch is kept.",
    "program": "The genes that go up and down together when one latent goes up.",
    "probe": "A straight line fitted to tell the perturbation from the latents of a cell, and "
    "tested on other cells. What it cannot tell, the latents do not plainly hold.",
    "counterpart": "A QC-failed training cell of the same perturbation. CRADLE-VAE learns the "
    "artifact from these: what differs within one perturbation is not biology of the perturbation.",
    "p_adjusted": "How often noise alone would put a gene this far up the list (Benjamini and "
    "Hochberg's false discovery rate), if cells were independent replicates. They are not.",
    "support": "How much the training data say about this query.",
    "seed": "Start of the random numbers: the same seed gives the same cells.",
    "interval": "95 % interval: over draws of the model's uncertain parameters, widened until it "
    "held what validation cells show of perturbations in training.",
    "interval_pairs": "Of pairs that were not in training, strong effects often lie outside.",
    "posterior": "95 % interval over draws of the model's uncertain parameters.",
    "split": "train: fitted on these cells; val: used to stop training; test: kept apart.",
}

Colour = Literal["green", "blue", "orange", "red"]
SUPPORT: dict[str, tuple[Colour, str, str]] = {
    "seen": ("green", ":material/check_circle:", "Cells with this perturbation were in training."),
    "held-out combination": ("blue", ":material/science:",
                             "Kept apart in training, each gene seen in other cells; "
                             "the observed cells can check the prediction."),
    "never measured": ("orange", ":material/help:",
                       "No cell carries this combination, but each gene was seen; "
                       "nothing here can check the prediction."),
    "gene never seen": ("red", ":material/error:",
                        "A gene of this query was never perturbed in training: the prediction is "
                        "not supported by data."),
}  # fmt: skip


def safe_text(text: str) -> str:
    """A sentence that quotes names from files, with its markup neutralised and length kept."""
    return _COLON.sub("꞉", _CONTROL.sub(" ", text)).translate(_LOOKALIKES).replace("__", "_ _")

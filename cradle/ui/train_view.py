"""The form of the training page: from the reader's choices to a job in the queue."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
import streamlit as st

from cradle.data.qc import CRITERIA
from cradle.errors import InputError
from cradle.jobs import queue
from cradle.run_folders import named_run_path, new_run_path
from cradle.ui import quality, store
from cradle.ui.figures import slug
from cradle.ui.labels import criterion_label, safe_label
from cradle.ui.quality_view import missing_cells
from cradle.ui.sidebar import Choices

if TYPE_CHECKING:
    from cradle.models.registry import ModelSpec

_SEEDS = (0, 2**32 - 1)


class Request(NamedTuple):
    """What to train, in the terms of ``python -m cradle fit``."""

    data: str
    model: str
    name: str
    mad: float
    criteria: tuple[str, ...]
    seed: int = 0
    split_seed: int = 0
    epochs: int = 0
    train_cells: str = "all"
    genes: str = ""
    held_out: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    def arguments(self, out: Path) -> tuple[str, ...]:
        """Of the command line; defaults are left out."""
        options: list[str] = ["fit", self.data, "--model", self.model, "--out", str(out)]
        if self.mad != 3.0:
            options += ["--mad", f"{self.mad:g}"]
        if self.criteria != CRITERIA:
            options += ["--criteria", ",".join(self.criteria)]
        for option, value, default in (
            ("--seed", self.seed, 0), ("--split-seed", self.split_seed, 0),
            ("--epochs", self.epochs, 0), ("--train-cells", self.train_cells, "all"),
            ("--genes", self.genes, ""), ("--test-combinations", ",".join(self.held_out), ""),
        ):  # fmt: skip
            if value != default:
                options += [option, str(value)]
        for setting in self.settings:
            options += ["--set", setting]
        return tuple(options)


def ask(choices: Choices) -> Request | None:
    """The form; the request when the button was pressed."""
    from cradle.models.registry import MODELS

    if choices.dataset.source is None:
        missing_cells(choices, "the form for a new run")
        return None
    combinations = _combinations(choices)
    first, second = st.columns([3, 2])
    model = first.selectbox(
        "Model", list(MODELS), key="train_model", bind="query-params",
        format_func=lambda name: MODELS[name].label,
    )  # fmt: skip
    default = new_run_path(_stem(choices, model)).name
    name = second.text_input("Name of the run", placeholder=default, key="train_name",
                             max_chars=80)  # fmt: skip
    first.caption(f"{MODELS[model].summary} {_plainly(MODELS[model])}")
    one, two, three = st.columns(3)
    seed = one.number_input("Seed", *_SEEDS, 0, key="train_seed",
                            help="The same seed, data and settings give the same run.")  # fmt: skip
    epochs = two.number_input(
        "Epochs, at most (0: by the size of the data)", 0, 100_000, 0, key="train_epochs",
        disabled=not MODELS[model].is_network,
        help="Training ends earlier when the validation cells no longer gain.",
    )  # fmt: skip
    cells = three.segmented_control(
        "Train on", ("all", "passing"), default="all", required=True, key="train_cells",
        format_func={"all": "all cells", "passing": "QC-passing cells"}.__getitem__,
        help="Filtering is what one would do without an artifact in the model.",
    )  # fmt: skip
    with st.expander("More settings", icon=":material/tune:"):
        one, two = st.columns(2)
        split_seed = one.number_input(
            "Seed of the split", *_SEEDS, 0, key="train_split_seed",
            help="Decides which combinations are held out and which cells validate.",
        )  # fmt: skip
        genes = two.text_input("Highly variable genes to model", key="train_genes",
                               placeholder="all up to 5,000; a number; or: all")  # fmt: skip
        held_out = st.multiselect(
            "Combinations to hold out", combinations, key="train_held_out",
            format_func=safe_label, disabled=not combinations,
            placeholder="a quarter of the eligible ones, by the seed of the split",
        )  # fmt: skip
        lines = st.text_area(
            "Settings of the network, one key=value a line", key="train_settings", height=90,
            disabled=not MODELS[model].is_network, placeholder="n_latent=64",
        )  # fmt: skip
        _defaults(model)
    asked = Request(
        choices.dataset.source, model, name.strip() or default, choices.mad, choices.criteria,
        int(seed), int(split_seed), int(epochs) if MODELS[model].is_network else 0, str(cells),
        genes.strip(), tuple(held_out),
        tuple(line.strip() for line in lines.splitlines() if line.strip()),
    )  # fmt: skip
    st.caption(_judged_by(choices))
    pressed = st.button("Start training", type="primary", icon=":material/play_arrow:")
    return asked if pressed else None


def _stem(choices: Choices, model: str) -> str:
    """What a run is called unless the reader says: an upload goes by the name of its file."""
    entry = choices.dataset
    name = Path(entry.title).stem[:40] if entry.uploaded else entry.name
    return slug(f"{name}_{model}").lstrip(".+-_")


def _plainly(spec: ModelSpec) -> str:
    """What a model learns and can be asked for, without its jargon."""
    if not spec.is_network:
        return "In plain words: a simple rule, nothing is trained. It predicts effects, no cells."
    flaws = (
        "and apart from that what flawed cells look like, so that flaws can be left out"
        if spec.artifact
        else "and takes flawed cells as they are"
    )
    what = "generates cells" if spec.generates else "predicts effects (it generates no cells)"
    also = "also" if spec.combinations else "but not"
    return (
        f"In plain words: it learns what each perturbation changes in a cell, {flaws}. It {what}, "
        f"{also} for combinations that nobody has measured."
    )


def _judged_by(choices: Choices) -> str:
    """By what the cells of a new run are judged, and what these data cannot measure."""
    measured = quality.measurable(choices)
    judged = [criterion_label(c) for c in choices.criteria if c in measured]
    left_out = [criterion_label(c) for c in choices.criteria if c not in measured]
    if choices.run is None and quality.doublets_missing(choices):
        judged = [f"{name} (if they can be looked for in these cells)"
                  if name == criterion_label("doublet") else name for name in judged]  # fmt: skip
    words = (
        f"Cells are judged at k = {choices.mad:g} MAD by: {', '.join(judged) or 'none'}. Both are "
        "chosen in the sidebar and belong to the run."
    )
    return words + f" Not measurable in these data: {', '.join(left_out)}." * bool(left_out)


def start(request: Request) -> None:
    """Check a request and put it into the queue.

    Raises
    ------
    InputError
        A setting is wrong, the name is taken, or the queue refuses.
    """
    from cradle.models.registry import model_spec

    settings = dict(_setting(line) for line in request.settings)
    model_spec(request.model).config(settings)
    if request.genes and request.genes != "all" and not request.genes.isdigit():
        raise InputError(
            "The number of genes cannot be read.", repr(request.genes[:40]),
            "Give a whole number, or: all.",
        )  # fmt: skip
    if not request.criteria:
        raise InputError(
            "No criterion counts as artifact.", "an empty list in the sidebar.",
            "Choose at least one under What counts as artifact.",
        )  # fmt: skip
    path = named_run_path(request.name).resolve()
    queue.submit("fit", request.name, request.arguments(path), str(path))


def _setting(line: str) -> tuple[str, str]:
    key, equals, value = line.partition("=")
    if not (key.strip() and equals):
        raise InputError(
            "A setting cannot be read.", repr(line[:60]), "Write key=value, one a line."
        )
    return key.strip(), value.strip()


def _combinations(choices: Choices) -> list[str]:
    adata = store.cells(choices)
    assert adata is not None
    if "perturbation" not in adata.obs:
        raise InputError(
            "These cells cannot be trained on.",
            "no column says which perturbation each cell carries.",
            "Upload the file again on the page Data and say which column holds it.",
        )
    return sorted(p for p in adata.obs["perturbation"].cat.categories if "+" in str(p))


def _defaults(model: str) -> None:
    """Every setting with its value, for who wants to change one."""
    from cradle.models.config import VAEConfig
    from cradle.models.registry import MODELS

    if not MODELS[model].is_network:
        return
    config = MODELS[model].config()
    table = pd.DataFrame(
        [{"setting": f.name, "value": str(getattr(config, f.name))} for f in fields(VAEConfig)]
    )
    st.dataframe(table, hide_index=True, height=180, key="train_defaults")
    st.caption(
        "Values of large screens. On small panels latent dimension, width, batch size, learning "
        "rate and epochs follow the size of the data, unless set here."
    )

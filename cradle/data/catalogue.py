"""The datasets known by name: where they come from, how to read them, what to beware of."""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cradle.data.labels import WHOLE, adamson_label
from cradle.errors import InputError

if TYPE_CHECKING:
    from cradle.data.standardize import InputSpec

_ASSETS = Path(__file__).resolve().parents[2] / "assets"
_ZENODO = "https://zenodo.org/records/10044268/files/"
_SCPERTURB = (
    "Copy: scPerturb (Peidli et al., Nature Methods 21, 531-540, 2024, "
    "doi:10.1038/s41592-023-02144-y), Zenodo record 10044268."
)


@dataclass(frozen=True)
class DatasetFile:
    """One file that can hold a dataset.

    Attributes
    ----------
    name
        File name, in `CRADLE_DATA_DIR` or the per-user cache.
    options
        What its names do not tell, as fields of `InputSpec`.
    checksum
        `md5:...` or `sha256:...` as published, or None.
    url
        Where it is downloaded from, or None.
    size
        Of the download, in words; empty where nobody has written it down.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    checksum: str | None = None
    url: str | None = None
    size: str = ""

    @property
    def reading(self) -> "InputSpec":
        """How `standardize` reads it."""
        from cradle.data.standardize import InputSpec  # the list of datasets is quick without it

        return InputSpec(**self.options)


@dataclass(frozen=True)
class DatasetSpec:
    """One row of the catalogue.

    Attributes
    ----------
    name, title, citation
        What it is called, here and in print.
    modality
        CRISPRa (activation), CRISPRi (knock-down), CRISPR-KO (knock-out), or simulated.
    published
        Cells, genes and perturbations as published. Shown, never asserted: copies differ.
    files
        Forms in which the dataset is found, the preferred one first.
    notes
        Caveats shown to users.
    by_hand
        What to do where it is neither here nor downloadable.
    shipped
        Whether it is a part of this software.
    """

    name: str
    title: str
    citation: str
    modality: str
    published: str
    files: tuple[DatasetFile, ...]
    notes: tuple[str, ...] = ()
    by_hand: str = ""
    shipped: bool = False

    @property
    def download(self) -> DatasetFile | None:
        """The form that can be downloaded."""
        return next((file for file in self.files if file.url), None)

    @property
    def simulated(self) -> bool:
        return self.modality == "simulated"


@dataclass(frozen=True)
class Availability:
    """A dataset and where it is: `state` is local, downloadable or not available here."""

    dataset: DatasetSpec
    path: Path | None

    @property
    def state(self) -> str:
        if self.path is not None:
            return "local"
        return "downloadable" if self.dataset.download else "not available here"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and tables."""
        spec = self.dataset
        keys = ("name", "title", "modality", "published", "citation", "simulated", "by_hand")
        return {
            **{key: getattr(spec, key) for key in keys},
            "notes": list(spec.notes),
            "state": self.state,
            "path": str(self.path) if self.path else None,
            "url": spec.download.url if spec.download else None,
        }


def dataset(name: str) -> DatasetSpec:
    """Catalogue row of that name; raises `InputError` with the close and all names."""
    if name in DATASETS:
        return DATASETS[name]
    close = difflib.get_close_matches(name.lower(), DATASETS, n=3)
    raise InputError(
        "There is no dataset of that name.",
        f"{name[:80]!r}{', close to ' + ', '.join(close) if close else ''}.",
        f"use one of {', '.join(DATASETS)}, or the path of an .h5ad file or Zarr store.",
    )


def find(name: str) -> tuple[DatasetSpec, tuple[Path, DatasetFile] | None]:
    """Catalogue row, with the file that holds it on this machine, if any, and how to read that."""
    spec = dataset(name)
    folders = [_ASSETS] if spec.shipped else _folders()
    for folder in folders:
        for file in spec.files:
            if (folder / file.name).is_file():
                return spec, (folder / file.name, file)
    return spec, None


def locate(name: str) -> Path | None:
    """File of a dataset: in `CRADLE_DATA_DIR` first, then in the per-user cache, else None."""
    found = find(name)[1]
    return found[0] if found else None


def datasets() -> list[Availability]:
    """The whole catalogue, with where each dataset is."""
    return [Availability(spec, locate(name)) for name, spec in DATASETS.items()]


def cache_folder() -> Path:
    """Per-user folder for downloads; it may not exist yet."""
    import pooch

    return Path(pooch.os_cache("cradle"))


def _folders() -> list[Path]:
    chosen = os.environ.get("CRADLE_DATA_DIR")
    return [*([Path(chosen).expanduser()] if chosen else []), cache_folder()]


def _scperturb(file: str, md5: str, options: Mapping[str, Any]) -> tuple[DatasetFile, ...]:
    return (DatasetFile(file, options, f"md5:{md5}", _ZENODO + file),)


_ROWS = (
    DatasetSpec(
        "demo",
        "Simulated screen with known truth",
        "Simulated by this software; no measurement.",
        "simulated",
        "5,000 cells × 2,000 genes",
        (DatasetFile("demo.h5ad"),),
        ("Simulated: effects and artifacts are known, no cell was measured.",),
        "make it again with `python -m cradle simulate assets/demo.h5ad`.",
        shipped=True,
    ),
    DatasetSpec(
        "norman_subset",
        "Norman 2019, development subset (K562, single and double activation)",
        "Norman et al., Science 365, 786-793, 2019, doi:10.1126/science.aax4438 (GSE133344); "
        "subset of altoslabs/perturbench (BSD-3).",
        "CRISPRa",
        "3,375 cells × 500 selected genes, 18 + 15 perturbations",
        (
            DatasetFile("norman2019_subset.h5ad", {"separator": "+"}),
            DatasetFile("norman2019_devel_lognorm.h5ad", {"separator": "+", "invert_log1p": True}),
            DatasetFile(
                "perturbench_devel.h5ad",
                {"separator": "+", "invert_log1p": True, "rows": ("dataset", "norman19")},
                "sha256:220998f5630c813228c8661c86dd52244b9ac87127511289af90e0d900d8429b",
                "https://github.com/altoslabs/perturbench/raw/"
                "d357dfae3b50968e800e9f5f273ff145080ae67c/"
                "src/perturbench/data/resources/devel.h5ad",
                "1.1 MB",
            ),
        ),
        (
            "500 selected genes: no MT or RPS/RPL genes, three hemoglobin genes. Library size "
            "and genes detected are those of the full transcriptome.",
            "The public file is log-normalised; counts are recovered exactly from it.",
        ),
    ),
    DatasetSpec(
        "papalexi",
        "Papalexi 2021 (THP-1, knock-out, ECCITE-seq)",
        "Papalexi et al., Nature Genetics 53, 322-331, 2021, doi:10.1038/s41588-021-00778-2 "
        "(GSE153056); from Katsevich-Lab/sceptredata (MIT).",
        "CRISPR-KO",
        "20,729 cells × 299 genes, 25 perturbations",
        (DatasetFile("papalexi2021_eccite.h5ad", {"batch": "batch", "separator": WHOLE}),),
        (
            "Targeted panel of 299 genes with one MT gene.",
            "Labels are each cell's top guide: some cells carry a second guide.",
            "Group sizes range from 48 to 2,386 cells; three replicates are the batches.",
        ),
        "the source is R data (package sceptredata of Katsevich-Lab on GitHub): write its counts "
        "with `perturbation` and `batch` as 'papalexi2021_eccite.h5ad', put that in a folder and "
        "set CRADLE_DATA_DIR to it; or give the path of the file instead of the name.",
    ),
    DatasetSpec(
        "norman",
        "Norman 2019 (K562, single and double activation)",
        f"Norman et al., Science 365, 786-793, 2019, doi:10.1126/science.aax4438. {_SCPERTURB}",
        "CRISPRa",
        "111,255 cells × 19,018 genes, 105 + 131 perturbations",
        _scperturb(
            "NormanWeissman2019_filtered.h5ad",
            "c870e6967d91c017d9da827bab183cd6",
            {"perturbation": "perturbation", "separator": "_"},
        ),
        ("This copy holds 111,445 cells, not the 111,255 of the paper.",),
    ),
    DatasetSpec(
        "dixit",
        "Dixit 2016 (K562, knock-out, high multiplicity)",
        f"Dixit et al., Cell 167, 1853-1866, 2016, doi:10.1016/j.cell.2016.11.038. {_SCPERTURB}",
        "CRISPR-KO",
        "103,420 cells × 18,531 genes, 10 + 45 perturbations",
        _scperturb(
            "DixitRegev2016.h5ad",
            "2c2a889ef63100eb44e2e0d43d691ddc",
            {"perturbation": "perturbation", "separator": "_"},
        ),
        ("The high-multiplicity screen: a cell may carry several guides.",),
    ),
    DatasetSpec(
        "replogle",
        "Replogle 2022 (K562 essential genes, knock-down)",
        f"Replogle et al., Cell 185, 2559-2575, 2022, doi:10.1016/j.cell.2022.05.013. {_SCPERTURB}",
        "CRISPRi",
        "118,641 cells × 1,187 genes, 722 perturbations (strong ones only)",
        _scperturb(
            "ReplogleWeissman2022_K562_essential.h5ad",
            "d8cba17576d1a8afc0f7d71b79cad0f7",
            {"perturbation": "perturbation", "separator": WHOLE},
        ),
        ("The paper's filter to 722 strong perturbations is not specified and not reproduced.",),
    ),
    DatasetSpec(
        "adamson",
        "Adamson 2016 (K562, unfolded protein response, knock-down)",
        f"Adamson et al., Cell 167, 1867-1882, 2016, doi:10.1016/j.cell.2016.11.048. {_SCPERTURB}",
        "CRISPRi",
        "62,623 cells × 17,115 genes, 90 perturbations",
        _scperturb(
            "AdamsonWeissman2016_GSM2406681_10X010.h5ad",
            "2fa44ea61a8dd35742af618638ec65fc",
            {"perturbation": "perturbation", "parse_label": adamson_label},
        ),
        (
            "This copy holds 65,337 cells, not the 62,623 of the paper.",
            "There is no label `control`: guides marked (mod) are the controls; `*` and missing "
            "labels are unassigned.",
        ),
    ),
)
DATASETS: dict[str, DatasetSpec] = {row.name: row for row in _ROWS}

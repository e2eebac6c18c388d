"""The catalogue: every row is complete, and files are found where they may lie."""

import json
import re

import pytest

from cradle.data import catalogue
from cradle.data.catalogue import DATASETS, cache_folder, dataset, datasets, find, locate
from cradle.data.labels import label_map
from cradle.data.schema import CONTROL
from cradle.errors import InputError

NAMES = {"norman", "dixit", "replogle", "adamson", "norman_subset", "papalexi", "demo"}


def states() -> dict[str, str]:
    return {entry.dataset.name: entry.state for entry in datasets()}


def test_names():
    assert set(DATASETS) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_row_is_complete(name):
    row = dataset(name)
    assert row.name == name
    assert row.title
    assert row.citation
    assert row.modality in ("CRISPRa", "CRISPRi", "CRISPR-KO", "simulated")
    assert row.notes
    assert row.download or row.by_hand
    for file in row.files:
        assert re.fullmatch(r"[\w.]+\.h5ad", file.name)
        assert (file.url is None) == (file.checksum is None)
        if file.url:
            assert file.url.startswith("https://")
            assert re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", file.checksum)


def test_scperturb_addresses():
    for name in ("norman", "dixit", "replogle", "adamson"):
        file = dataset(name).download
        assert file.url == f"https://zenodo.org/records/10044268/files/{file.name}"


def test_no_two_datasets_share_a_file():
    files = [file.name for row in DATASETS.values() for file in row.files]
    assert len(set(files)) == len(files)


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("norman", "MAP2K6_KLF1", "KLF1+MAP2K6"),
        ("norman", "control", CONTROL),
        ("replogle", "HLA_A", "HLA_A"),
        ("norman_subset", "MAP2K6+KLF1", "KLF1+MAP2K6"),
        ("papalexi", "non-targeting", CONTROL),
        ("adamson", "CREB1_pDS269", "CREB1"),
        ("adamson", "63(mod)_pBA580", CONTROL),
        ("adamson", "*", None),
        ("adamson", "nan", None),
    ],
)
def test_labels_are_read_as_the_dataset_means_them(name, label, expected):
    reading = dataset(name).files[0].reading
    assert (
        label_map(
            [label],
            control=reading.controls,
            separator=reading.separator,
            unassigned=reading.unassigned,
            parse_label=reading.parse_label,
        )[label]
        == expected
    )


def test_without_data():
    assert locate("norman") is None
    assert states() | {"demo": ""} == {
        "norman": "downloadable",
        "dixit": "downloadable",
        "replogle": "downloadable",
        "adamson": "downloadable",
        "norman_subset": "downloadable",
        "papalexi": "not available here",
        "demo": "",
    }


def test_listing_is_plain_json():
    listed = {row["name"]: row for row in (entry.to_dict() for entry in datasets())}
    assert json.loads(json.dumps(listed)) == listed
    assert listed["demo"]["simulated"]
    assert listed["norman"]["url"].endswith("NormanWeissman2019_filtered.h5ad")
    assert listed["papalexi"]["url"] is None
    assert "CRADLE_DATA_DIR" in listed["papalexi"]["by_hand"]


@pytest.mark.parametrize(
    "file", ["norman2019_subset.h5ad", "norman2019_devel_lognorm.h5ad", "perturbench_devel.h5ad"]
)
def test_every_form_of_a_dataset_is_found(tmp_path, monkeypatch, file):
    monkeypatch.setenv("CRADLE_DATA_DIR", str(tmp_path))
    (tmp_path / file).touch()
    assert locate("norman_subset") == tmp_path / file
    assert find("norman_subset")[1][1].name == file
    assert states()["norman_subset"] == "local"


def test_own_folder_before_cache(tmp_path, monkeypatch):
    cache_folder().mkdir(parents=True)
    kept = cache_folder() / "papalexi2021_eccite.h5ad"
    kept.touch()
    assert locate("papalexi") == kept
    own = tmp_path / "papalexi2021_eccite.h5ad"
    own.touch()
    monkeypatch.setenv("CRADLE_DATA_DIR", str(tmp_path))
    assert locate("papalexi") == own
    monkeypatch.setenv("CRADLE_DATA_DIR", str(tmp_path / "absent"))
    assert locate("papalexi") == kept


def test_shipped_demo_cannot_be_shadowed(tmp_path, monkeypatch):
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "demo.h5ad").touch()
    (tmp_path / "demo.h5ad").touch()
    monkeypatch.setattr(catalogue, "_ASSETS", assets)
    monkeypatch.setenv("CRADLE_DATA_DIR", str(tmp_path))
    assert locate("demo") == assets / "demo.h5ad"
    monkeypatch.setattr(catalogue, "_ASSETS", tmp_path / "absent")
    assert locate("demo") is None


def test_unknown_name():
    with pytest.raises(InputError) as caught:
        locate("Normann")
    assert "close to norman" in caught.value.found
    assert all(name in caught.value.do for name in NAMES)

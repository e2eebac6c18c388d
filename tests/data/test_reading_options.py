"""What is said about how to read a file is heeded, or refused; never passed over."""

import numpy as np
import pytest

from cradle.data import sources
from cradle.data.sources import load
from cradle.data.standardize import InputSpec, standardize
from cradle.errors import InputError
from cradle.files import write_h5ad
from tests.data.raw_file import COUNTS, raw_file


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_standard_file_is_not_read_in_another_way(tmp_path, on_disk):
    path = write_h5ad(tmp_path / "screen.h5ad", standardize(raw_file(), name="screen"))
    assert load(path, spec=InputSpec(), on_disk=on_disk).n_obs == 5
    spec = InputSpec(perturbation="nosuch", counts="nolayer", control="X")
    with pytest.raises(InputError, match=r"standard form already.*counts='nolayer'"):
        load(path, spec=spec, on_disk=on_disk)


def test_options_come_on_top_of_the_reading_of_the_catalogue(tmp_path, monkeypatch):
    """Adamson's own parser stays, whatever else is said about the file."""
    labels = ["63(mod)_pBA580", "KLF1_pDS1", "MAP2K6_pDS2", "mock_pDS3"] * 5
    adata = raw_file(np.tile(COUNTS, (4, 1)), labels, lane=["a", "b"] * 10)
    monkeypatch.setattr(sources, "verify", lambda path, file: True)
    monkeypatch.setenv("CRADLE_DATA_DIR", str(tmp_path))
    write_h5ad(tmp_path / "AdamsonWeissman2016_GSM2406681_10X010.h5ad", adata)
    found = load("adamson", spec=InputSpec(batch="lane", control="mock_pDS3"))
    assert set(found.obs["perturbation"]) == {"control", "KLF1", "MAP2K6"}
    assert (found.obs["perturbation"] == "control").sum() == 10
    assert set(found.obs["batch"]) == {"a", "b"}
    with pytest.raises(InputError, match="rule of their own"):
        load("adamson", spec=InputSpec(separator="_"))


def test_the_catalogue_may_hold_a_file_in_standard_form(tmp_path, monkeypatch):
    monkeypatch.setenv("CRADLE_DATA_DIR", str(tmp_path))
    write_h5ad(tmp_path / "papalexi2021_eccite.h5ad", standardize(raw_file(), name="screen"))
    assert load("papalexi").n_obs == 5
    with pytest.raises(InputError, match="standard form already"):
        load("papalexi", spec=InputSpec(batch=""))

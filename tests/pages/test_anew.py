"""A run or a dataset that takes the place of another one while the app is open."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from cradle.data import catalogue
from cradle.files import write_h5ad
from cradle.simulation import SimulationConfig, simulate
from cradle.ui import library

Open = Callable[..., AppTest]


def _put(run: Path, place: Path, minutes: int) -> None:
    """A copy of a run in a place, finished some minutes after the original."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(run, place)
    finished = (run / "DONE").stat().st_mtime + 60 * minutes
    os.utime(place / "DONE", (finished, finished))


def _scores(app: AppTest) -> pd.DataFrame:
    assert not app.exception
    table = next(table.value for table in app.dataframe if "who" in table.value)
    return table.drop(columns="who")  # which names the run


def test_a_run_fitted_anew_into_its_folder_shows_its_own_effects(
    further_runs: Path, tmp_path: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRADLE_RUNS_DIR", str(tmp_path))
    _put(further_runs / "sams", tmp_path / "mine", 1)
    before = _scores(open_page("treatment_effects", dataset="demo", run="mine"))
    _put(further_runs / "rule", tmp_path / "mine", 2)
    after = _scores(open_page("treatment_effects", dataset="demo", run="mine"))
    _put(further_runs / "rule", tmp_path / "fresh", 3)
    fresh = _scores(open_page("treatment_effects", dataset="demo", run="fresh"))
    assert not after.equals(before)
    pd.testing.assert_frame_equal(after, fresh)


@pytest.mark.parametrize("folders", [("here", "here"), ("here", "there")])
def test_a_dataset_that_was_replaced_is_judged_anew(
    folders: tuple[str, str], tmp_path: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "SHIPPED_RUNS", tmp_path / "none")
    numbers = []
    for folder, minutes, n_cells in zip(folders, (1, 2), (700, 500), strict=True):
        config = SimulationConfig(n_cells=n_cells, n_genes=260, n_perturbations=6, n_pairs=5)
        file = tmp_path / folder / "demo.h5ad"
        file.parent.mkdir(exist_ok=True)
        write_h5ad(file, simulate(config))
        os.utime(file, (60 * minutes, 60 * minutes))
        monkeypatch.setattr(catalogue, "_ASSETS", file.parent)
        app = open_page("quality_control")
        assert not app.exception
        shown = {metric.label: metric.value for metric in app.metric}
        numbers.append(int(shown["Cells that pass"]) + int(shown["Cells that fail"]))
    assert numbers == [700, 500]

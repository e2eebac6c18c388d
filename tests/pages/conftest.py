"""A small simulated screen with a quickly trained run, in the place of the shipped ones."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from cradle.data import catalogue
from cradle.data.sources import load
from cradle.files import write_h5ad
from cradle.fitting import fit
from cradle.simulation import SimulationConfig, simulate
from cradle.ui import library

PAGES = Path(__file__).resolve().parents[2] / "pages"
Open = Callable[..., AppTest]


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``demo.h5ad`` and ``runs/demo``."""
    folder = tmp_path_factory.mktemp("shipped")
    screen = simulate(SimulationConfig(n_cells=700, n_genes=260, n_perturbations=6, n_pairs=5))
    write_h5ad(folder / "demo.h5ad", screen)
    settings = {"latent": 4, "hidden": 16}
    known = {name: value for name, value in settings.items() if name in _settings()}
    fit(screen, "cradle_vae", known, out=folder / "runs" / "demo", epochs=2)
    return folder


def _settings() -> set[str]:
    from dataclasses import fields

    from cradle.models.config import VAEConfig

    return {field.name for field in fields(VAEConfig)}


@pytest.fixture
def demo(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The app finds the small screen and its run, and keeps nothing of the shipped ones, which
    tests of its parts may have read without it."""
    st.cache_resource.clear()
    st.cache_data.clear()
    monkeypatch.setattr(catalogue, "_ASSETS", shipped)
    monkeypatch.setattr(library, "SHIPPED_RUNS", shipped / "runs")
    yield shipped
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture(scope="session")
def _one_hot(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    screen = load(shipped / "demo.h5ad")
    runs = tmp_path_factory.mktemp("one_hot")
    settings = {"n_latent": 4, "n_hidden": 16}
    fit(screen, "svae_plus", settings, out=runs / "demo", epochs=2)
    return runs


@pytest.fixture
def one_hot(demo: Path, _one_hot: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of a model that has no artifact and to which unseen pairs are not applicable."""
    monkeypatch.setattr(library, "SHIPPED_RUNS", _one_hot)
    return _one_hot / "demo"


@pytest.fixture(scope="session")
def _further_runs(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SAMS-VAE and a baseline on the same cells and split, and a run with another split."""
    from cradle.data.sources import load

    folder = tmp_path_factory.mktemp("further")
    screen = load(shipped / "demo.h5ad")
    quick = {"n_latent": 4, "n_hidden": 16}
    fit(screen, "sams_vae", quick, out=folder / "sams", epochs=2)
    fit(screen, "additive", out=folder / "rule")
    fit(screen, "sams_vae", quick, out=folder / "elsewhere", epochs=1, split_seed=7)
    return folder


@pytest.fixture
def further_runs(demo: Path, _further_runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs ``sams``, ``rule`` and ``elsewhere`` beside ``demo``."""
    monkeypatch.setenv("CRADLE_RUNS_DIR", str(_further_runs))
    return _further_runs


@pytest.fixture
def no_run(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cells, and no trained model."""
    monkeypatch.setattr(library, "SHIPPED_RUNS", tmp_path / "none")
    return demo


@pytest.fixture
def no_cells(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose cells are not on this machine, as the shipped Norman run."""
    runs = tmp_path / "shipped_runs"
    copied = Path(shutil.copytree(demo / "runs" / "demo", runs / "norman_subset"))
    provenance = json.loads((copied / "provenance.json").read_text())
    provenance["data"] |= {"name": "norman_subset", "simulated": False}
    (copied / "provenance.json").write_text(json.dumps(provenance))
    monkeypatch.setattr(library, "SHIPPED_RUNS", runs)
    monkeypatch.setattr(catalogue, "_ASSETS", tmp_path / "nothing")
    return copied


@pytest.fixture
def broken(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose files are damaged."""
    runs = tmp_path / "broken_runs"
    copied = Path(shutil.copytree(demo / "runs" / "demo", runs / "demo"))
    for name in ("thresholds.json", "perturbations.csv", "split.csv.gz", "moments.safetensors"):
        (copied / name).write_bytes(b"")
    monkeypatch.setattr(library, "SHIPPED_RUNS", runs)
    return copied


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither cells nor runs."""
    monkeypatch.setattr(catalogue, "_ASSETS", tmp_path / "nothing")
    monkeypatch.setattr(library, "SHIPPED_RUNS", tmp_path / "none")


@pytest.fixture
def open_page() -> Open:
    """Run one page alone, as a new visitor with this link would see it."""

    def run(page: str, **link: str | list[str]) -> AppTest:
        app = AppTest.from_file(str(PAGES / f"{page}.py"), default_timeout=60)
        for name, value in link.items():
            app.query_params[name] = value
        return app.run()

    return run

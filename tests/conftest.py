"""What every test shares: real files, a clean environment, and the closing count of skips."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anndata import AnnData

ROOT = Path(__file__).resolve().parent.parent

# Read by numba, torch and matplotlib when they are first imported, so set before any of them.
# One thread per test process: results repeat, and two processes do not fight over two cores.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".cache" / "numba"))
os.environ.setdefault("MPLCONFIGDIR", str(ROOT / ".cache" / "matplotlib"))
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest  # noqa: E402

_DATA_DIR = os.environ.pop("CRADLE_DATA_DIR", None)
_ABSENT = "real data absent"


def _real_data_dirs() -> list[Path]:
    """Folders that may hold the real files, the user's own choice first."""
    chosen = [Path(_DATA_DIR)] if _DATA_DIR else []
    return [*chosen, ROOT.parent / "shared" / "data"]


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Path of a real file; the test is skipped, naming the file, where it is absent."""

    def find(name: str) -> Path:
        for folder in _real_data_dirs():
            if (folder / name).is_file():
                return folder / name
        pytest.skip(f"{_ABSENT}: {name}")

    return find


@pytest.fixture(scope="session")
def _small_screen() -> "AnnData":
    """One small simulated screen for the whole session; tests get copies of it."""
    from cradle.simulation import SimulationConfig, simulate

    return simulate(
        SimulationConfig(n_cells=900, n_genes=300, n_perturbations=6, n_pairs=5, n_batches=2)
    )


@pytest.fixture
def screen(_small_screen: "AnnData") -> "AnnData":
    """900 simulated cells × 300 genes in standard form: 6 single perturbations, 5 pairs, CSR."""
    return _small_screen.copy()


@pytest.fixture
def dense_screen(screen: "AnnData") -> "AnnData":
    """The cells of ``screen`` with X as a dense array."""
    screen.X = screen.X.toarray()
    return screen


@pytest.fixture(scope="session")
def screen_file(_small_screen: "AnnData", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``screen`` as an .h5ad file, to be read only."""
    path = tmp_path_factory.mktemp("screen") / "screen.h5ad"
    _small_screen.write_h5ad(path)
    return path


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where the tests were started to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the system's chromium; the test is skipped, saying so, where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("chromium is not installed")
    return path


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs, downloads and caches of a test stay in its own folder; no data folder is set."""
    monkeypatch.setenv("CRADLE_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CRADLE_DATA_DIR", raising=False)


@pytest.fixture(scope="session", autouse=True)
def _session_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same for fixtures that outlive one test."""
    folder = tmp_path_factory.mktemp("session")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRADLE_RUNS_DIR", str(folder / "runs"))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests did not run for want of real files, just above the final count."""
    skipped = terminalreporter.stats.get("skipped", [])
    absent = sum(_ABSENT in str(report.longrepr) for report in skipped)
    terminalreporter.write_line(f"{absent} tests skipped: {_ABSENT}")

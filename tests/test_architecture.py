"""Who may import whom, what a cheap start costs, and how long a file may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py"))]
OWN_FOLDERS = ("cradle", "pages", "benchmarks", "scripts", "tests")
HEAVY = {"torch", "pytorch_lightning", "scanpy", "anndata", "umap", "sklearn", "numba", "streamlit"}
# the core that pages reach through cradle.ui's caches, never by themselves at import
PAGES_MAY_NOT_IMPORT = {"torch", "pytorch_lightning", "scanpy", "umap", "sklearn", "numba"}
MAX_LINES = 300
CRASH = "benchmarks/crash/__main__.py"
INTERACTIONS = ("scripts/build_interactions.py",)


def sources(*folders: str) -> list[Path]:
    """Python files of these folders and of the root."""
    inside = [p for f in folders for p in sorted((ROOT / f).rglob("*.py"))]
    return [*sorted(ROOT.glob("*.py")), *inside]


def imports(path: Path, *, top_level: bool = False) -> Iterator[str]:
    """Full names of the imported modules; with ``top_level`` those outside functions only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def packages(path: Path, *, top_level: bool = False) -> set[str]:
    """First parts of the imported names."""
    return {name.split(".")[0] for name in imports(path, top_level=top_level)}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_app_and_pages_import_streamlit_and_the_light_core_only(page):
    assert not packages(page) & PAGES_MAY_NOT_IMPORT
    assert "pages" not in packages(page)
    assert not [name for name in imports(page) if name.startswith("cradle.cli")]


def test_streamlit_is_imported_by_the_app_the_pages_and_ui_alone():
    # the load script speaks the protocol of the server from outside
    outside = ROOT / "benchmarks" / "load.py"
    allowed = {*PAGES, *(ROOT / "cradle" / "ui").rglob("*.py"), outside}
    others = [p for p in sources("cradle", "pages", "benchmarks", "scripts") if p not in allowed]
    assert not [relative(p) for p in others if "streamlit" in packages(p)]


@pytest.mark.parametrize(
    ("module", "users"),
    [
        (
            "cradle.ui",
            (*PAGES, "cradle/ui", "scripts/build_maps.py", CRASH, *INTERACTIONS),
        ),
        ("cradle.cli", ("cradle/cli", "cradle/__main__.py", CRASH)),
    ],
)
def test_a_way_in_is_imported_by_itself_only(module, users):
    """What opens the app or the command line; nothing below may reach up to it."""
    others = [
        path
        for path in sources("cradle", "pages", "benchmarks", "scripts")
        if not any(path.is_relative_to(ROOT / user) for user in users)
    ]
    assert not [relative(p) for p in others if any(n.startswith(module) for n in imports(p))]


def test_nothing_imports_pages():
    assert not [relative(p) for p in sources(*OWN_FOLDERS) if {"pages", "app"} & packages(p)]


def test_import_contracts_hold():
    """The contracts of pyproject.toml, which name the directions inside ``cradle``."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "start",
    [
        "import cradle",
        "import cradle.cli.main as m; m.main(['--help'])",
        "import cradle.cli.main as m; m.main(['datasets'])",
    ],
)
def test_a_start_that_needs_no_heavy_library_loads_none(start):
    code = f"import sys; {start}; print(*sys.modules, sep='\\n', file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(done.stderr.splitlines())


def test_files_stay_short():
    lengths = {
        relative(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in sources("cradle", "pages", "benchmarks", "scripts")
    }
    assert {path: n for path, n in lengths.items() if n > MAX_LINES} == {}


def test_no_file_is_a_drawer_for_everything():
    drawers = {"utils", "helpers", "misc"}
    assert not [relative(p) for p in sources(*OWN_FOLDERS) if p.stem in drawers]


def test_requirements_are_pinned_exactly():
    lines = [
        line.split("#")[0].strip()
        for name in ("requirements.txt", "requirements-dev.txt")
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
    ]
    pins = dict(line.split("==") for line in lines if line)
    assert pins["torch"] == "2.13.0"
    assert tuple(map(int, pins["pynndescent"].split("."))) < (0, 7)
    assert pins["pytorch-lightning"] not in {"2.6.2", "2.6.3"}

"""Packages: exact, hashed, none that is known to be bad; and how the app is served."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: Never these: malicious releases, and what breaks scanpy's neighbours.
DENIED = {"pytorch-lightning": {"2.6.2", "2.6.3"}}
BELOW = {"pynndescent": "0.7"}
#: At least these: below lie known ways in through files, checkpoints, archives or requests.
FLOORS = {
    "torch": "2.6", "pyarrow": "14.0.1", "streamlit": "1.54", "tornado": "6.5", "pillow": "11.3",
    "urllib3": "2.6", "requests": "2.32.4", "protobuf": "6.31.1", "jinja2": "3.1.6",
    "aiohttp": "3.12.14", "gitpython": "3.1.41", "starlette": "0.49.1", "h11": "0.16",
    "filelock": "3.20.1", "fonttools": "4.60.2", "setuptools": "78.1.1",
}  # fmt: skip


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.split("+")[0]))


def locked(name: str) -> dict[str, tuple[str, int]]:
    """Package -> version and number of hashes, of a lock file."""
    blocks = re.split(r"\n(?=\S)", (ROOT / name).read_text(encoding="utf-8"))
    found = {}
    for block in blocks:
        if match := re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", block):
            hashes = re.findall(r"--hash=sha256:[0-9a-f]{64}", block)
            found[match[1].lower()] = (match[2], len(hashes))
    return found


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    stated = [line.split("#")[0].strip() for line in lines]
    return {k.lower(): v for k, v in (line.split("==") for line in stated if line)}


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_the_lock_holds_every_pin_with_hashes(name):
    lock = locked(f"{name}.lock")
    for package, pinned in pins(f"{name}.txt").items():
        assert lock[package][0] == pinned, f"{package}: run make lock"
    assert [package for package, (_, n_hashes) in lock.items() if n_hashes == 0] == []


def test_packages_with_compiled_code_have_a_file_for_each_platform():
    lock = locked("requirements.lock")
    for package in ("torch", "numpy", "scipy", "pandas", "h5py", "pyarrow", "numba", "numcodecs"):
        assert lock[package][1] >= 4, package


def test_the_tests_run_with_what_is_locked():
    installed = {d.name.lower(): d.version for d in importlib.metadata.distributions() if d.name}
    lock = locked("requirements.lock") | locked("requirements-dev.lock")
    other = {
        package: (wanted, installed[package])
        for package, (wanted, _) in lock.items()
        if package in installed and installed[package].split("+")[0] != wanted
    }
    assert other == {}


def test_no_package_is_denied_or_below_its_floor():
    for name in ("requirements.lock", "requirements-dev.lock"):
        for package, (found, _) in locked(name).items():
            assert found not in DENIED.get(package, ()), package
            if package in BELOW:
                assert version(found) < version(BELOW[package]), package
            if package in FLOORS:
                assert version(found) >= version(FLOORS[package]), (package, found)


def test_the_server_is_closed_to_others():
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    server = config["server"]
    assert server["address"] == "127.0.0.1"
    assert server["enableXsrfProtection"] is True
    assert server["enableCORS"] is True
    assert set(server["allowedHosts"]) == {"127.0.0.1", "localhost"}
    assert server["enableStaticServing"] is False
    assert server["enableAgentApi"] is False
    assert 0 < server["maxUploadSize"] <= 1024
    assert config["client"]["showErrorDetails"] == "none"
    assert config["client"]["showErrorLinks"] is False
    assert config["browser"]["gatherUsageStats"] is False
    assert config["runner"]["magicEnabled"] is False


def test_the_image_runs_as_an_ordinary_user_and_says_how_it_is():
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    user = re.findall(r"^USER (\S+)", lines, re.MULTILINE)
    assert user
    assert int(user[-1]) > 0
    assert lines.index("USER") < lines.index("CMD [")
    assert "HEALTHCHECK" in lines
    assert "--require-hashes" in lines
    assert "_stcore/health" in lines
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"


def test_checkpoints_and_pages_keep_away_from_what_runs_code():
    """No pickles, no ``eval``, no markup from data, anywhere in the package and its pages."""
    forbidden = re.compile(
        r"torch\.load\(|\bpickle\.|allow_pickle=True|load_from_checkpoint|unsafe_allow_html=True"
        r"|(?<![\w.])(eval|exec)\(|shell=True|yaml\.load\(|verify=False"
    )
    sources = [*(ROOT / "cradle").rglob("*.py"), *(ROOT / "pages").rglob("*.py"), ROOT / "app.py"]
    hits = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in sources
        if (match := forbidden.search(path.read_text(encoding="utf-8")))
    ]
    assert hits == []

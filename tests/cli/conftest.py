"""Commands run inside the test process, and one small run that they all look at."""

import contextlib
import io
import json
from dataclasses import dataclass
from typing import Any

import pytest

from cradle.cli.main import main

SMALL = ("--epochs", "3", "--set", "n_latent=6", "--set", "n_hidden=16")


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout; fails when anything else is there."""
        return json.loads(self.out, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def run_cli(*argv: object) -> Outcome:
    """Run a command and catch what it prints."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in argv])
    return Outcome(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def cli():
    """``cli("qc", path, "--json") -> Outcome``."""
    return run_cli


@pytest.fixture(scope="session")
def small():
    """Options that make a fit take a second."""
    return SMALL


@pytest.fixture(scope="session")
def refused():
    """Runs a command that must end with code 2 and one message, and nothing on stdout."""

    def run(*argv: object, says: str) -> Outcome:
        outcome = run_cli(*argv)
        assert outcome.code == 2, outcome.err
        assert outcome.out == ""
        assert "Traceback" not in outcome.err
        assert says in outcome.err
        return outcome

    return run


@pytest.fixture(scope="session")
def fitted(screen_file, tmp_path_factory):
    """What ``fit --json`` said about a small CRADLE-VAE of the small screen, and its folder."""
    folder = tmp_path_factory.mktemp("runs") / "cradle"
    outcome = run_cli("fit", screen_file, "--model", "cradle_vae", "--out", folder, *SMALL,
                      "--json")  # fmt: skip
    assert outcome.code == 0, outcome.err
    return outcome, folder


@pytest.fixture(scope="session")
def run_folder(fitted):
    """Folder of that run, to be read only."""
    return fitted[1]

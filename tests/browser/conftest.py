"""The app on a free port, and a tab that visits it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.browser.visitor import ARGUMENTS, CHROMIUM, ROOT, SIZES, Visitor, wait_for


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running app without data folder and without network settings."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("server")
    environment = {k: v for k, v in os.environ.items() if k != "CRADLE_DATA_DIR"}
    environment |= {"CRADLE_RUNS_DIR": str(folder), "XDG_CACHE_HOME": str(folder)}
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true",
               f"--server.port={port}"]  # fmt: skip
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            wait_for(f"http://127.0.0.1:{port}/_stcore/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)


@pytest.fixture(params=list(SIZES))
def visitor(request: pytest.FixtureRequest) -> Iterator[Visitor]:
    from playwright.sync_api import sync_playwright

    width, height = SIZES[request.param]
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": width, "height": height})
        yield Visitor(page, request.param)
        browser.close()

# make app   install, then serve the app on http://127.0.0.1:8501
# make test  install the test tools too, then check style, types, imports and run every test
# make lint | demo | bench | coverage | lock | clean

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := app

VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501
JOBS ?= 2
SUITABLE := import sys; sys.exit(sys.version_info < (3, 11))
ifndef PYTHON
PYTHON := $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c "$(SUITABLE)" 2>/dev/null && { echo $$p; break; }; done)
endif
# One package (annoy, which scrublet asks for) comes as source, so a compiler is needed.
HEADERS := import ensurepip, os, sys, sysconfig; \
	sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))

# Compiled numba code is kept, so that only the very first start pays for it.
export NUMBA_CACHE_DIR ?= $(CURDIR)/.cache/numba
export PIP_DISABLE_PIP_VERSION_CHECK := 1

AS_ROOT := [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null
APT_INSTALL := DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends

.PHONY: app test lint demo bench coverage browser lock clean

app: $(VENV)/.app
	$(BIN)/streamlit run app.py --server.headless true --server.port $(PORT)

test: lint browser
	$(BIN)/pytest -n $(JOBS) --dist loadfile

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Rebuilds what the app ships: the simulated screen and the trained runs under assets/.
demo: $(VENV)/.app
	$(BIN)/python -m scripts.build_demo

bench: $(VENV)/.app
	$(BIN)/python -m benchmarks step

coverage: $(VENV)/.test
	$(BIN)/pytest -n $(JOBS) --dist loadfile --cov --cov-report=term-missing:skip-covered

# The browser tests use the system's chromium; without it they are skipped by name.
browser:
	@command -v chromium >/dev/null || { $(AS_ROOT) && apt-get update -qq \
		&& $(APT_INSTALL) chromium >/dev/null; } \
		|| echo "chromium is not installed: the browser tests will be skipped." >&2

# Every package that the pins bring along, with version and hashes, for all platforms. Needs uv.
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" -q
lock:
	$(LOCK) requirements.txt -o requirements.lock
	$(LOCK) requirements-dev.txt -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed: install python3." >&2; exit 2; }
	@{ command -v g++ >/dev/null && $(PYTHON) -c '$(HEADERS)' 2>/dev/null; } \
		|| { $(AS_ROOT) && apt-get update -qq \
		&& $(APT_INSTALL) python3-venv python3-dev g++ >/dev/null; } \
		|| { echo "Needed: sudo apt-get install python3-venv python3-dev g++" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# The versions of the locks without their hashes, which the CPU build of torch does not share.
$(VENV)/versions.txt: requirements.lock requirements-dev.lock | $(BIN)/python
	sed -E '/^ +--hash/d; s/ *\\$$//' requirements.lock requirements-dev.lock | sort -u > $@

$(VENV)/.app: requirements.txt $(VENV)/versions.txt
	$(BIN)/pip install -q -r requirements.txt -c $(VENV)/versions.txt
	@touch $@

$(VENV)/.test: requirements-dev.txt $(VENV)/.app
	$(BIN)/pip install -q -r requirements-dev.txt -c $(VENV)/versions.txt
	@touch $@

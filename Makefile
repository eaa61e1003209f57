# `make demo` and `make test` set up everything they need; nothing else has to be installed but Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ORDERS ?=

.PHONY: setup demo node browser test test-full check docs bench features clean

setup: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "dotdo needs Python 3.11 or newer: make PYTHON=python3.11 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "making a virtual environment failed: install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/python -m examples.online_retail $(if $(ORDERS),--orders $(ORDERS))

# Node runs the official Cap'n Web client against the door; without it those tests are skipped
node:
	@command -v npm >/dev/null || apt-get install -y nodejs npm

# Chromium shows the dashboard to its tests; without it those tests are skipped, and say so
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || apt-get install -y --no-install-recommends chromium \
	  || { apt-get update && apt-get install -y --no-install-recommends chromium; } \
	  || echo "no Chromium: as root, apt-get install chromium; the tests of the dashboard's pages are skipped"

# What needs Ray goes first and by itself: its hosts import every module of tests that is loaded, and need only these.
RAY_TESTS = $(shell grep -rlE "ray_data|mark\.ray" tests --include='test_*.py')

test: $(STAMP) browser
	$(BIN)/python -m pytest -q -m ray $(FLAGS) $(RAY_TESTS)
	$(BIN)/python -m pytest -q -m "not ray" -n 2 --dist loadfile $(FLAGS)

# the counts of the promises: 20 kills of 1,000 events each, 10,000 waiters, 10,000 subscribers
test-full: $(STAMP)
	DOTDO_FULL=1 $(BIN)/python -m pytest -q tests/events

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# the documentation site, in site/; to read while writing: .venv/bin/mkdocs serve
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(STAMP)
	$(BIN)/python -m benchmarks

features: $(STAMP)
	$(BIN)/python -m tools.features

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

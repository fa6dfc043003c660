# `make up` brings the whole system up, `make test` runs all tests; both install what they need into .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
WORKERS ?= 2

.PHONY: up test test-full check bench docs system-packages clean

up: $(VENV)/installed-serving
	@exec $(BIN)/fastchat up $(if $(PORT),--port $(PORT)) $(ARGS)

test: $(VENV)/installed-tests system-packages
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not full" $(ARGS)

test-full: $(VENV)/installed-tests system-packages
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

check: $(VENV)/installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed-tests
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/installed-tests
	$(BIN)/python scripts/command_reference.py

system-packages:
	@scripts/system-packages

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "FastChat needs Python 3.11 or newer"'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade "pip>=25.1"

$(VENV)/installed-serving: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --constraint constraints.txt --editable ".[llamacpp,webui,leaderboard]"
	touch $@

$(VENV)/installed-tests: $(VENV)/installed-serving
	$(PIP) --constraint constraints.txt --editable ".[all]" --group test --group check
	touch $@

clean:
	rm -rf $(VENV) dist build

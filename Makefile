# Everything a contributor types. Each target makes what it needs, so that any of them works in a fresh clone.

VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# The first interpreter that really runs and is new enough; choose another with `make setup PYTHON=/path/to/python`.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$python" && break; done)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format docs bench results-check lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv from requirements.lock and install dcdp into it

$(STAMP): requirements.lock pyproject.toml
	@if [ -z "$(PYTHON)" ]; then \
		echo "error: dcdp needs Python 3.11 or later: found none as python3, python3.13, python3.12 or python3.11." >&2; \
		echo "Install one, or name it: make setup PYTHON=/path/to/python" >&2; exit 2; fi
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

demo: setup ## train on the built-in synthetic body, offline, and show what came out
	$(BIN)/dcdp demo

test: setup ## run every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

check: setup ## ruff and mypy
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

format: setup ## order imports and mend what ruff can mend
	$(BIN)/python -m ruff check --fix .

docs: setup ## run the examples of README, docs and docstrings
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest src tests/test_readme.py tests/test_docs.py

bench: setup ## measure speed, as ratios inside one run
	for script in benchmarks/bench_*.py; do OMP_NUM_THREADS=1 $(BIN)/python "$$script" || exit 1; done

results-check: setup ## run a small part of the published figures again and compare (DATA=folder of the archives)
	OMP_NUM_THREADS=1 $(BIN)/python studies/results_check.py $(if $(DATA),--data "$(DATA)")

lock: ## choose the newest versions that fit pyproject.toml and write requirements.lock
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --upgrade 'setuptools>=77'
	build/lock/bin/python -m pip install --quiet '.[dev,devices,peers,tune]'
	{ grep '^#' requirements.lock; \
	  build/lock/bin/python -m pip freeze --all --exclude pip --exclude dcdp \
	  | grep -vE '^(cuda|nvidia|triton)' | sed -E 's/\+[a-z0-9.]+$$//'; } > build/requirements.lock
	mv build/requirements.lock requirements.lock

clean: ## remove what was built; runs/ stays
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

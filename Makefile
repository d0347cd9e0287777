# The habits of this project, by name. `make demo` and `make test` need nothing done before them.
#
# Needs make, Python >= 3.11 with its venv module, and a package registry that pip reaches.

PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && { echo "$$python"; break; }; done)

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types bench docs clean lock
.DELETE_ON_ERROR:

help:
	@echo "make demo    install what runs need; curate the small corpus in mixtures/demo/"
	@echo "make test    install what development needs; run the tests"
	@echo "make setup   install both, run nothing"
	@echo "make lint    ruff: rules and format"
	@echo "make types   mypy, strict"
	@echo "make bench   run the benchmarks, write benchmarks/results/"
	@echo "make docs    refresh what the documentation takes from code and from the demo"
	@echo "make lock    resolve requirements.lock and requirements-dev.lock anew"
	@echo "make clean   remove outputs and caches, keep .venv"

# A stamp is newer than its lock as long as the lock is installed: a second call does nothing.

setup: .venv/.runtime .venv/.dev

$(BIN)/pip:
	@test -n "$(PYTHON)" || { \
		echo "make: no Python >= 3.11 with the modules venv and ensurepip is on the PATH."; \
		echo "Install one (Debian: apt install python3.11-venv), or name it: make PYTHON=/path/to/python3.11"; \
		exit 1; } >&2
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: PYTHON=$(PYTHON) is not a Python >= 3.11" >&2; exit 1; }
	"$(PYTHON)" -m venv .venv

.venv/.runtime: requirements.lock pyproject.toml | $(BIN)/pip
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-deps --no-build-isolation -e .
	$(BIN)/python -m filters.lid
	@touch $@

.venv/.dev: requirements-dev.lock pyproject.toml | $(BIN)/pip
	$(INSTALL) --require-hashes -r requirements-dev.lock
	$(INSTALL) --no-deps --no-build-isolation -e .
	$(BIN)/python -m filters.lid
	@touch $@

demo: .venv/.runtime
	$(BIN)/bibim run mixtures/demo.yaml --out out/demo
	$(BIN)/bibim audit out/demo
	@echo
	@echo "The mixture lies in out/demo/mixture; its table and what to try next stand above the funnel."

test: .venv/.dev
	$(BIN)/python -m pytest

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev
	$(BIN)/mypy

bench: .venv/.dev
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

docs: .venv/.runtime
	$(BIN)/python docs/refresh.py

# pip-compile comes into an environment of its own, so that it is no dependency of the project.
# setuptools and wheel are locked too: the project itself is installed without build isolation.

COMPILE := .venv/lock/bin/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header --no-annotate

lock: | $(BIN)/pip
	$(BIN)/python -m venv .venv/lock
	.venv/lock/bin/python -m pip install --quiet "pip-tools>=7.5"
	rm -f requirements.lock requirements-dev.lock
	printf 'setuptools>=77\nwheel\n' | $(COMPILE) -o requirements.lock pyproject.toml -
	printf 'setuptools>=77\nwheel\n' | $(COMPILE) --extra dev -c requirements.lock \
		-o requirements-dev.lock pyproject.toml -
	for file in requirements.lock requirements-dev.lock; do \
		printf '# For Linux x86_64 and Python 3.11. Regenerate with `make lock`.\n' \
		| cat - $$file > $$file.new && mv $$file.new $$file || exit 1; done

clean:
	rm -rf out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

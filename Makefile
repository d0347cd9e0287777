# The commands of this repository. Setting up needs Python 3.11 or later, make and a package registry: no
# root, no GPU, no other download. What is installed already is not installed again.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
# Compiling every module of every package takes minutes; what is imported is compiled then.
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --no-compile
MODEL := filters/models/lid.176.ftz
OUT ?= out/demo
SOURCE ?= out/source
TOKENIZER ?= out/ko-en-code/tokenizer
EXECUTORS ?= 2

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup torch dev dev-light demo test oracles oracles-sample lint types bench sbr docs lock clean \
	spark spark-up spark-down test-spark test-python install-size

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

# Tests, lint and types run with what is installed; where that is nothing, with everything.
TOOLS := $(or $(if $(wildcard $(VENV)/.dev),dev),$(if $(wildcard $(VENV)/.dev-light),dev-light),dev)
LIGHT := $(filter dev-light,$(TOOLS))

setup: $(VENV)/.runtime $(VENV)/.project $(MODEL) ## Install into .venv what a run needs
	$(BIN)/python -m pipelines.runners.precompile

dev: setup $(VENV)/.dev build/peers/.done ## Install what tests, lint and types need too

dev-light: setup $(VENV)/.dev-light ## Install what tests, lint and types need, without torch and peers

torch: setup $(VENV)/.torch ## Install torch (with CUDA), for models in torch and the trainer

demo: setup ## Curate the demo corpus into out/demo, from raw text to token shards
	$(BIN)/bibim run mixtures/demo.yaml --out $(OUT)

test: $(TOOLS) ## Run the tests; TESTS="tests/filters -k hangul" runs some of them
	$(BIN)/pytest $(or $(TESTS),--numprocesses=2 --dist=worksteal)

oracles: $(TOOLS) ## Compare the program with oracles of its docs, on thousands of random cases: about an hour
	BIBIM_ORACLES=full $(BIN)/pytest -n 2 --dist=worksteal tests/oracles

oracles-sample: $(TOOLS) ## The same on a sample: minutes
	BIBIM_ORACLES=sample $(BIN)/pytest -n 2 --dist=worksteal tests/oracles

spark: build/spark/job-server.jar build/spark/python/.done ## Install Spark and Beam's job server (Java, Maven)

spark-up: spark ## Start a Spark cluster on loopback; EXECUTORS=2 of one core each
	@$(BIN)/python -m pipelines.runners.spark.cluster up --cores $(EXECUTORS)

spark-down: ## Stop it
	@$(BIN)/python -m pipelines.runners.spark.cluster down

test-spark: dev ## Run a recipe on a Spark cluster, kill executors, compare; ONLY=bytes runs the first test
	@command -v java >/dev/null && command -v mvn >/dev/null || { \
		echo "test-spark: NOT RUN: Java 17 and Maven are not both on the PATH" >&2; exit 1; }
	@$(MAKE) --no-print-directory spark || { \
		echo "test-spark: NOT RUN: 'make spark' could not install what pipelines/runners/spark pins" >&2; exit 1; }
	BIBIM_TEST_SPARK=1 $(BIN)/pytest -n 0 tests/spark $(if $(ONLY),-k "$(ONLY)")

test-python: ## Install the default into a fresh venv of PYTHON, run a part of the tests there
	@sh tests/python_version.sh "$(PYTHON)"

install-size: ## Measure an install: seconds, MB fetched, MB on disk; EXTRA=dev-light, torch or dev
	@sh docs/install_size.sh "$(PYTHON)" $(EXTRA)

lint: $(TOOLS) ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(TOOLS) ## Check types, strictly
	$(BIN)/mypy $(if $(LIGHT),$(foreach one,schemas filters mixtures pipelines audit,-p $(one)) \
		--disable-error-code import-not-found --allow-subclassing-any --no-warn-unused-ignores)
	@$(if $(LIGHT),echo "NOT CHECKED: trainer and calls of torch: 'make dev' installs torch",:)

bench: dev ## Run the benchmarks that need no peer; benchmarks/README.md says what each measures
	@for act in end_to_end.py "signals.py speed" "signals.py growth" "dedup.py throughput" \
		"dedup.py recall" "dedup.py decontaminate" "mix.py mix --tokens 100M" "pii.py speed" \
		screen.py; do echo "== $$act"; $(BIN)/python benchmarks/$$act || exit 1; done

sbr: dev ## Compare SBR with other methods, write docs/sbr.md; SOURCE=checkpoint TOKENIZER=folder JOBS=2
	@test -e "$(SOURCE)" || { echo "$(SOURCE): not a checkpoint; run make sbr SOURCE=... TOKENIZER=..., \
	with the output of bibim train pretrain" >&2; exit 1; }
	@for act in digits control text cost sweep analysis page; do echo "== $$act"; \
		$(BIN)/python benchmarks/sbr.py $$act --source "$(SOURCE)" --tokenizer "$(TOKENIZER)" \
		--jobs $(or $(JOBS),1) || exit 1; done

docs: dev ## Write docs/config.md, its JSON schema and the outputs in the README
	$(BIN)/python docs/refresh.py

lock: ## Pin every dependency with its hashes (Linux x86_64, Python 3.11 to 3.13)
	sh docs/lock.sh "$(PYTHON)"

clean: ## Remove outputs and caches; .venv stays
	rm -rf out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find bibim schemas filters mixtures pipelines trainer audit tests benchmarks docs \
		-name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python 3.11 or later is on the PATH; install one, or run make PYTHON=/path/to/python" >&2; \
		exit 1; \
	fi
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "$(PYTHON) is not Python 3.11 or later; run make PYTHON=/path/to/python" >&2; \
		exit 1; }
	@# A distribution may leave ensurepip out (Debian without python3-venv): use its pip then.
	"$(PYTHON)" -m venv $(VENV) || { \
		"$(PYTHON)" -m venv --clear --without-pip $(VENV) && \
		"$(PYTHON)" -m pip --python $(BIN)/python install pip; } || { \
		echo "$(PYTHON) has neither ensurepip nor pip; install python3-venv or another Python" >&2; \
		rm -rf $(VENV); exit 1; }
	@touch $@

$(VENV)/.runtime: requirements.lock requirements-pip.lock $(VENV)/.python
	$(INSTALL) --quiet --require-hashes -r requirements-pip.lock
	$(INSTALL) --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.dev-light: requirements-dev-light.lock $(VENV)/.runtime
	$(INSTALL) --require-hashes -r requirements-dev-light.lock
	@touch $@

$(VENV)/.torch: requirements-torch.lock $(VENV)/.runtime
	$(INSTALL) --require-hashes -r requirements-torch.lock
	@touch $@

build/peers/.done: tests/peers.lock $(VENV)/.dev
	$(INSTALL) --quiet --upgrade --no-deps --no-build-isolation --require-hashes \
		--target build/peers -r tests/peers.lock
	@touch $@

# One jar of Beam's Spark runner, every part of it checked against pipelines/runners/spark/jars.sha256.
build/spark/job-server.jar: build/spark/jars/.done pipelines/runners/spark/jars.sha256 | $(VENV)/.project
	$(BIN)/python -m pipelines.runners.spark.install build/spark

build/spark/jars/.done: pipelines/runners/spark/pom.xml
	mvn --quiet --batch-mode --file pipelines/runners/spark/pom.xml \
		org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory=$(CURDIR)/build/spark/jars
	@touch $@

build/spark/python/.done: pipelines/runners/spark/pyspark.lock | $(VENV)/.runtime
	$(INSTALL) --quiet --upgrade --no-deps --no-build-isolation --require-hashes \
		--target build/spark/python -r pipelines/runners/spark/pyspark.lock
	@touch $@

# The build backend comes with the lock, so nothing outside it is fetched.
$(VENV)/.project: pyproject.toml $(VENV)/.runtime
	$(INSTALL) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(MODEL): | $(VENV)/.runtime
	$(BIN)/python -m filters.language.lid

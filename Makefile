# The same commands for people and for CI. Needs Python 3.11 or newer with pip, and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
BESIDE := -n 2 --dist loadfile# two test processes, each with servers of its own; what kills processes runs alone
READY := $(VENV)/.ready

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: $(READY) ## Set up, then run the invoice reminder on an embedded Temporal server, end to end
	@$(BIN)/python -m examples.invoice_reminder

.PHONY: dev
dev: $(READY) ## Serve: embedded Temporal server and worker, until interrupted
	@$(BIN)/orchestrator dev

.PHONY: test
test: $(READY) ## Run the tests that are quick, on real Temporal servers too
	$(BIN)/pytest -q $(BESIDE) -m "not slow and not chaos and not postgresql"

.PHONY: test-slow
test-slow: $(READY) ## Run the slow tests, those that kill processes, and those on PostgreSQL
	$(BIN)/pytest -q $(BESIDE) -m "(slow or postgresql) and not chaos"
	$(BIN)/pytest -q -m chaos

.PHONY: test-all
test-all: test test-slow ## Run every test, killing processes too

.PHONY: lint
lint: $(READY) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: bench
bench: $(READY) ## Measure
	$(BIN)/python -m benchmarks

define resolve
echo 'setuptools>=77' | $(VENV)-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --no-emit-index-url $(1) pyproject.toml - --output-file $(2)
endef

.PHONY: lock
lock: ## Resolve both lock files again from pyproject.toml: for development, and for the production image
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	$(call resolve,--extra dev,requirements.lock)
	$(call resolve,--extra postgresql --extra tracing,requirements-production.lock)
	rm -rf $(VENV)-lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

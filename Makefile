# The same commands for people and for CI. They need Python 3.11 or newer with pip, and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PARALLEL := -n 3 --dist loadfile# three test processes, each with its own servers; tests that kill processes run alone
PURE := not (temporal or browser or process or thorough or postgresql or chaos or slow)
READY := $(VENV)/.ready
S3_SERVER := $(VENV)/s3-server# what it needs does not go with what we need

# Many tests start commands as processes: compiled once, each starts half a second sooner. Images of Python disable it.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: $(READY) ## Set up, then run the invoice reminder on an embedded Temporal server, end to end
	@$(BIN)/python -m examples.invoice_reminder

.PHONY: dev
dev: $(READY) ## Serve with an embedded Temporal server, until interrupted
	@$(BIN)/orchestrator dev

.PHONY: test-fast
test-fast: $(READY) ## Run the pure tests: no server, no subprocess, seconds
	$(BIN)/pytest -q -n 2 -m "$(PURE)"

.PHONY: test
test: $(READY) ## Run all but the slow tests, on real Temporal servers too
	$(BIN)/pytest -q $(PARALLEL) -m "not slow and not chaos and not postgresql"

.PHONY: test-slow
test-slow: $(READY) $(S3_SERVER)/.ready ## Run slow tests, those on PostgreSQL and S3, and those that kill processes
	$(BIN)/pytest -q $(PARALLEL) -m "(slow or postgresql) and not (chaos or long)"
	$(BIN)/pytest -q -m chaos

.PHONY: test-long
test-long: $(READY) ## Run the longest tests, which CI leaves out
	$(BIN)/pytest -q $(PARALLEL) -m long

.PHONY: test-chaos
test-chaos: $(READY) ## Kill processes at random moments while runs are operated, 200 times, and given 1,000 events
	CHAOS_ROUNDS=$${CHAOS_ROUNDS:-200} CHAOS_EVENTS=$${CHAOS_EVENTS:-1000} $(BIN)/pytest -q -s \
		tests/chaos/test_operator_actions.py tests/chaos/test_addressed_events.py

.PHONY: test-all
test-all: test test-slow test-long ## Run every test

.PHONY: lint
lint: $(READY) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: console
console: console/node_modules ## Check and bundle the web console into api/static (needs Node)
	@cd console && npm run --silent check && npm run --silent lint && npm run --silent build

console/node_modules: console/package.json console/package-lock.json
	@cd console && npm ci --silent --no-audit --no-fund
	@touch $@

.PHONY: bench
bench: $(READY) ## Measure the engine beside hand-written workflows
	$(BIN)/python -m benchmarks

.PHONY: bench-quick
bench-quick: $(READY) ## Run each measurement a few times: fails where a result is wrong, never on times
	$(BIN)/python -m benchmarks --quick

define resolve
echo 'setuptools>=77' | $(VENV)-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --no-emit-index-url $(1) --output-file $(2)
endef

.PHONY: lock
lock: ## Resolve the lock files (development, production image, S3 server of tests) from pyproject.toml
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	$(call resolve,--extra dev pyproject.toml -,requirements.lock)
	$(call resolve,--extra postgresql --extra s3 --extra tracing pyproject.toml -,requirements-production.lock)
	$(call resolve,--group s3-server,requirements-s3-server.lock)
	rm -rf $(VENV)-lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is required; choose one with: make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(S3_SERVER)/.ready: requirements-s3-server.lock $(READY)
	@test -x $(S3_SERVER)/bin/python || $(PYTHON) -m venv $(S3_SERVER)
	@echo "Installing into $(S3_SERVER) ..."
	@$(S3_SERVER)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements-s3-server.lock
	@touch $@

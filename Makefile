# `make` lists what can be made. Everything is installed into .venv and nowhere else.
.DEFAULT_GOAL := help
.SUFFIXES:

BIN := .venv/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
# What exists of the trees that are checked (some are added as the project grows).
CODE := $(wildcard src tests tools benchmarks chaos examples)
TYPED := $(wildcard src tests tools benchmarks chaos examples)
# The tests wait more than they compute. ARGS="-n 0" runs them in one process.
PARALLEL := --numprocesses=auto --dist=worksteal
CHECKS := check-style check-format check-types check-imports check-sizes check-docs

.PHONY: help
help: ## list the targets
	@awk -F ': .*## ' '/^[a-z]+: .*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: .venv/stamp-base ## see ropeway work: a broker, a worker and some jobs, in one command
	@$(BIN)/ropeway demo

.PHONY: test
test: .venv/stamp-dev servers ## run all tests (ARGS="-k lease -x" goes to pytest)
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

.PHONY: servers
servers:
	@sh tools/get_rabbitmq.sh
	@sh tools/get_chromium.sh
	@sh tools/get_axe.sh

.PHONY: check
check: $(CHECKS) ## style, types, import direction, sizes, documentation

.PHONY: bench
bench: .venv/stamp-dev ## measure throughput and latency (ARGS goes to the benchmarks)
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: torture
torture: .venv/stamp-dev ## kill workers and cut the power, and see that nothing is lost (root; ARGS)
	@$(BIN)/python -m chaos torture $(ARGS)

.PHONY: docs
docs: .venv/stamp-docs ## build the documentation into site/; a dead link is an error
	@$(BIN)/zensical build --clean --strict

.PHONY: clean
clean: ## remove everything that make has made
	rm -rf .venv .cache site dist build .coverage .coverage.* .hypothesis .import_linter_cache \
	    .mypy_cache .pytest_cache .ruff_cache
	find $(CODE) -name __pycache__ -type d -exec rm -rf {} +

# --- the parts of check -------------------------------------------------------------------------

.PHONY: $(CHECKS)
check-style: .venv/stamp-dev
	@$(BIN)/ruff check --quiet $(CODE)

check-format: .venv/stamp-dev
	@$(BIN)/ruff format --quiet --check $(CODE) || \
	    { echo "not formatted; type: $(BIN)/ruff format $(CODE)" >&2; exit 1; }

check-types: .venv/stamp-dev
	@$(BIN)/mypy $(TYPED)
	@test -d tests/types || { echo "tests/types is missing" >&2; exit 1; }
	@$(BIN)/pyright --pythonpath $(BIN)/python

check-imports: .venv/stamp-dev
	@$(BIN)/lint-imports --no-logo

check-sizes: .venv/stamp-dev
	@$(BIN)/python tools/check_sizes.py

check-docs: .venv/stamp-dev
	@$(BIN)/python -m pytest --quiet $(PARALLEL) tests/docs

# --- the environment: a stamp for each set of packages, stale when pyproject.toml changes -------

.venv/stamp-base: pyproject.toml
	@PYTHON="$(PYTHON)" sh tools/make_venv.sh
	@echo "installing ropeway into .venv ..."
	@$(PIP) --editable .
	@touch $@

.venv/stamp-dev: .venv/stamp-base
	@echo "installing the tools for tests and checks into .venv ..."
	@$(PIP) --editable '.[dev]'
	@touch $@

.venv/stamp-docs: .venv/stamp-base
	@echo "installing the documentation tools into .venv ..."
	@$(PIP) --editable '.[docs]'
	@touch $@

# `make help` lists what there is. Nothing here needs more than Python 3.11 and its venv module; uv, where it is
# there, makes the first run faster.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
SEEDS ?= 1
BIN := $(VENV)/bin
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo up down status test check crowds fuzz format bench bench-large chaos clean

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.runs ## Start everything, order a charger by REST, watch a CSMS accept it, stop again
	@$(BIN)/gateway demo $(ARGS)

up: $(VENV)/.runs ## Run the gateway here until Ctrl-C; ARGS="--free-ports" and other options go through
	@$(BIN)/gateway up $(ARGS)

down: $(VENV)/.runs ## Stop the gateway that `make up` runs
	@$(BIN)/gateway down $(ARGS)

status: $(VENV)/.runs ## Show on one screen what runs
	@$(BIN)/gateway status $(ARGS)

test: check $(VENV)/.peers ## Check, then run every test that this machine can
	@$(BIN)/python -m tests.suites $(ARGS)

check: $(VENV)/.tests ## Lint, types, and which package may import which
	$(BIN)/ruff check
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

crowds: $(VENV)/.tests ## The tests of crowds with 1,000 chargers each: a bulk order under fire, a fan-out, a wait; 15 min
	@GATEWAY_TEST_CROWD=1000 $(BIN)/pytest -v --durations=0 --timeout 900 tests/e2e/test_bulk_job.py tests/e2e/test_sdk_fan_out.py \
	    tests/e2e/test_crowd.py $(ARGS)

fuzz: $(VENV)/.tests ## Random lives of chargers and random frames, ten times as many as `make test`
	@FUZZ_EXAMPLES=100000 $(BIN)/pytest -n auto --timeout 3600 tests/unit/behaviour tests/unit/simulator/test_framing.py $(ARGS)

format: $(VENV)/.tests ## Format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(VENV)/.tests ## Measure against floors on the same servers; prints a report
	@$(BIN)/python -m bench $(ARGS)

bench-large: $(VENV)/.tests ## Ask an API with 100,000 chargers and 10 million frames; ARGS=--quick for less
	@$(BIN)/python -m bench.large $(ARGS)

chaos: $(VENV)/.tests ## Orders under fire, 1,000 a seed, under 15 min each; SEEDS=3 for more
	@$(BIN)/python -m tests.chaos.harness --seeds $(SEEDS) $(ARGS)

clean: ## Remove the virtual environment and every cache; data of gateways is kept
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache tests/peers/node_modules

# -- installing: a stamp per purpose, newer than what it was made from

# A comma would end an argument of `call`.
WITH_TESTS := .[test,lint]

# $(1): what to install.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { echo "Python 3.11 or newer is needed; say which one with PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing $(1) into $(VENV) (once) ..."
	@uv --version >/dev/null 2>&1 \
	    && uv venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" $(VENV) \
	    && uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '$(1)' \
	    || { $(PYTHON) -m venv $(VENV) \
	        && $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	            --constraint constraints.txt --editable '$(1)'; }
endef

$(VENV)/.runs: pyproject.toml constraints.txt
	$(call install,.[docker])
	@touch $@

$(VENV)/.tests: pyproject.toml constraints.txt
	$(call install,$(WITH_TESTS))
	@touch $@ $(VENV)/.runs

# A CSMS that others wrote, for tests; without Node those tests are not run, and the end of `make test` says so.
$(VENV)/.peers: tests/peers/package.json $(VENV)/.tests
	@if command -v npm >/dev/null 2>&1; then \
	    cd tests/peers && npm install --silent --no-package-lock --no-audit --no-fund; \
	fi
	@touch $@

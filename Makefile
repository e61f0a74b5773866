# One command each; everything below creates the environment first. Needs Python 3.11 to 3.13 with venv, and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete

.PHONY: help env demo test ui lint check format prove bench clean

help: ## What each command does
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

env: $(STAMP) ## Only the environment, from the hash-pinned lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "$(PYTHON) is not Python 3.11 to 3.13; try: make env PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/desk compile
	@touch $@

demo: env ## Two years on real prices, from bars to the report
	@$(BIN)/desk demo

ui: env ## The Dagster UI on http://127.0.0.1:3000
	@$(BIN)/desk ui

# Thousands of tests write small synced files: memory is used where there are at least 6 GB of it for files.
ROOMY := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 6000000 { print "/dev/shm" }')

test: env ## The whole test suite
	$(if $(ROOMY),TMPDIR=$(ROOMY) )$(BIN)/pytest -n 4 --dist loadfile

lint: env ## Format, lint, strict types, layers, skills
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo
	$(BIN)/desk skills --check

check: lint test ## Everything that must be green before a commit

format: env ## Formats the code and sorts imports
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

prove: env ## Real kills at every step of an order, on files and on PostgreSQL; takes a while
	@$(BIN)/python -m bench.prove --json

bench: env ## All benchmarks, one JSON line each
	@for name in imports backtest backfill storage lake ledger bus costs reasoner cycle narratives features watchlist pairs simulation gateway watchdog evaluation experiments slot_latency rehearsal; do $(BIN)/python -m bench.$$name --json || exit 1; done

clean: ## Removes the environment; .desk stays
	rm -rf $(VENV)

# The two commands are `make run` and `make test`; both begin with `make install`. `make help` lists the rest.

SHELL := /bin/bash
BIN := .venv/bin
CONFIG ?= deploy/demo.yaml
.DEFAULT_GOAL := help
.NOTPARALLEL:
# What Python and pytest compiled is kept, also where the shell says otherwise: without it each run takes twice as long.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help install run test quick journeys lint format bench lock clean

help: ## say what can be made
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/make \1|\2/p' Makefile | column -t -s '|'

install: ## set up ./.venv: Python, locked dependencies, the gateway itself (EXTRAS=pdf: with WeasyPrint; EXTRAS=: without)
	@deploy/bin/install

run: install ## start the demo gateway (CONFIG=deploy/demo.yaml); Ctrl-C ends it
	@exec deploy/bin/foreground $(BIN)/appliance run --config $(CONFIG)

test: lint ## everything: lint, types, import contracts, quick suite, journeys
	@deploy/bin/system-packages
	@EXTRAS=pdf deploy/bin/install
	$(BIN)/pytest -m "not slow" -n auto --hypothesis-profile=thorough
	$(BIN)/pytest -m slow --ignore=tests/journeys -n auto --hypothesis-profile=thorough
	$(BIN)/pytest -m slow tests/journeys --hypothesis-profile=thorough

quick: install ## the reflex: the quick suite alone, some 25 seconds on two cores
	$(BIN)/pytest -m "not slow" -n auto --durations=5

journeys: install ## the slow tests alone: real processes, real browsers
	@deploy/bin/system-packages
	@EXTRAS=pdf deploy/bin/install
	$(BIN)/pytest -m slow --ignore=tests/journeys -n auto
	$(BIN)/pytest -m slow tests/journeys

lint: install ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy appliance tests
	$(BIN)/lint-imports --no-logo

format: install ## let ruff put the code into its form
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: install ## measure: every tests/bench/bench_*.py in turn
	@deploy/bin/system-packages bench
	@failed=; for bench in tests/bench/bench_*.py; do \
	  echo "== $$bench"; $(BIN)/python "$$bench" || failed="$$failed $$bench"; done; \
	  [ -z "$$failed" ] || { echo "not measured:$$failed" >&2; exit 1; }

lock: install ## write requirements.lock and deploy/pdf.lock anew from pyproject.toml (UPGRADE=1: with the newest versions)
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.12 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet \
	  $(if $(UPGRADE),--upgrade) --output-file requirements.lock
	@UPGRADE=$(UPGRADE) deploy/bin/lock-extra pdf

clean: ## remove what was made: ./.venv, caches and ./var
	rm -rf .venv var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find appliance tests -name __pycache__ -type d -prune -exec rm -rf {} +

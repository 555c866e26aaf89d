# What one does with a checkout. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help test tests lint format pythons packages coverage mutants run bench bench-quick churn soak faults deb test-deb dist clean

VENV := .venv
BIN := $(VENV)/bin
# what stands in a venv is installed anew when this changes
SETUP := pyproject.toml .ci/venv .ci/python

CONFIG ?= configs/native.lua
DEMO ?= /tmp/lsyncd-demo
WORKERS ?= 2
PYTEST ?= $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup
SEEDS ?= 2000
SOAK ?= 3600
MUTANTS ?= 200
SEED ?= 1

help:
	@echo 'make run            start the daemon in the foreground on an example (CONFIG=FILE: on another config)'
	@echo 'make test           lint, all tests, unit tests on the oldest and the newest Python, too'
	@echo 'make tests          the tests alone (ARGS="tests/unit -k queue")'
	@echo 'make lint, format   ruff and mypy · put the sources into form'
	@echo 'make coverage       which lines of the core no unit or property test runs; fails below 85 %'
	@echo 'make mutants        MUTANTS=$(MUTANTS) random small faults in the core (0: all): how many do fast tests not notice?'
	@echo 'make bench          measure beside the real lsyncd · make bench-quick: in three minutes'
	@echo 'make churn          random changes against a running daemon, SEEDS=$(SEEDS) for each action (ARGS="-k rsync")'
	@echo 'make soak           an hour of churn, looking for leaks'
	@echo 'make faults         do all faults to the real lsyncd and to ours, write tests/differential/FAULTS.md'
	@echo 'make deb            a Debian package, into dist/ · make test-deb: prove it in a fresh Debian root (as root)'
	@echo 'make dist           wheel and source package, into dist/'
	@echo 'make clean          remove what the above made'

# ---- setting up

$(VENV)/.run: $(SETUP)
	@.ci/venv $(VENV) "$$(.ci/python)"
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@.ci/venv $(VENV) "$$(.ci/python)" test lint
	@touch $@

# the programs that the tests run against
packages:
	@.ci/packages

# ---- checking

# All of it runs, whatever fails first: one look shows everything.
test: $(VENV)/.dev packages
	@failed=; for part in lint tests pythons; do $(MAKE) $$part || failed+=" $$part"; done; \
	if [ -n "$$failed" ]; then echo "make test: failed:$$failed" >&2; exit 1; fi

tests: $(VENV)/.dev
	$(PYTEST) $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

pythons: $(VENV)/.dev
	@.ci/pythons $(BIN)/python -n $(WORKERS) --dist loadgroup

coverage: $(VENV)/.dev
	$(PYTEST) --cov=orchestrator --cov-report=term-missing:skip-covered --cov-fail-under=85 tests/unit tests/property $(ARGS)

$(VENV)/.mutants: $(VENV)/.dev
	@.ci/venv $(VENV) "$$(.ci/python)" test lint mutants
	@touch $@

mutants: $(VENV)/.mutants
	nice .ci/mutants $(BIN) $(MUTANTS) $(SEED) $(ARGS)

bench bench-quick: $(VENV)/.dev
	$(BIN)/python tests/bench $(if $(filter bench-quick,$@),--quick)

churn: $(VENV)/.dev packages
	CHURN_SEEDS=$(SEEDS) $(PYTEST) -m churn --timeout 0 $(ARGS)

soak: $(VENV)/.dev packages
	SOAK_SECONDS=$(SOAK) $(PYTEST) -m soak --timeout 0 -rP

faults: $(VENV)/.dev packages
	PYTHONPATH=.:plugins:tests $(BIN)/python -m differential.faults

# ---- running

run: $(VENV)/.run
	@! grep -qE 'default\.(rsync|rsyncssh|direct)\>' '$(CONFIG)' || .ci/packages rsync
	@mkdir -p '$(DEMO)/source' '$(DEMO)/target'
	@echo 'Mirroring $(DEMO)/source to $(DEMO)/target as $(CONFIG) says. In another terminal:'
	@echo '    echo hello > $(DEMO)/source/hello; sleep 2; cat $(DEMO)/target/hello'
	@echo 'Ctrl-C ends it.'
	@DEMO='$(DEMO)' $(BIN)/lsyncd -nodaemon '$(CONFIG)' || { status=$$?; [ $$status -eq 130 ] || [ $$status -eq 143 ] || exit $$status; }

# ---- packaging

# the Debian package of what is committed, into dist/
deb:
	@contrib/debian/build

test-deb:
	@contrib/debian/test

dist: $(VENV)/.dev
	rm -rf build dist
	$(BIN)/python -m build
	@ls -l dist

clean:
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage mutants
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

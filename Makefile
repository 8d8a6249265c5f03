# Every target sets itself up: the packages are installed once, into .venv, and again only when their list changes.
# Inside `nix develop` the shell's own Python is used and nothing is installed.

PYTHON ?= python3
ARGUMENTS ?=
# Scripts of tests on booted machines, which run where no type checker does.
SCRIPTS := $(wildcard tests/nixos/*.py tests/nixos/emulated/*.py)
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

ifdef IN_NIX_SHELL
RUN := python3
BIN :=
READY :=
READY_ALPHA :=
export PYTHONPATH := $(CURDIR)
else
RUN := .venv/bin/python
BIN := .venv/bin/
# The name holds what was installed and where: a moved or updated checkout installs again, an untouched one needs no
# network.
INSTALLED := $(shell { cat pyproject.toml constraints.txt; echo '$(CURDIR)'; } | cksum | cut -d ' ' -f 1)
READY := .venv/.ready-$(INSTALLED)
READY_ALPHA := .venv/.alpha-$(INSTALLED)
endif

.PHONY: help install install-alpha demo demo-backtest exchange test test-alpha test-browser test-simulation test-nix test-systemd test-vm end-to-end coverage bench bench-short bench-flow bench-alpha bench-scale day soak soak-markets fuzz simulate mutations lint types format docs clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(READY) ## Install the packages into .venv (every other target does it by itself)

.venv/.ready-%:
	@command -v '$(PYTHON)' >/dev/null || { \
	  echo "hlhft: $(PYTHON) was not found: install the system packages python3 (3.11 or newer) and python3-venv, or name another with make PYTHON=…" >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "hlhft: $(PYTHON) is $$('$(PYTHON)' -V), and Python 3.11 or newer is needed: name one with make PYTHON=python3.11" >&2; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "hlhft: $(PYTHON) cannot make virtual environments: install the system package python3-venv" >&2; exit 1; }
	@echo "Installing the packages into .venv; this takes a minute, and only the first time."
	@rm -f .venv/.ready-* .venv/.alpha-*
	@.venv/bin/python -c 'import pip' 2>/dev/null || '$(PYTHON)' -m venv --clear .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input -c constraints.txt setuptools \
	  && .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-build-isolation \
	    -c constraints.txt -e '.[research,scale,dashboards,deploy,sops,dev]' \
	  || { echo "hlhft: the packages could not be installed, for the reason above; the first time needs the network, so run the same command again once it is there" >&2; exit 1; }
	@touch $@

install-alpha: $(READY_ALPHA) ## Install what trains and serves models too (two gigabytes; every target that needs it does it by itself)

.venv/.alpha-%: $(READY)
	@echo "Installing the packages for models into .venv; this takes some minutes, and only the first time."
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-build-isolation \
	    -c constraints.txt -e '.[research,scale,dashboards,deploy,sops,dev,alpha]' \
	  || { echo "hlhft: the packages for models could not be installed, for the reason above; the first time needs the network, so run the same command again once it is there" >&2; exit 1; }
	@touch $@

demo: $(READY) ## Rehearse live trading on this machine for a minute, and report it (ARGUMENTS='--seconds 0')
	@$(RUN) -m hlhft demo $(ARGUMENTS)

demo-backtest: $(READY) ## Backtest a two-sided quoter on the bundled recording, with a report in runs/demo-backtest
	@$(RUN) -m hlhft backtest --output runs/demo-backtest $(ARGUMENTS)

exchange: $(READY) ## Serve an exchange on this machine (ARGUMENTS='--coins BTC --speed 10')
	@$(RUN) -m hlhft exchange $(ARGUMENTS)

test: $(READY) ## Run the tests (ARGUMENTS='-k book' passes options on)
	@$(RUN) -m pytest --numprocesses=2 --dist=loadfile -m 'not processes and not alpha and not browser and not simulation and not nix and not systemd and not vm' $(ARGUMENTS)

test-nix: $(READY) ## Evaluate the NixOS modules and what they must refuse (HLHFT_NIX_CHECK names the evaluator)
	@$(RUN) -m pytest -m nix tests/nix $(ARGUMENTS)

test-systemd: $(READY) ## Boot the evaluated units under systemd and trade on them (root, mmdebstrap, systemd-container, HLHFT_NIX_CHECK)
	@$(RUN) -m pytest --numprocesses=2 --dist=loadfile -m systemd tests/nix tests/nixos $(ARGUMENTS)

test-vm: $(READY) ## Boot a Debian kernel under emulation with the evaluated host (root, mmdebstrap, e2fsprogs, gcc, HLHFT_NIX_CHECK)
	@$(RUN) -m pytest -m vm tests/nixos $(ARGUMENTS)

test-alpha: $(READY_ALPHA) ## Run the tests of models and policies: training, truth test, inference
	@$(RUN) -m pytest --numprocesses=2 --dist=loadfile -m alpha $(ARGUMENTS)

test-simulation: $(READY) ## Run the tests of the fault simulation, runs that broke once among them
	@$(RUN) -m pytest --numprocesses=2 --dist=load -m simulation $(ARGUMENTS)

test-browser: $(READY) ## Open the pages of reports in headless Chromium (Debian's chromium and chromium-driver)
	@$(RUN) -m pytest --numprocesses=2 --dist=load -m browser $(ARGUMENTS)

end-to-end: $(READY) ## Run the tests of whole processes: conformance, engines that trade and are killed
	@$(RUN) -m pytest --numprocesses=2 --dist=loadfile -m 'processes and not alpha' $(ARGUMENTS)

coverage: $(READY) ## Measure the branch coverage of each pure module from its own test file
	@$(RUN) tests/coverage_by_module.py $(ARGUMENTS)

bench: $(READY) ## Measure everything the README states, and write the figures to a file
	@$(RUN) tests/bench/run.py $(ARGUMENTS)

bench-short: $(READY) ## Measure just enough to notice that something became slow
	@$(RUN) tests/bench/run.py --short $(ARGUMENTS)

bench-flow: $(READY) ## Hold the synthetic order flow against recordings, and write the tables to a file
	@$(RUN) tests/bench/flow.py $(ARGUMENTS)

bench-scale: $(READY) ## Measure what spreading work over processes and machines costs and gains
	@$(RUN) tests/bench/scale.py $(ARGUMENTS)

bench-alpha: $(READY_ALPHA) ## Measure models, environment and inference, and write the figures to a file
	@$(RUN) tests/bench/alpha.py $(ARGUMENTS)

day: $(READY) ## Run a day of four coins through the exchange (ARGUMENTS='--hours 1')
	@$(RUN) tests/bench/day.py $(ARGUMENTS)

soak-markets: $(READY) ## Quote fifty markets with a real engine (ARGUMENTS='--minutes 30')
	@$(RUN) tests/bench/soak.py $(ARGUMENTS)

fuzz: $(READY) ## Throw a hundred thousand inputs at the exchange (ARGUMENTS='--inputs 1000000 --seed 2')
	@$(RUN) -m tests.exchange.fuzz_run --coverage $(ARGUMENTS)

simulate: $(READY) ## Run bad days in virtual time and prove that the promises hold (ARGUMENTS='--seeds 100 --hours 0.17')
	@$(RUN) -m hlhft simulate $(ARGUMENTS)

soak: $(READY) ## The same for as long as it is given, with a line of what ran in simulated.jsonl (ARGUMENTS='--seeds 1000')
	@$(RUN) -m hlhft simulate --tally simulated.jsonl $(ARGUMENTS)

mutations: $(READY) ## Take safeguards out one at a time, and see that the simulation notices each (ARGUMENTS='nonce-mark')
	@$(RUN) -m tests.simulation.mutations $(ARGUMENTS)

lint: $(READY) ## Check style and formatting
	@$(BIN)ruff check .
	@$(BIN)ruff format --check .

types: $(READY) ## Check the types
	@$(RUN) -m mypy
	@$(RUN) -m mypy --explicit-package-bases $(SCRIPTS)

format: $(READY) ## Format the code and mend what can be mended by itself
	@$(BIN)ruff check --fix .
	@$(BIN)ruff format .

docs: $(READY) ## Write the generated pages of docs/, dashboards and alerts again
	@$(RUN) -m tests.reference

clean: ## Remove everything that can be made again, .venv included; runs/ stays
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info .coverage .coverage.*
	@find hlhft tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

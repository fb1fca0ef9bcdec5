# ponte: `make run` from a fresh clone sets everything up and runs the fleet against the sandbox.
# With PONTE_CONFIG=my.toml, `make run` runs your own bridge.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PYTEST_ARGS ?=
# Two at a time fit two cores. A file's tests share what they start; the longest files begin first (tests/conftest.py).
PYTEST_PARALLEL ?= -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: setup run demo test lint format lock clean help

help:
	@echo "make setup   environment and dependencies, from the lock"
	@echo "make run     the fleet against the sandbox; PONTE_CONFIG=my.toml runs your own bridge; SANDBOX=real, a real CRM too;"
	@echo "            SANDBOX=ploomes-omie, the twins of Ploomes and Omie"
	@echo "make demo    the same, plays the cases, checks both systems, exits 0 or 1"
	@echo "make test    lint, then every test; PYTEST_ARGS='-k name' picks"
	@echo "make lint    ruff and mypy only"
	@echo "make lock    resolve requirements/*.in anew"
	@echo "make clean   remove environments and caches; var/ (your data) stays"

setup: $(STAMPS)/package

# A name on the PATH may be a shim that does not run: each candidate is tried, and must be able to make an environment.
$(STAMPS)/venv:
	@set -e; \
	for python in $(PYTHON) python3.12 python3.13 python3.11 python3.14 python3 python /usr/bin/python3 $$HOME/.pyenv/versions/3.1[1-9]*/bin/python; do \
	  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "ponte needs Python 3.11 or newer with venv, and none of python3.11 ... python3 on the PATH is." >&2; \
	  echo "Install it (Debian: apt-get install python3 python3-venv), or say where it is: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
	  exit 2; \
	fi; \
	echo "environment: $(VENV) with $$("$$found" --version 2>&1)"; \
	"$$found" -m venv $(VENV); \
	mkdir -p $(STAMPS); touch $@

$(STAMPS)/dependencies: requirements/dev.lock $(STAMPS)/venv
	@echo "dependencies: from requirements/dev.lock, hashes checked"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

$(STAMPS)/package: pyproject.toml requirements/runtime.in $(STAMPS)/dependencies
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

PAIR = $(if $(SANDBOX),--pair "$(SANDBOX)")
run: setup
	@exec $(BIN)/ponte run $(if $(PONTE_CONFIG),--config "$(PONTE_CONFIG)",--sandbox $(PAIR))

demo: setup
	@exec $(BIN)/ponte demo $(PAIR)

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

test: lint
	@exec $(BIN)/pytest $(PYTEST_PARALLEL) $(PYTEST_ARGS)

format: setup
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

# Neither index nor path enters a lock: whoever installs decides where from; the hashes decide what.
COMPILE = $(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
lock: setup
	@$(BIN)/python -m pip install --quiet pip-tools
	@$(COMPILE) -o requirements/runtime.lock requirements/runtime.in
	@$(COMPILE) -o requirements/dev.lock -c requirements/runtime.lock requirements/dev.in
	@$(COMPILE) -o requirements/clients.lock -c requirements/dev.lock requirements/clients.in

clean:
	rm -rf $(VENV) .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info

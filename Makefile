# Two commands: `make serve` runs the router, `make test` proves it. Both work from a bare checkout.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
HOST   ?= 127.0.0.1
PORT   ?= 8080
CONFIG ?= config/turnout.yaml
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all:

.PHONY: help setup serve test bench simulate live lock clean

help:
	@echo "make serve   run the router on http://$(HOST):$(PORT) (simulated upstreams while no provider key is set)"
	@echo "make test    format, lint, types, import layers and every test"
	@echo "make bench   CPU per request against a floor; PEERS=1 adds other gateways"
	@echo "make simulate  judge routing in virtual time against an oracle and other routers' published rules"
	@echo "make live    two minutes over real sockets beside LiteLLM: who returns to a target that is well again"
	@echo "make lock    resolve the dependencies again"

setup: $(VENV)/.runtime

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 1; }
	@echo "creating $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.created requirements.lock requirements-build.lock
	@echo "installing the locked dependencies (about half a minute) ..."
	@$(PIP) -r requirements.lock
	@$(PIP) -r requirements-build.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo "installing the locked development tools ..."
	@$(PIP) -r requirements-dev.lock
	@touch $@

serve: setup
	@exec $(BIN)/turnout serve --config $(CONFIG) --host $(HOST) --port $(PORT)

test: $(VENV)/.dev
	@echo "== format, lint"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@echo "== types"
	@$(BIN)/mypy
	@echo "== import layers"
	@$(BIN)/lint-imports --no-cache
	@echo "== client environments"
	@$(BIN)/python tests/clients/prepare.py
	@echo "== tests"
	@$(BIN)/python -m pytest -n auto --dist loadfile

bench: $(VENV)/.dev
	@$(BIN)/python tests/bench/run.py $(if $(PEERS),--peers)

simulate: setup
	@$(BIN)/turnout simulate

live: $(VENV)/.dev
	@$(BIN)/python tests/bench/live.py

# Needs uv on the PATH. Universal: one lock for every platform, each file with its hashes.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header
lock:
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) requirements-build.in -o requirements-build.lock
	$(LOCK) pyproject.toml --group dev -o requirements-dev.lock
	for client in openai-2 openai-3 agents s3; do $(LOCK) tests/clients/$$client.in -o tests/clients/$$client.lock; done
	for folder in node codex; do (cd tests/clients/$$folder && npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved=true); done

clean:
	rm -rf $(VENV) .venvs build dist .mypy_cache .ruff_cache .hypothesis .import_linter_cache

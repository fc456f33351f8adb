# Two commands matter: `make up` starts Hunter, `make test` checks it. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROOMS := dynamics web partner_center companies scanning scoring store sandbox

.PHONY: up test test-fast lint types lock bench audit clean

up: $(VENV)/.runtime
	@$(BIN)/hunter up

test: $(VENV)/.dev mini-ui/node_modules/.ready
	@.ci/system-packages chromium redis-server postgresql
	@$(MAKE) --no-print-directory lint types
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

test-fast: $(VENV)/.dev
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not slow" $(ROOMS:%=hunter_orchestration_tests/%)

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/lint-imports --no-cache > .lint-imports.log 2>&1 || { cat .lint-imports.log; exit 1; }

types: $(VENV)/.dev mini-ui/node_modules/.ready
	@$(BIN)/mypy
	@cd mini-ui && npm run --silent check

# Resolve the dependencies of pyproject.toml anew. The locks hold versions and hashes, no addresses.
lock:
	@uv pip compile -q pyproject.toml --universal --python-version 3.11 --upgrade --generate-hashes \
	  --no-strip-extras --no-emit-index-url --no-header --no-annotate -o requirements.lock
	@uv pip compile -q pyproject.toml --extra dev --extra celery --universal --python-version 3.11 --generate-hashes \
	  --no-strip-extras --no-emit-index-url --no-header --no-annotate -o requirements-dev.lock

audit: $(VENV)/.dev
	@$(BIN)/pip-audit -r requirements.lock --require-hashes

bench: $(VENV)/.dev
	@$(BIN)/python -m benchmarks

clean:
	@rm -rf $(VENV) mini-ui/node_modules .mypy_cache .ruff_cache .lint-imports.log

$(VENV)/bin/python:
	@.ci/system-packages python3-venv
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@test -e $(VENV)/.dev -a $(VENV)/.dev -nt requirements.lock -a $(VENV)/.dev -nt pyproject.toml || { \
	  echo "Installing Hunter into $(VENV)…"; \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . ; }
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing Hunter and its test tools into $(VENV)…"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

mini-ui/node_modules/.ready: mini-ui/package-lock.json
	@.ci/system-packages npm
	@cd mini-ui && npm ci --silent --no-audit --no-fund
	@touch $@

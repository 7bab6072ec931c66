# Each target sets up what it needs in .venv: with uv where it is installed, else with pip.
VENV   ?= .venv
HOST   ?= 127.0.0.1
PORT   ?= 3000
# Test processes: one per core, four at most, because each loads Dagster and the compiled kernels.
WORKERS ?= auto
ARCHIVE ?=
ARGS    ?=

BIN  := $(VENV)/bin
CODE := $(wildcard evaluator evaluator_assets sensors resources)

# Runs of `make run` show in the UI of `make dev`: both use this instance and these tables.
run dev: export DAGSTER_HOME = $(CURDIR)/dagster_home
run dev: export EVALUATOR_HOME ?= $(CURDIR)/data

.DEFAULT_GOAL := help
.PHONY: help run test test-slow dev lint bench clean setup lock

help:  ## this list
	@awk -F ':.*## *' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: setup  ## score wallets of the embedded venue; ARCHIVE=DIR takes a Parquet folder, ARGS=… more options
	@$(BIN)/evaluator run $(if $(ARCHIVE),--source archive --archive "$(ARCHIVE)") $(ARGS)

test: setup  ## the tests, without those that take minutes
	@$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 $(ARGS)

test-slow: setup  ## the tests that take minutes
	@$(BIN)/python -m pytest -m slow -n $(WORKERS) --maxprocesses 2 --dist worksteal $(ARGS) || [ $$? -eq 5 ]  # 5: no test is marked slow

dev: setup  ## the Dagster UI on loopback; HOST=… PORT=… to change it
	@$(BIN)/dagster dev --host $(HOST) --port $(PORT) $(ARGS)

lint: setup  ## style, format, types, import order, generated pages
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports
	@if [ -f docs/generate.py ]; then $(BIN)/python docs/generate.py --check; fi

bench: setup  ## the speed table of this machine
	@$(BIN)/python -m bench $(ARGS)

clean:  ## remove the environment and caches; data/ and run history stay
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock:  ## renew requirements.lock (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --upgrade \
	  --custom-compile-command 'make lock' --output-file requirements.lock

setup: $(VENV)/.project

# A stamp is younger than what it was made from: only a changed lock installs again.
$(VENV)/.project: pyproject.toml $(VENV)/.locked
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.locked: requirements.lock
	@$(MAKE_VENV)
	@echo "Installing requirements.lock into $(VENV) (once; some minutes on a slow line)"
	@$(INSTALL) --no-deps --require-hashes --requirement requirements.lock
	@touch $@

define INSTALL
if command -v uv >/dev/null; then set -- uv pip install --quiet --python $(BIN)/python; \
else set -- $(BIN)/python -m pip --disable-pip-version-check install --quiet; fi; "$$@"
endef

# The first interpreter that is new enough; PYTHON=… decides otherwise.
define MAKE_VENV
if [ -x $(BIN)/python ]; then exit 0; fi; \
for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; \
done; \
if [ -z "$$python" ]; then \
  echo "error: no Python 3.11 or newer on this machine" >&2; \
  echo "hint:  install one, or name it: make PYTHON=/path/to/python3" >&2; exit 2; \
fi; \
if command -v uv >/dev/null; then uv venv --quiet --no-python-downloads --python "$$python" $(VENV); \
elif ! "$$python" -m venv $(VENV); then rm -rf $(VENV); \
  echo "error: $$python cannot make a virtual environment: venv or ensurepip is missing" >&2; \
  echo "hint:  install it (Debian: apt-get install python3-venv), or install uv" >&2; exit 2; \
fi
endef

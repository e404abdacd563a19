# `make help` lists what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Nothing is installed from here: code is found where it stands.
export PYTHONPATH := functions/common:functions/order:functions/inventory:emulators/firestore:.
export ORDER_PORT INVENTORY_PORT EMULATOR_PORT

.DEFAULT_GOAL := help
.PHONY: help setup run test test-unit lint format lock clean

help: ## What this file can do
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(VENV)/.run ## Make .venv with what `make run` needs; nothing else changes
run: $(VENV)/.run ## Emulator, inventory and order on this machine, with a catalogue to try
	@exec $(BIN)/python -m local

test: $(VENV)/.dev ## Everything that needs no cluster
	$(BIN)/python -m pytest $(TESTS)

test-unit: $(VENV)/.dev ## Only what needs no process and no socket: seconds
	$(BIN)/python -m pytest tests/unit

lint: $(VENV)/.dev ## Style, types, and who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## Put the code into the style that `make lint` asks for
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# One lock for Python 3.11 and 3.13, without the address of any registry.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header
lock: $(VENV)/.dev ## Compile the requirements again (UPGRADE=--upgrade for newer versions)
	$(BIN)/$(COMPILE) $(UPGRADE) functions/requirements.in -o functions/requirements.txt
	$(BIN)/$(COMPILE) $(UPGRADE) -c functions/requirements.txt \
		emulators/firestore/requirements.in -o emulators/firestore/requirements.txt
	$(BIN)/$(COMPILE) $(UPGRADE) -c functions/requirements.txt \
		requirements-dev.in -o requirements-dev.txt

clean: ## Remove what make has made
	rm -rf $(VENV) .run .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
			"Name another: make PYTHON=python3.13 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) has no venv. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made functions/requirements.txt emulators/firestore/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes \
		-r functions/requirements.txt -r emulators/firestore/requirements.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

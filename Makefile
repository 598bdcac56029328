# Every target sets up its own environment in .venv; Python 3.11 or newer is all it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PARALLEL ?= auto
export OPEN

.DEFAULT_GOAL := help
.PHONY: help demo test check bench soak docs clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/base: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "flatfare needs Python 3.11 or newer; found $$($(PYTHON) --version). Set PYTHON=…"; exit 1; }
	@echo "Setting up $(VENV) …" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/test: $(VENV)/base
	@$(BIN)/python -m pip install --quiet --editable '.[actions,alerts,charts,invoices,tokens,verifiers,web]' --group test
	@touch $@

$(VENV)/check: $(VENV)/test
	@$(BIN)/python -m pip install --quiet --group check
	@touch $@

$(VENV)/charts: $(VENV)/base
	@$(BIN)/python -m pip install --quiet --editable '.[charts,web]'
	@touch $@

CHROMIUM := $(firstword $(shell command -v chromium chromium-browser google-chrome 2>/dev/null))

docs: $(VENV)/$(if $(CHROMIUM),test,base) ## Build the documents as a site: site/docs/index.html
	@$(BIN)/python -m pip install --quiet --group docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@$(if $(CHROMIUM),$(BIN)/python tools/write_pictures.py site/docs/pictures,echo "No Chromium here: the pictures are those of docs/pictures" >&2)
	@echo "site/docs/index.html"

demo: $(VENV)/$(if $(OPEN),charts,base) ## Load real public data into a temporary book and print cost per verified outcome
	@$(BIN)/flatfare demo $(if $(OPEN),--open)

test: $(VENV)/test ## Run the tests
	@$(BIN)/python -m pytest -n $(PARALLEL) --dist worksteal

check: $(VENV)/check ## Lint, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/test ## Measure, each figure beside its peer or limit
	@for script in bench/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

soak: $(VENV)/test ## The promises in full: minutes to hours
	@$(BIN)/python -m pytest -n $(PARALLEL) -m soak

clean: ## Remove the environment and what tools left
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

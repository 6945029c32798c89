# `make demo` and `make test` need Python 3.11 to 3.13, pip and make; all else is installed into .venv.
PYTHON ?= python3
PIP_ARGS ?=
PYTEST_ARGS ?=
ROUNDS ?=
RUN ?=

BIN := .venv/bin
DEMO := runs/demo

.DEFAULT_GOAL := help
.PHONY: help demo federation test test-fast test-flower audit lint format structure clean

help: ## Show the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=python3.12  interpreter that makes .venv"
	@echo "  PIP_ARGS=...       further arguments of pip install"

demo: .venv/.run ## Train across eight drawn people, privately, and make a video (ROUNDS=1: one round)
	@if [ -e $(DEMO) ]; then rm -rf $(DEMO).previous && mv $(DEMO) $(DEMO).previous && \
		echo "The last demo is now in $(DEMO).previous."; fi
	$(BIN)/python train.py --config configs/demo.yaml --out_dir $(DEMO) $(if $(ROUNDS),--federation.rounds $(ROUNDS))

federation: .venv/.flower ## Run the same between three devices over Flower, on loopback: TLS, keys, two rounds, a video
	$(BIN)/python -m deploy.loopback

test: .venv/.dev ## Run all tests but those that need Flower
	$(BIN)/python -m pytest -m "not flower" $(PYTEST_ARGS)

test-fast: .venv/.dev ## Run the quick tests, about a minute
	$(BIN)/python -m pytest -m "not slow and not flower" $(PYTEST_ARGS)

test-flower: .venv/.dev .venv/.flower ## Run the tests that need Flower: devices and SuperLinks that fail, TLS, what goes out
	$(BIN)/python -m pytest -m flower $(PYTEST_ARGS)

audit: .venv/.dev ## Run the privacy tests with every fuzzed case, then audit a run (RUN=runs/demo)
	PRIVFEDTALK_FUZZ=full $(BIN)/python -m pytest --timeout=7200 tests/federation/privacy tests/federation/secure_aggregation tests/federation/deployment/test_attempt.py $(PYTEST_ARGS)
	$(if $(RUN),$(BIN)/python -m federation.privacy.audit $(RUN))

lint: .venv/.dev ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/.dev ## Mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

structure: .venv/bin/python ## Write docs/structure.md, a line for every file
	@$(BIN)/python docs/structure.py > docs/structure.md.partial && mv docs/structure.md.partial docs/structure.md

clean: ## Remove the demo's run and people, and caches; other runs and .venv stay
	rm -rf $(DEMO) $(DEMO).previous data/demo .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 11) <= v < (3, 14) and f"Python 3.11, 3.12 or 3.13 is needed. Got {v[0]}.{v[1]}. Use make PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/.run: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install $(PIP_ARGS) -r requirements.txt
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.run
	$(BIN)/python -m pip install $(PIP_ARGS) -r requirements-dev.txt
	@touch $@

.venv/.flower: requirements-flower.txt .venv/.run
	$(BIN)/python -m pip install $(PIP_ARGS) -r requirements-flower.txt
	@touch $@

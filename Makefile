.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run demo-report demo-picture test test-all check format soak bench audit coverage schemas clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

$(BIN)/jarvis: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, this is $$($(PYTHON) --version): make PYTHON=python3.12 …"; exit 1; }
	@echo "installing into $(VENV) (once, a few seconds) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(BIN)/jarvis pyproject.toml
	@echo "installing what tests need …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(VENV)/.slow: $(VENV)/.dev
	@echo "installing what the longer tests need …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[ccxt,data,dev-postgres]'
	@touch $@

run: $(BIN)/jarvis ## Install and run everything: broker, worker, scheduler
	@exec $(BIN)/jarvis up

demo-report: $(BIN)/jarvis ## Write demo-report.html: the report of a simulated month
	@$(BIN)/jarvis demo --report demo-report.html

# Without a sandbox, because the page is ours, runs no script, and root has none.
demo-picture: demo-report ## Take README's picture of that report (Debian's chromium)
	@chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars --window-size=1100,1130 \
		--screenshot=docs/pictures/report.png demo-report.html 2>/dev/null

# Compiled once, not by each of the hundreds of processes that tests start, whatever the machine's own habit is.
test test-all: export PYTHONDONTWRITEBYTECODE =

# By itself each process of pytest would compile all of it, at the same time.
COMPILE := $(BIN)/python -m compileall -q -j 2 clients/python jarvis persistence scheduler workers

# Three, because tests that wait for a process to start, stop or come back leave a core to the others.
test: $(VENV)/.dev ## Install what tests need and run them (4 minutes on 2 cores)
	@$(COMPILE)
	$(BIN)/pytest -n 3 --dist worksteal -m "not slow"

test-all: $(VENV)/.slow ## The tests that need longer, a browser, another program or registry; and searches in whole
	@$(COMPILE)
	TESTS_SEARCH=whole $(BIN)/pytest -n 3 --dist worksteal -m "slow or searched"

check: $(VENV)/.dev ## Lint, format and strict types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev ## Put the code into its form
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

soak: $(VENV)/.dev ## Stage every fault many times, minutes of it; prints what was lost and doubled
	cd tests && ../$(BIN)/python -m soak.harness $(SOAK)
	cd tests && ../$(BIN)/python -m soak.hosts
	cd tests && ../$(BIN)/python -m soak.machine
	HOSTILE_EXAMPLES=20000 $(BIN)/pytest -q tests/properties/test_hostile_input.py --timeout 3000

bench: $(VENV)/.dev ## Measure, side by side with what others would use; prints a table
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev,bench]'
	$(BIN)/python -m benchmarks $(BENCH)

audit: $(BIN)/jarvis ## Known vulnerabilities, licences and an SBOM of what is installed; says "not run" where it cannot tell
	@$(PYTHON) -m venv $(VENV)/audit
	@$(VENV)/audit/bin/pip install --quiet --disable-pip-version-check 'pip-audit>=2.10' 'cyclonedx-bom>=7.5'
	$(BIN)/python deploy/build/audit.py --auditor $(VENV)/audit/bin/pip-audit --lister $(VENV)/audit/bin/cyclonedx-py

coverage: $(VENV)/.dev ## Run the tests and print what they cover
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m "not slow"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

schemas: $(VENV)/.dev ## Write the JSON Schemas of the messages, the AsyncAPI document and the TypeScript types
	$(BIN)/python -m workers.schemas docs/schemas
	$(BIN)/python -m jarvis.asyncapi docs/asyncapi.yaml
	$(BIN)/python -m workers.typescript docs/publish/records.d.ts

clean: ## Remove what was installed and built (never data/)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache *.egg-info

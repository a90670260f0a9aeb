# `make demo` and `make test` work as the first command typed in a fresh clone with
# Python >= 3.11 and make.  Everything they need goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(shell command -v uv >/dev/null 2>&1 && echo "uv pip" || echo "$(BIN)/python -m pip")
WHERE := $(shell command -v uv >/dev/null 2>&1 && echo "--python $(BIN)/python" || echo "--disable-pip-version-check")
INSTALL := $(PIP) install -q $(WHERE) -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test check docs fuzz sim-check pyz bench bench-ledger bench-policy bench-scheduling bench-api load clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 20

# --- environments -------------------------------------------------------------------------
# One stamp a group: run, then test, then check.  uv when it is present, else venv and pip.
$(VENV)/.run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "pfgov needs Python 3.11 or newer; try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "setting up $(VENV) (once)"
	@if command -v uv >/dev/null 2>&1; then uv venv -q --allow-existing --python $(PYTHON) $(VENV); \
	  else $(PYTHON) -m venv $(VENV); fi
	@$(INSTALL) -e '.[client]'
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@echo "installing the test tools (once)"
	@$(INSTALL) -e '.[client,oidc,test]'
	@touch $@

$(VENV)/.check: $(VENV)/.test
	@echo "installing the checkers (once)"
	@$(INSTALL) -e '.[client,oidc,plot,test,check]'
	@touch $@

# --- targets ------------------------------------------------------------------------------
demo: $(VENV)/.run  ## the main job, start to finish, in a temporary workspace
	@$(BIN)/pfgov demo

test: $(VENV)/.test  ## every test that fits in a few minutes
	@$(BIN)/python -m pytest -q -n 2 --cov --cov-report=term:skip-covered $(ARGS)

check: $(VENV)/.check  ## format, lint, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/pyright
	@$(BIN)/lint-imports

docs: $(VENV)/.test  ## write the generated pages and schemas anew
	@$(BIN)/python docs/generate

fuzz: $(VENV)/.test  ## search longer, from a new seed, for what breaks a property
	@PFGOV_FUZZ=1 PFGOV_FUZZ_GROUPS=$${PFGOV_FUZZ_GROUPS:-2000} PFGOV_FUZZ_SEED=$${PFGOV_FUZZ_SEED:-$$(date +%s)} \
	  $(BIN)/python -m pytest -q -n 2 tests/property $(ARGS)

sim-check: $(VENV)/.run  ## 100,000 seeded histories, every promise checked after every step (hours; SEEDS=n for fewer)
	@$(BIN)/pfgov sim check --seeds $${SEEDS:-100000} --from $${FROM:-0}

pyz: $(VENV)/.run  ## build the verifier as one file, dist/pfgov-verify.pyz
	@mkdir -p dist && $(BIN)/python -m pfgov_ledger.build_pyz dist/pfgov-verify.pyz

bench: $(VENV)/.test  ## the write path beside its physical limits, a fleet of 1,000, a large store; as ratios
	@$(BIN)/python tests/bench/core.py
	@$(BIN)/python tests/bench/placement.py
	@$(BIN)/python tests/bench/store_size.py

bench-ledger: $(VENV)/.test  ## the ledger beside plain SQLite and its peers, as ratios (PEERS=dir:dir of pip install --target)
	@PFGOV_BENCH_PEERS=$(PEERS) $(BIN)/python tests/bench/ledger.py $(ARGS)

bench-policy: $(VENV)/.test  ## decisions beside hand-written Python and other engines, as ratios
	@$(BIN)/python tests/bench/policy.py

bench-scheduling: $(VENV)/.test  ## schedulers beside each other, as ratios
	@$(BIN)/python tests/bench/scheduling.py

bench-api: $(VENV)/.test  ## the API beside an echo, as ratios; overload
	@$(BIN)/python tests/bench/api.py $(ARGS)

load: $(VENV)/.test  ## kill the server ten times in a minute of writing by 32 clients, then check everything
	@PFGOV_LOAD=1 $(BIN)/python -m pytest -q tests/process/test_api_process.py $(ARGS)

clean:  ## remove the environment and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov dist build

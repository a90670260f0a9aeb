# `make demo` and `make test` work as the first command typed in a fresh clone with
# Python >= 3.11 and make.  Everything they need goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(shell command -v uv >/dev/null 2>&1 && echo "uv pip" || echo "$(BIN)/python -m pip")
WHERE := $(shell command -v uv >/dev/null 2>&1 && echo "--python $(BIN)/python" || echo "--disable-pip-version-check")
INSTALL := $(PIP) install -q $(WHERE) -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-long coverage check docs screenshots wheel fuzz mutants mutants-policies sim-check impact-check verifier-diff test-frameworks test-kubernetes peers plants prov-toolbox pyz bench bench-ledger bench-lineage bench-policy bench-scheduling bench-impact bench-try bench-lsp bench-api bench-ledgers bench-scale bench-console console-size fleet test-two-servers other-python faults-postgres load clean

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
	@$(INSTALL) -e '.[client,oidc,postgres,test]'
	@touch $@

$(VENV)/.check: $(VENV)/.test
	@echo "installing the checkers (once)"
	@$(INSTALL) -e '.[client,oidc,plot,postgres,test,check]'
	@touch $@

$(VENV)/.mutants: $(VENV)/.test
	@echo "installing the mutation tester (once)"
	@$(INSTALL) -e '.[client,oidc,postgres,test,mutants]'
	@touch $@

# --- targets ------------------------------------------------------------------------------
demo: $(VENV)/.run  ## the main job, start to finish, in a temporary workspace
	@$(BIN)/pfgov demo
	@echo
	@echo 'pfgov is $(BIN)/pfgov.  To call it by its name in this shell:  export PATH="$(CURDIR)/$(BIN):$$PATH"'

test: $(VENV)/.test  ## every test that fits in a few minutes
	@$(BIN)/python -m pytest -q -n 3 --dist worksteal -m 'not long' $(ARGS)

test-long: $(VENV)/.test  ## the tests that take longer, and every example of the properties
	@PFGOV_LONG=1 $(BIN)/python -m pytest -q -n 3 --dist worksteal -m 'long or searched' $(ARGS)

coverage: $(VENV)/.test  ## both with branch coverage, child processes included (about twice as long)
	@PFGOV_LONG=1 $(BIN)/python -m pytest -q -n 2 --cov --cov-report=term:skip-covered $(ARGS)

check: $(VENV)/.check  ## format, lint, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@MYPYPATH=tests:tests/bench $(BIN)/mypy tests/bench/*.py
	@$(BIN)/pyright
	@$(BIN)/lint-imports

docs: $(VENV)/.test  ## write the generated pages and schemas anew
	@$(BIN)/python docs/generate

screenshots: $(VENV)/.test  ## take the pictures of the console anew (needs Playwright and a Chromium)
	@$(BIN)/python docs/generate/screenshots.py

fuzz: $(VENV)/.test  ## search longer, from a new seed, for what breaks a property
	@PFGOV_FUZZ=1 PFGOV_FUZZ_GROUPS=$${PFGOV_FUZZ_GROUPS:-2000} PFGOV_FUZZ_SEED=$${PFGOV_FUZZ_SEED:-$$(date +%s)} \
	  $(BIN)/python -m pytest -q -n 2 tests/property $(ARGS)

mutants: $(VENV)/.mutants  ## change the code in small ways, list what no test saw (hours; MUTANTS=n samples, AREAS=decide)
	@$(BIN)/python tests/mutation/mutants.py $(AREAS) --sample $${MUTANTS:-0} --seed $${SEED:-0}

mutants-policies: $(VENV)/.test  ## change the shipped policies in small ways: their tests notice every one (a minute)
	@for pack in starter eu-residency agent-fleet regulated-review; do \
	  echo "$$pack: $$($(BIN)/pfgov policy mutate policies/$$pack --min 100)" || exit 1; done

plants: $(VENV)/.test  ## put faults that were seen once back into a copy of the code, and see their tests turn red (NAMES="halt clock")
	@$(BIN)/python tests/mutation/plants.py $(NAMES)

sim-check: $(VENV)/.run  ## 100,000 seeded histories, every promise checked after every step (hours; goes on where it was stopped)
	@$(BIN)/pfgov sim check --seeds $${SEEDS:-100000} --from $${FROM:-0} \
	  --record $${RECORD:-tests/simulation/checked.json} --commit $$(git rev-parse HEAD 2>/dev/null || echo unknown)

impact-check: $(VENV)/.test  ## ask the sets of 1,000 simulated histories about their own decisions: none may differ (goes on where it was stopped)
	@$(BIN)/python tests/bench/impact.py --histories $${HISTORIES:-1000} \
	  --record $${RECORD:-tests/simulation/impact-checked.json} --commit $$(git rev-parse HEAD 2>/dev/null || echo unknown)

wheel: $(VENV)/.test  ## build dist/pfgov-VERSION-py3-none-any.whl, to be installed with pip
	@mkdir -p dist && $(BIN)/python -m hatchling build -t wheel -d dist

verifier-diff: $(VENV)/.test  ## 10,000 random logs, questions and damaged files to three verifiers (CASES=n, SEED=n; needs Node.js)
	@$(BIN)/python tests/conformance/ledger_verify/differential.py $${CASES:-10000} $${SEED:-$$(date +%s)}

peers:  ## build witnesses and a checker of tiles that are not ours, so that tests run beside them (needs Go; minutes)
	@mkdir -p build/peers
	GOBIN=$(CURDIR)/build/peers go install filippo.io/torchwood/cmd/litewitness@v0.6.1
	GOBIN=$(CURDIR)/build/peers go install github.com/transparency-dev/witness/cmd/omniwitness@v0.0.0-20260720115447-2e1c6971d19e
	GOBIN=$(CURDIR)/build/peers go install github.com/transparency-dev/tessera/cmd/fsck@v1.0.4

test-frameworks: $(VENV)/.test  ## the adapters with the agent frameworks and clients of others that they are for (114 MB to install)
	@$(INSTALL) -e '.[client,oidc,postgres,mcp,test,openai-agents,langgraph,a2a]' apparitor authzen-policy-backend decern
	@$(BIN)/python -m pytest -q -n 2 tests/api/test_adapters.py tests/api/test_adapters_story.py tests/api/test_api_authzen_peps.py \
	  tests/docs/test_docs_examples.py -k 'adapters or peps or agent-frameworks' $(ARGS)

test-kubernetes: $(VENV)/.test  ## govern a real API server, scheduler and etcd (built once with Go, a quarter of an hour; needs kubectl)
	@$(BIN)/python tests/conformance/kubernetes/build.py $${PFGOV_KUBERNETES:-.cache/kubernetes}
	@PFGOV_KUBERNETES=$${PFGOV_KUBERNETES:-.cache/kubernetes} $(BIN)/python -m pytest -q tests/conformance/kubernetes $(ARGS)

prov-toolbox:  ## fetch ProvToolbox with Maven, so that a test has it read what we write (needs Java and Maven)
	@mvn -q -B -f tests/conformance/prov/pom.xml dependency:build-classpath -Dmdep.outputFile=/dev/null

pyz: $(VENV)/.run  ## build the verifier as one file, dist/pfgov-verify.pyz
	@mkdir -p dist && $(BIN)/python -m pfgov_ledger.build_pyz dist/pfgov-verify.pyz

bench: $(VENV)/.test  ## the write path beside its limits, a fleet of 1,000, a large store, personal data, dead witnesses; as ratios
	@$(BIN)/python tests/bench/core.py
	@$(BIN)/python tests/bench/placement.py
	@$(BIN)/python tests/bench/store_size.py
	@$(BIN)/python tests/bench/personal_data.py
	@$(BIN)/python tests/bench/witnesses.py

bench-ledger: $(VENV)/.test  ## the ledger beside plain SQLite and its peers, as ratios (PEERS=dir:dir of pip install --target)
	@PFGOV_BENCH_PEERS=$(PEERS) $(BIN)/python tests/bench/ledger.py $(ARGS)

bench-lineage: $(VENV)/.test  ## translate a million entries into every format, with the peak of memory (half an hour; ARGS="ENTRIES PACKETS FORMAT...")
	@$(BIN)/python tests/bench/translate_large.py $(ARGS)

bench-policy: $(VENV)/.test  ## decisions beside hand-written Python and other engines, as ratios
	@$(BIN)/python tests/bench/policy.py $(ARGS)

bench-scheduling: $(VENV)/.test  ## schedulers beside each other, as ratios
	@$(BIN)/python tests/bench/scheduling.py $(ARGS)

bench-impact: $(VENV)/.test  ## a policy set asked about a long history, beside its replay; the peak of memory (ARGS="--entries 1000000")
	@$(BIN)/python tests/bench/impact.py $(ARGS)

bench-try: $(VENV)/.test  ## decisions with a policy set on trial beside decisions without, as a ratio
	@$(BIN)/python tests/bench/trial.py $(ARGS)

bench-lsp: $(VENV)/.test  ## until an editor shows a mistake, in a folder of 200 rules (ARGS="--rounds 200")
	@$(BIN)/python tests/bench/editing.py $(ARGS)

bench-api: $(VENV)/.test  ## the API beside an echo, as ratios; overload
	@$(BIN)/python tests/bench/api.py $(ARGS)

bench-ledgers: $(VENV)/.test  ## 10,000 ledgers on one server, 200 of them busy: memory, start, opening (ARGS="--ledgers 1000 --busy 50")
	@$(BIN)/python tests/bench/ledgers.py $(ARGS)

bench-scale: $(VENV)/.test  ## a ledger in PostgreSQL beside one in a file, as ratios; how long a takeover keeps clients waiting
	@$(BIN)/python tests/bench/scale.py $(ARGS)

bench-console: $(VENV)/.test  ## submissions a second with fifty consoles open beside none, as a ratio
	@$(BIN)/python tests/bench/console.py $(ARGS)

console-size: $(VENV)/.test  ## bytes and time of each page of the console with 1,000 members and 100,000 packets (ARGS="MEMBERS PACKETS PLACED")
	@$(BIN)/python tests/bench/console_size.py $(ARGS)

fleet: $(VENV)/.test  ## 500 packets, six workers that crash, hang, are cut off and started twice, a server that is killed twice
	@$(BIN)/python -m pytest -q -s -m long tests/process/test_worker_fleet.py $(ARGS)

test-two-servers: $(VENV)/.test  ## the API's document, workers and a stream at two servers on one database, behind a balancer (minutes)
	@PFGOV_TWO_SERVERS=1 $(BIN)/python -m pytest -q -m long tests/api/test_api_openapi.py tests/process/test_worker_fleet.py \
	  tests/process/test_balanced_events.py -k '(schemathesis and 2) or servers or takeovers' $(ARGS)

# An environment of its own under build/: two interpreters cannot share one.
other-python: $(VENV)/.test  ## a ledger written with one interpreter replays with another (PYTHON=python3.13; a minute)
	@test "$$($(PYTHON) -c 'import sys; print(sys.version_info[:2])')" != "$$($(BIN)/python -c 'import sys; print(sys.version_info[:2])')" \
	  || { echo "name another Python than that of $(VENV): make other-python PYTHON=python3.13"; exit 1; }
	@$(PYTHON) -m venv build/other-python
	@build/other-python/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	@PFGOV_OTHER_PYTHON=$(CURDIR)/build/other-python/bin/python $(BIN)/python -m pytest -q tests/process/test_other_interpreter.py $(ARGS)

faults-postgres: $(VENV)/.test  ## 1,000 random faults on two servers, their network and their database; then everything is checked (hours; ARGS="--faults 25 --seed 7")
	@$(BIN)/python tests/faults/postgres_faults.py $(ARGS)

load: $(VENV)/.test  ## kill the server ten times in a minute of writing by 32 clients, then check everything
	@PFGOV_LOAD=1 $(BIN)/python -m pytest -q tests/process/test_api_process.py $(ARGS)

clean:  ## remove the environment and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov dist build

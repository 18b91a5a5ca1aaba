# Quartet. `make help` lists the targets; `make demo` and `make test` are all the set-up there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo serve test check soak bench-slots bench-inference bench-ingest bench-answers bench-results bench-registration reproduce reproduce-full clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-20s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Quartet needs Python 3.11 or 3.12; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11") if not (3,11) <= sys.version_info[:2] < (3,13) else 0'
	$(PYTHON) -m venv $(VENV) || { echo "No venv module: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[node,worker,training,dev]'
	@touch $@

demo: $(STAMP) ## a synthetic patient through the whole node: SEG, SR and a picture in demo/
	$(BIN)/quartet demo --out demo $(ARGS)

serve: $(STAMP) ## run the node on this machine with quartet.toml (see deploy/quartet.example.toml)
	$(BIN)/quartet serve --config quartet.toml

test: $(STAMP) ## the tests
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

check: $(STAMP) ## ruff, mypy strict, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

soak: $(STAMP) ## 200 rounds of kill -9 against a running node: nothing lost, nothing doubled
	$(BIN)/python tests/soak/soak.py --rounds 200 $(ARGS)

bench-slots: $(STAMP) ## precision, recall and speed of the slot classifier on header files
	$(BIN)/python tests/bench/slots.py $(ARGS)

bench-inference: $(STAMP) ## seconds a slice against eager fp32 deeplabv3_resnet50; the engine must answer as eager torch
	$(BIN)/python tests/bench/inference.py $(ARGS)

bench-ingest: $(STAMP) ## images a second by C-STORE against DCMTK's storescp
	$(BIN)/python tests/bench/ingest.py $(ARGS)

bench-answers: $(STAMP) ## answers that the sender of results loses, and objects a second, against a quick SCP
	$(BIN)/python tests/bench/answers.py $(ARGS)

bench-results: $(STAMP) ## seconds to write SEG and SR of 176 slices and 8 lesions
	$(BIN)/python tests/bench/results.py $(ARGS)

bench-registration: $(STAMP) ## seconds and millimetres of the co-registration
	$(BIN)/python tests/bench/registration.py $(ARGS)

reproduce: $(STAMP) ## the paper's study in the small (minutes): report/small/
	$(BIN)/python -m training.reproduce --small --out report/small $(ARGS)

reproduce-full: $(STAMP) ## the paper's study: 100 + 10 + 55 synthetic patients, ILD against DeepLab V3 (hours): report/
	$(BIN)/python -m training.reproduce --out report $(ARGS)

clean: ## remove the environment and what the targets wrote
	rm -rf $(VENV) demo report cohort .pytest_cache .mypy_cache .ruff_cache

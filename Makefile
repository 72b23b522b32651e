# Everything a newcomer needs: each target sets up what it uses, and nothing twice.
#
#   make demo      index the sample corpus, search it, ask it three questions
#   make test      lint, types and the tests, without those that take minutes
#   make test-all  the same with all tests
#   make torture   kills, full disks and crowds for whatever changes an index
#   make docs      write docs/cli.md anew from the commands
#   make clean     remove what these targets made
#
# Another interpreter: make demo PYTHON=python3.12 (Python 3.10 or newer)

PYTHON  ?= python3
WORKERS ?= 2
VENV    := .venv
BIN     := $(VENV)/bin
RAGCLI  := $(BIN)/ragcli
DEMO    := .demo

# Worker processes share the cores: one thread each is faster than all of them competing.
PYTEST  := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)
# The build backend is pinned like everything else.
INSTALL := PIP_BUILD_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet \
           --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo test test-all torture lint docs clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed -n '1,10p'

demo: $(VENV)/.runtime
	$(RAGCLI) index sample_corpus --index $(DEMO)
	$(RAGCLI) search "how is the softmax used in attention" -k 3 --index $(DEMO)
	$(RAGCLI) ask "Who proposed Fusion-in-Decoder?" --index $(DEMO)
	$(RAGCLI) ask "How many days of annual leave do employees get?" --index $(DEMO)
	$(RAGCLI) ask "When was the leave policy agreed with the staff council?" --index $(DEMO)

test: lint
	$(PYTEST) -m "not slow"

test-all: lint
	$(PYTEST)

torture: $(VENV)/.development
	OMP_NUM_THREADS=1 $(BIN)/python tests/torture/torture.py --rows 40 --instants 40
	OMP_NUM_THREADS=1 $(BIN)/python tests/torture/sequences.py --examples 300
	OMP_NUM_THREADS=1 $(BIN)/python tests/torture/crowd.py --seconds 60
	OMP_NUM_THREADS=1 $(BIN)/python tests/torture/full_disk.py

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.runtime
	$(BIN)/python -m ragcli.cli.reference > docs/cli.md

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find ragcli tests -type d -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "ragcli needs Python 3.10 or newer: make demo PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing ragcli and its libraries into $(VENV) (minutes the first time)"
	@$(INSTALL) --upgrade pip
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.development: $(VENV)/.runtime
	@echo "Installing the development tools into $(VENV)"
	@$(INSTALL) --editable '.[dev]'
	@touch $@

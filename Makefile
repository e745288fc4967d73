# Sets up, then calls. Everything here can be typed by hand in an environment that holds the package:
# `snakemake --cores all`, `pytest`, `jupyter lab`.
#
#   make paper              raw files -> every figure, number and executed notebook (default)
#   make test               all tests
#   make lab                JupyterLab on the notebooks
#   make plan               what is stale and why, before anything runs
#   make clean              remove results/ (raw data and .venv stay)
#
# Variables: SAMPLE=name (or a,b), CORES=n, PYTHON=/path/to/python3.11 (or 3.12, 3.13).

SAMPLE ?= surrogate
CORES ?= all
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo "$$p" && break; done)

BIN := .venv/bin
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check
SNAKEMAKE = $(BIN)/snakemake --cores $(CORES) --config sample=$(SAMPLE)

.DEFAULT_GOAL := paper
.PHONY: paper test lab plan clean benchmarks controls coverage environment

paper: environment
	$(SNAKEMAKE)

test: environment
	$(BIN)/python -m pytest --numprocesses=logical --dist=loadfile

benchmarks: environment
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only

controls coverage: environment
	$(BIN)/snakemake --cores $(CORES) $@

lab: environment
	$(BIN)/jupyter lab notebooks

plan: environment
	@$(BIN)/python -m nbnmbt.plan --sample $(SAMPLE)

clean:
	find results -mindepth 1 ! -name README.md -delete

# ------------------------------------------------------------------------------------- set-up
# .venv holds exactly requirements.lock, hash-checked, with compiled bytecode, and this package. It is
# made when missing and brought up to date when lock, pyproject.toml or the folder have changed.
# uv (itself from the lock) is twice as quick as pip; where it cannot reach the index, pip does it.

MADE_FROM := $(shell cat requirements.lock pyproject.toml | cksum) $(CURDIR)
STALE := $(shell [ -x $(BIN)/python ] && [ "$$(cat .venv/made-from 2>/dev/null)" = "$(MADE_FROM)" ] \
	|| echo stale)

environment: $(if $(STALE),install)

.PHONY: install
install:
	@if [ -z "$(PYTHON)" ]; then \
	  echo "No Python 3.11, 3.12 or 3.13 found: say which one, make PYTHON=/path/to/python3.12"; exit 1; fi
	@echo "Setting up .venv from requirements.lock (once, about half a minute)"
	@$(BIN)/python -c pass 2>/dev/null && [ -f .venv/made-from ] \
	  && grep -qF " $(CURDIR)" .venv/made-from || { rm -rf .venv && $(PYTHON) -m venv .venv; }
	@rm -f .venv/made-from
	@awk '/^[^ ]/ {keep = /^uv==/} keep' requirements.lock > .venv/uv.txt
	@$(PIP) install --require-hashes --no-deps -r .venv/uv.txt
	@UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip sync --quiet --system-certs --python $(BIN)/python \
	  --require-hashes --compile-bytecode requirements.lock 2> .venv/uv.log \
	  || { echo "uv could not install the lock (.venv/uv.log says why), using pip"; \
	       $(PIP) install --require-hashes --no-deps -r requirements.lock; }
	@$(BIN)/uv pip install --quiet --offline --no-deps --no-build-isolation --python $(BIN)/python -e .
	@$(BIN)/python -m compileall -q workflow/nbnmbt
	@echo "$(MADE_FROM)" > .venv/made-from

# make repro   the environment, then the pipeline: data, models, comparison table
# make test    the environment, then ruff, pyright and pytest
# Nothing but Python 3.11 and make needs to be there. `make help` lists the rest.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv

.PHONY: help env download suite repro test format cuda clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 10

env: .venv/.complete  ## the environment alone, in .venv

# The mark is made last: an installation that was cut off is not trusted.
.venv/.complete: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and f"NeuroFMX needs Python 3.11, {sys.executable} is {sys.version.split()[0]}. Name one: make PYTHON=/path/to/python3.11 ...")'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --progress-bar on -c constraints.txt -e '.[dev]'
	@touch $@

download: env  ## all data at once, resumable; SUITE=core_v1 adds a suite's, JOBS=4 datasets at a time
	python pipeline/download_all.py $(if $(SUITE),--suite $(SUITE)) $(if $(JOBS),--jobs $(JOBS))

suite: env  ## a suite of params.yaml, each variant as one experiment: SUITE=four_way_v1; DRY=1 prints the commands alone
	$(if $(SUITE),,$(error name a suite of params.yaml: make suite SUITE=core_v1))
	python pipeline/suite.py $(SUITE) $(if $(DRY),--dry-run)

repro: env  ## download, preprocess, tokenize, train, evaluate, compare
	dvc repro

test: env  ## ruff, pyright and pytest with doctests
	ruff format --check .
	ruff check .
	pyright
	pytest -n 2 --dist loadfile --no-loadscope-reorder

format: env  ## put the code into shape
	ruff format .
	ruff check --fix .

cuda: env  ## mamba-ssm's kernels, built here: needs a CUDA compiler
	.venv/bin/python -m pip install ninja wheel
	MAMBA_KEEP_CUDA_BUILD=TRUE .venv/bin/python -m pip install --no-build-isolation -c constraints.txt -e '.[cuda]'

clean:  ## remove the environment and partial work, keep data and results
	rm -rf .venv .resume .pytest_cache .ruff_cache .hypothesis

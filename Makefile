# Goldgate. `make help` says what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help install demo up down status logs test test-cluster fault-drill check format lock

AGENT ?= airflow-helper
NAME ?=
WORKERS ?= 2

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

help: ## This page
	@echo "Goldgate: eval-gated releases for LLM agents, on Airflow"
	echo
	awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	echo
	echo "  AGENT=$(AGENT)   the agent of the demo"
	echo "  GOLDGATE_HOME, GOLDGATE_{AIRFLOW,MLFLOW,MODEL,ROUTER}_URL move state and ports"

install: $(STAMP) ## Make .venv from the lock, once

# Every Python from 3.11 to 3.13 will do. A version manager's shim may stand there and not work: so each is tried.
$(STAMP): requirements-dev.txt pyproject.toml Makefile
	@python=
	for candidate in python3.13 python3.12 python3.11 python3; do
	  if $$candidate -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
	    python=$$candidate
	    break
	  fi
	done
	if [ -z "$$python" ]; then
	  echo "No Python found that fits. Expected 3.11, 3.12 or 3.13 with the module venv as python3.x or python3 on the PATH." >&2
	  echo "Found: $$(python3 --version 2>/dev/null || echo none). On Debian and Ubuntu: apt-get install python3 python3-venv" >&2
	  exit 1
	fi
	if ! $(PY) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
	  echo "Making $(VENV) with $$($$python --version) ..."
	  rm -rf $(VENV)
	  $$python -m venv $(VENV)
	fi
	awk '/^uv==/ {on = 1} on && /^[a-z]/ && !/^uv==/ {exit} on' requirements-dev.txt > $(VENV)/uv.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	$(VENV)/bin/uv pip sync --python $(PY) --quiet --require-hashes requirements-dev.txt
	$(VENV)/bin/uv pip install --python $(PY) --quiet --no-deps --no-build-isolation -e .
	touch $(STAMP)
	echo "Installed. Next: make demo"

demo: install ## Release the sample agent four times with live traffic, and roll back
	@exec $(PY) -m goldgate.entrypoints.demo --agent "$(AGENT)"

up: install ## Start everything on this machine
	@exec $(PY) -m goldgate.entrypoints.local up

down: ## End everything
	@if [ ! -x $(PY) ]; then echo "Nothing is installed, so nothing runs."; exit 0; fi
	exec $(PY) -m goldgate.entrypoints.local down

status: install ## What runs, and how it is
	@exec $(PY) -m goldgate.entrypoints.local status

logs: install ## Follow the logs (NAME=scheduler for one)
	@exec $(PY) -m goldgate.entrypoints.local logs $(NAME) --follow

# Both in the order of the files: by default those with few tests come last, which are the longest, and one worker waits
# for the other for minutes.
test: install ## Every test that needs no cluster
	@exec $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --ignore tests/cluster

test-cluster: install ## The tests on a real cluster: the kubeconfig given in GOLDGATE_TEST_KUBECONFIG, kind, k3d, or one node of our own
	@PYTHONPATH=.:include exec $(PY) -m tests.cluster -n $(WORKERS) --dist loadfile --no-loadscope-reorder tests/cluster

fault-drill: install ## Break a cluster in every way we know, and write include/docs/fault-drill.md
	@PYTHONPATH=.:include exec $(PY) -m tests.cluster.fault_drill

check: install ## Format, lint, types, import contracts, tests: what CI runs
	@$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(MAKE) --no-print-directory test

format: install ## Format, and fix what can be fixed
	@$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

lock: install ## Write the locks again from pyproject.toml, and those of the images from theirs
	@compile="$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header"
	$$compile pyproject.toml -o requirements.txt
	$$compile pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt
	for image in include/images/agent include/images/router; do
	  $$compile -c requirements.txt $$image/requirements.in -o $$image/requirements.txt
	done

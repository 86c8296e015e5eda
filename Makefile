# Everything that a checkout needs is made here: `make demo` and `make test` work on a bare Debian with
# python3, make and git.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := docker.io:dockerd docker.io:docker docker-registry openssl runc podman conmon skopeo busybox-static strace attr xfsprogs e2fsprogs zstd bzip2 xz-utils procps linux-libc-dev zsh fish
CONTESTANTS := buildah debootstrap wrk apache2-utils

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench bench-all fuzz clean

help: ## Show this list
	@awk -F ': .*## ' '/^[a-z-]+: .*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/installed ## Build, run, commit, save, push and pull images on a temporary store, explained
	@scripts/require runc busybox-static
	@$(BIN)/python scripts/demo.py

test: lint ## Lint, types, import contract, and all tests, with the peers they compare with
	@scripts/require $(PEERS)
	@LAMINA_NO_SKIP=1 $(BIN)/pytest -n auto --dist loadfile

lint: $(VENV)/tools
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(VENV)/tools ## Compare lamina's speed with dockerd, podman, buildah and skopeo: ten minutes
	@scripts/require $(PEERS) $(CONTESTANTS)
	@$(BIN)/python -m bench --json bench/results/table.json --svg bench/results/table.svg

bench-all: $(VENV)/tools ## The same, and memory, the registry, and what things cost as they grow: an hour and a half
	@scripts/require $(PEERS) $(CONTESTANTS)
	@$(BIN)/python -m bench all --json bench/results/all.json --svg bench/results/all.svg

fuzz: $(VENV)/tools ## Fuzz every reader of what strangers write, for SECONDS_EACH (10)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	@$(BIN)/python -m tests.fuzz all $(or $(SECONDS_EACH),10)

clean: ## Remove the virtual environment
	rm -rf $(VENV)

# A virtual environment with lamina in it, and one more mark for the tools of tests and lint.
$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "lamina needs Python 3.11 or newer; PYTHON=python3.12 make ... chooses another" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || scripts/require python3-venv
	@test -x $(BIN)/pip || { echo "making $(VENV)" >&2; $(PYTHON) -m venv $(VENV); }
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[registry]'
	@touch $@

$(VENV)/tools: $(VENV)/installed
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,lint]'
	@touch $@

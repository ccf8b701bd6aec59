# `make demo` and `make test` do everything on a machine with Python 3.11 and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TESTS ?= not slow and not long
# uv trusts what the machine trusts, as pip does.
export UV_SYSTEM_CERTS := true
# Compiled modules are kept, whatever the machine says: else each process compiles torch anew, for ten seconds.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-slow test-long dist lock lint types bench site setup clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/fullconv demo --out demo

test: $(STAMP) lint types
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "$(TESTS)" --numprocesses 2 --dist loadgroup

test-slow: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "slow and not long" --numprocesses 2 --dist loadgroup --durations 10

# Campaigns: thousands of damaged files, kills and sizes, for an hour or so. What they test, the others test with few.
test-long: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest -m long --numprocesses 2 --dist loadgroup --durations 10

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/pyright

# The documentation site: all links lead somewhere, all code blocks and notebooks print what their pages say.
site: $(STAMP)
	$(BIN)/python website/build_site.py
	OMP_NUM_THREADS=1 $(BIN)/pytest -m 'slow or not slow' tests/website

# What is released: a wheel and an sdist, and all packages of a deployment with their digests.
dist: $(STAMP)
	$(BIN)/uv build --out-dir dist .

lock: $(STAMP)
	$(BIN)/uv pip compile --quiet pyproject.toml --extra serve --extra export --extra formats --constraint constraints.txt \
		--generate-hashes --python-version 3.11 --no-header --no-annotate --output-file requirements.lock

bench: $(STAMP)
	$(BIN)/python benchmarks/upsampling.py
	$(BIN)/python benchmarks/prediction.py
	$(BIN)/python benchmarks/convolution.py

clean:
	rm -rf demo .site .pytest_cache .ruff_cache .hypothesis

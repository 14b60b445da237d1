# Everything that is built, tested and measured here starts with one of these; `make help` lists them.
# What runs on a change is the same in `make check` and in continuous integration.
#
#   PYTHON=...   the interpreter to build for (CPython 3.11 or newer; default: python3, else what is found)
#   VENV=...     the virtual environment to use (default .venv)
#   APP=...      what `make run` serves, ARGS=... what it tells bicorn besides

VENV ?= .venv
APP ?= examples/hello_asgi.py:app
PYTHON ?=
export PYTHON

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

RUST_SOURCES := Cargo.toml Cargo.lock pyproject.toml \
	$(shell find crates -name '*.rs' -o -name Cargo.toml)

.DELETE_ON_ERROR:
.PHONY: help run build test test-rust test-python check fmt bench soak wheel wheel-test sdist-test pins lint clean rust FORCE

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 14

run: build ## build, then serve APP (an example)
	$(BIN)/bicorn $(APP) $(ARGS)

build: $(VENV)/.built ## make VENV/bin/bicorn: release core, Python sources used in place

test: build test-rust test-python ## all tests, Rust and Python, with one interpreter

test-rust: | rust
	cargo test --quiet --locked --workspace --exclude bicorn-py

test-python: $(VENV)/.built $(VENV)/.tested-with
	$(BIN)/python -m pytest $(PYTEST_ARGS)

soak: $(VENV)/.built $(VENV)/.tested-with ## the figures of the supervisor under load, at full length
	SOAK=1 $(BIN)/python -m pytest tests/supervision $(PYTEST_ARGS)

check: $(VENV)/.interpreter ## all that continuous integration runs, on each supported Python
	$(BIN)/python tools/check.py

lint: $(VENV)/.built $(VENV)/.tested-with ## what `make check` finds without running a test
	$(BIN)/python tools/check.py --static --venv $(VENV)

fmt: $(VENV)/.tested-with ## format Rust and Python
	cargo fmt --all
	$(BIN)/ruff check --quiet --fix-only .
	$(BIN)/ruff format --quiet .

bench: $(VENV)/.built $(VENV)/.bench-with ## measure Bicorn beside its peers
	$(BIN)/python benchmarks/run.py $(ARGS)

wheel: $(VENV)/.build-with ## a wheel in dist/
	$(BIN)/maturin build --release --locked --interpreter $(BIN)/python --out dist

wheel-test: wheel ## prove the wheel in an empty environment without a Rust toolchain
	$(BIN)/python tools/wheel_test.py dist

sdist-test: $(VENV)/.build-with ## prove that the source distribution builds
	$(BIN)/python tools/wheel_test.py --sdist

pins: $(VENV)/.interpreter ## pin requirements/*.in again (use the oldest supported PYTHON)
	$(BIN)/python tools/pins.py build test bench

clean: ## remove all that was made here
	rm -rf target dist .venv .venv-3.* src/bicorn/_native.*.so .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache
	find src tests tools examples benchmarks -name __pycache__ -exec rm -rf {} +

# One target directory serves every Python: a change of interpreter builds pyo3 and crates/py again
# (7 s of 15), a directory for each would build all of it for each.

# The steps, each with a stamp in the environment that it changed.

$(VENV)/.interpreter: FORCE | rust
	@tools/make-venv $(VENV)

rust:
	@tools/check-rust

$(VENV)/.build-with: requirements/build.txt $(VENV)/.interpreter
	$(PIP) install --requirement $<
	@touch $@

$(VENV)/.tested-with: requirements/test.txt $(VENV)/.interpreter
	$(PIP) install --requirement $<
	@touch $@

$(VENV)/.bench-with: requirements/bench.txt requirements/bench-libev.txt $(VENV)/.interpreter
	$(PIP) install --requirement $<
	$(PIP) install --requirement requirements/bench-libev.txt || \
		echo "SKIPPED: bjoern does not build here (it needs the headers of libev): measuring without it"
	@touch $@

$(VENV)/.built: $(RUST_SOURCES) $(VENV)/.build-with
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --release --locked
	@touch $@

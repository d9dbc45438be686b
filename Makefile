# Two commands on a fresh machine with git, python3 (>= 3.11) and make: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
OUT    ?= ferflow-demo

.DEFAULT_GOAL := help
.PHONY: help demo test test-all mutants lint types check constraints clean build/layout

help:           ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

$(VENV)/pip:
	$(PYTHON) -c 'import sys; sys.exit("ferflow needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: $(VENV)/pip pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[demo]'
	touch $@

$(VENV)/installed-dev: $(VENV)/pip pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/installed

demo: $(VENV)/installed        ## Set up, draw a sample clip, analyse it, say where the report is
	$(BIN)/ferflow demo -o $(OUT)

test: $(VENV)/installed-dev    ## Set up and run the tests: about a quarter of an hour on two cores
	@echo "Running the tests; on two cores this takes about a quarter of an hour."
	$(BIN)/python -m pytest -n 2 -m 'not slow'

test-all: $(VENV)/installed-dev ## The slow ones too, several times as long
	@echo "Running all tests; this takes several times as long as make test."
	$(BIN)/python -m pytest -n 2

build/layout:   # the three rooms as they are installed, for tools that read a package from its folder
	rm -rf $@ && mkdir -p $@/ferflow
	ln -s $(CURDIR)/ferflow/* $(CURDIR)/jobs $(CURDIR)/dashboards $@/ferflow/

mutants: $(VENV)/installed-dev ## Put 200 small faults into what decides numbers, and see which tests notice: two hours
	test -f build/mutants/coverage || $(BIN)/python -m pytest -n 2 -m 'not slow' -q -p tests.mutation.record \
	  --cov=ferflow --cov=jobs --cov=dashboards --cov-context=test --cov-report= || true
	$(BIN)/python -m tests.mutation

lint: $(VENV)/installed-dev build/layout    ## Style, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd build/layout && $(abspath $(BIN))/lint-imports $(CURDIR)/pyproject.toml --no-logo --no-cache

types: $(VENV)/installed-dev build/layout   ## Types, strict
	cd build/layout && $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml

check: lint types test         ## What CI runs

constraints: $(VENV)/pip       ## Resolve the pinned versions again (no URLs in the file)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --all-extras --no-header --no-emit-index-url pyproject.toml -o constraints.txt

clean:          ## Remove what the targets made
	rm -rf $(VENV) $(OUT) build *.egg-info .pytest_cache .mypy_cache .ruff_cache

# Two commands on a fresh machine with git, python3 (>= 3.11) and make: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
OUT    ?= ferflow-demo
comma  := ,

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-lowest test-newest mutants lint types check constraints release clean build/layout

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

test: $(VENV)/installed-dev    ## Set up and run the tests: about ten minutes on two cores
	@echo "Running the tests; on two cores this takes about ten minutes."
	$(BIN)/python -m pytest -n 4 --no-loadscope-reorder -m 'not slow'

test-all: $(VENV)/installed-dev ## The slow ones too, several times as long
	@echo "Running all tests; this takes several times as long as make test."
	$(BIN)/python -m pytest -n 3 --no-loadscope-reorder

# What users get who install without the pinned versions: `make test-newest PYTHON=python3.13 TESTS=tests`
EXTRAS ?= app,demo,exchange,face,figures,lsl,pandas
TESTS  ?= tests/store tests/media/test_video.py tests/cli/test_usage_errors.py
TOOLS  := pytest pytest-timeout pytest-xdist httpx hypothesis jsonschema motmetrics pillow playwright polars uv
define run-unpinned
	PYTHONPATH= $(1)/bin/ferflow demo -o $(1)/demo
	PYTHONPATH= $(1)/bin/python -m pytest -q -n 2 --no-loadscope-reorder -m 'not slow' -p no:cacheprovider $(TESTS)
endef

test-newest:    ## Demo and some tests with the newest versions of everything, by PYTHON
	$(PYTHON) -m venv --clear build/newest
	build/newest/bin/python -m pip install --quiet -e '.[$(EXTRAS)]' $(TOOLS)
	$(call run-unpinned,build/newest)

test-lowest:    ## Demo and some tests with the lowest versions that pyproject.toml allows, by PYTHON
	$(PYTHON) -m venv --clear build/lowest
	build/lowest/bin/python -m pip install --quiet $(TOOLS)
	build/lowest/bin/uv pip compile --quiet --python build/lowest/bin/python --resolution lowest-direct \
	  $(addprefix --extra ,$(subst $(comma), ,$(EXTRAS))) --no-header --no-emit-index-url pyproject.toml -o build/lowest/lowest.txt
	build/lowest/bin/python -m pip install --quiet -r build/lowest/lowest.txt
	build/lowest/bin/python -m pip install --quiet --no-deps -e .
	$(call run-unpinned,build/lowest)

build/layout:   # the three rooms as they are installed, for tools that read a package from its folder
	rm -rf $@ && mkdir -p $@/ferflow
	ln -s $(CURDIR)/ferflow/* $(CURDIR)/jobs $(CURDIR)/dashboards $@/ferflow/

# Those that are about what is changed: a run of all of them with coverage takes much longer.
TESTS_OF_MUTANTS := tests/test_*.py $(addprefix tests/,analytics dashboards desks faces jobs media store)

mutants: $(VENV)/installed-dev ## Put 200 small faults into what decides numbers, and see which tests notice: an hour
	$(BIN)/python -m tests.mutation --write-coverage-settings
	test -f build/mutants/coverage || $(BIN)/python -m pytest -n 3 --no-loadscope-reorder -m 'not slow' -q -p tests.mutation.record \
	  --cov --cov-config=build/mutants/settings.ini --cov-context=test --cov-report= $(TESTS_OF_MUTANTS) || true
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

release:        ## Wheel, source archive and list of components (CycloneDX) in dist/, checked
	rm -rf dist && $(PYTHON) -m venv --clear build/release
	build/release/bin/python -m pip install --quiet build twine cyclonedx-bom
	build/release/bin/python -m build --outdir dist .
	build/release/bin/twine check --strict dist/*
	build/release/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
	  -o dist/ferflow.cdx.json constraints.txt

clean:          ## Remove what the targets made
	rm -rf $(VENV) $(OUT) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

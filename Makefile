# Needs only python3 (>= 3.11) and make: everything else is brought into .venv.
VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/installed

# kept bytecode is used and made whatever the machine says: importing what trains takes 3 s of CPU with it, 12 without
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test check serve lock clean
help:            ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

install: $(STAMP)  ## make .venv with everything locked by hash
$(STAMP): pyproject.toml requirements/development.txt requirements/uv.txt
	python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/development.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $(STAMP)

demo: $(STAMP)     ## simulate, train, serve, replay over HTTP, print levels against outcomes
	$(BIN)/burana demo

test: $(STAMP)     ## every test (the bar: ten minutes on two cores)
	$(BIN)/python -m pytest

check: $(STAMP)    ## style, types, floor plan
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

serve: $(STAMP)    ## serve the champion of ./models on http://127.0.0.1:8000
	$(BIN)/burana serve

lock: $(STAMP)     ## resolve the dependencies again and write requirements/*.txt
	for group in training notebooks development; do \
	  $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --extra $$group pyproject.toml -o requirements/$$group.txt || exit 1; done
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    -c requirements/development.txt pyproject.toml -o requirements/serving.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    -c requirements/development.txt --extra distributed pyproject.toml -o requirements/distributed.txt

clean:           ## remove what `make demo` made
	rm -rf demo

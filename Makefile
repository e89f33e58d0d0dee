# `make demo` and `make test` set up what they need in .venv.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
DEMO_OUTPUT ?= demo_output
WORKERS ?= 2

.PHONY: help install demo test test-all lint format clean

help:
	@echo "make demo      train, evaluate and infer on phantoms (about 3 minutes after the installation)"
	@echo "make test      the test suite without the slow tests"
	@echo "make test-all  all tests"
	@echo "make lint      ruff"

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --editable ".[dev]"
	touch $@

install: $(VENV)/.installed

demo: install
	$(RUN) -m monai_proto.apps.demo --output $(DEMO_OUTPUT)

test: install
	$(RUN) -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

test-all: install
	$(RUN) -m pytest -n $(WORKERS) --dist worksteal

lint: install
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

format: install
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

clean:
	rm -rf $(VENV) $(DEMO_OUTPUT) build dist *.egg-info

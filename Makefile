# `make demo` and `make test` set up what they need in .venv; the tests of MONAI Label in .venv-label.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
LABEL_VENV := .venv-label
DEMO_OUTPUT ?= demo_output
WORKERS ?= 2

.PHONY: help install label-env demo test test-all lint format clean

help:
	@echo "make demo      train, evaluate and infer on phantoms (about 3 minutes after the installation)"
	@echo "make label-env the environment of MONAI Label, in .venv-label"
	@echo "make test      the test suite without the slow tests"
	@echo "make test-all  all tests"
	@echo "make lint      ruff and mypy"

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): several gigabytes the first time, most of them PyTorch."
	@# For Linux on x86_64 PyPI has torch with CUDA alone. The smaller CPU wheels have the same name there and lie on an
	@# index of their own, so that they cannot be asked for by name; whoever has such an index sets PIP_EXTRA_INDEX_URL.
	$(VENV)/bin/pip install --progress-bar on --editable ".[dev]"
	touch $@

install: $(VENV)/.installed

$(LABEL_VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(LABEL_VENV)
	$(LABEL_VENV)/bin/pip install --quiet --editable ".[monailabel]"
	$(LABEL_VENV)/bin/pip install --quiet --no-deps monailabel==0.8.5 pydicom-seg==0.4.1
	$(LABEL_VENV)/bin/python -m monai_proto.apps.monailabel.upstream
	touch $@

label-env: $(LABEL_VENV)/.installed

demo: install
	$(RUN) -m monai_proto demo --output $(DEMO_OUTPUT)

test: install label-env
	$(RUN) -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

test-all: install label-env
	$(RUN) -m pytest -n $(WORKERS) --dist worksteal

lint: install
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: install
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

clean:
	rm -rf $(VENV) $(LABEL_VENV) $(DEMO_OUTPUT) build dist *.egg-info

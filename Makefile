# Two commands for a fresh machine: `make demo` and `make test`. See `make help`.

# The active environment's Python. If it has Detectron2, that Detectron2 is used.
PYTHON ?= python3
VENV ?= .venv
RUN = "$(VENV)/bin/python"
SETUP = projects/TADistill/tools/setup/environment.py

.DEFAULT_GOAL := help
.PHONY: help env demo test lint clean

help:
	@echo "make demo    train a teacher's student without and with distillation, and compare them"
	@echo "             TEACHER=train (or a checkpoint), SEEDS=\"0 1 2\""
	@echo "make test    run the tests; PYTEST_ARGS=\"-k decay\""
	@echo "make lint    check style and formatting with ruff"
	@echo "make env     only make $(VENV), which the others do when needed"
	@echo "make clean   remove $(VENV), caches and build products; results are kept"
	@echo "All take PYTHON=python3.12 and VENV=some/folder."

env:
	@"$(PYTHON)" $(SETUP) --venv "$(VENV)"

demo: env
	$(RUN) projects/TADistill/tools/demo/run.py \
		$(if $(TEACHER),--teacher "$(TEACHER)") $(if $(SEEDS),--seeds $(SEEDS))

# Two workers of one thread each: faster on two cores than one worker of two threads.
test: env
	OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses 2 --dist loadfile $(PYTEST_ARGS)

lint: env
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

clean:
	@"$(PYTHON)" $(SETUP) --venv "$(VENV)" --remove
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis projects/TADistill/*.egg-info
	find . -name __pycache__ -type d -not -path "./.git/*" -prune -exec rm -rf {} +

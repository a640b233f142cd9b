# GNU make. Needs only make and Python 3.11 or newer; everything else goes into .venv.
#
#   PYTHON       the interpreter that makes .venv (default: the first of python3, python3.14 … that is new enough)
#   TORCH        what pip installs as torch, for example torch==2.13.0 (default: chosen by .ci/install-torch:
#                the CUDA build on a machine with an NVIDIA driver, a CPU-only build anywhere else and in CI)
#   TORCH_INDEX  the package index to take TORCH from, for example https://download.pytorch.org/whl/cu128
#   PYTEST_ARGS  more arguments for pytest, for example PYTEST_ARGS="-k shards -x"; -n 0 for one process instead of two
#
# After changing PYTHON, TORCH or TORCH_INDEX: make clean.

VENV := .venv
BIN := $(VENV)/bin
DEMO ?= runs/demo
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint format slow slurm browser check-weights docs install install-dev wheel clean

help:  ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'
	@echo "  Variables: PYTHON, TORCH, TORCH_INDEX, PYTEST_ARGS; see the top of the Makefile."

demo: $(VENV)/.installed  ## Install, make 256 triplets on the embedded generator, draw their contact sheet
	$(BIN)/distill generate --task style-mix --n 256 --out $(DEMO)
	$(BIN)/distill inspect $(DEMO)
	@echo "The contact sheet is in $(DEMO): open the page or the PNG that 'distill inspect' named above."

test: lint  ## Lint, types and tests, two files at a time; what CI runs
	$(BIN)/pytest -n 2 --dist loadfile $(PYTEST_ARGS)

slow: $(VENV)/.installed-dev  ## The tests that take minutes
	$(BIN)/pytest -m slow $(PYTEST_ARGS)

slurm: $(VENV)/.installed-dev  ## The tests of the job scripts on a SLURM of their own: slurm-wlm, munge, root
	$(BIN)/pytest tests/jobs -m slurm -rsP $(PYTEST_ARGS)

browser: $(VENV)/.installed-dev  ## The tests in a browser: chromium, distill weights fetch web-runtime; of the app: gradio
	$(BIN)/pytest -m browser -rs $(PYTEST_ARGS)

check-weights: $(VENV)/.installed-dev  ## Reproduce published figures with published weights, where they are on disk; hours
	$(BIN)/pytest -m weights -rs $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev  ## Lint and types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/shellcheck --exclude=SC1091 .ci/run .ci/install-torch pipelines/jobs/*.sh pipelines/jobs/*.sbatch
	$(BIN)/mypy

format: $(VENV)/.installed-dev  ## Let ruff fix and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed  ## Write REFERENCE.md from the help of the commands
	$(BIN)/python -m distill.cli.reference

install: $(VENV)/.installed  ## Make .venv with the project in it
install-dev: $(VENV)/.installed-dev  ## The same with the tools of a developer

wheel: $(VENV)/.created  ## Build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean:  ## Remove .venv, caches and what was built (never runs/ or data/)
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: a step runs again when its stamp is older than what it depends on.
$(VENV)/.created:
	@rm -rf $(VENV); found=; \
	for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "no Python 3.11 or newer found (tried: $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11));" \
	    "install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	"$$found" -m venv $(VENV) || { rm -rf $(VENV); echo "'$$found -m venv' failed (on Debian: apt install python3-venv)" >&2; exit 1; }
	@touch $@

$(VENV)/.torch: $(VENV)/.created
	TORCH='$(TORCH)' TORCH_INDEX='$(TORCH_INDEX)' sh .ci/install-torch $(BIN)/python
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.torch
	$(BIN)/python -m pip install --quiet --editable '.[train]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.torch
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.installed

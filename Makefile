# The two commands: `make demo` shows a leak being found, `make test` proves the rest.
PYTHON ?= python3
LOCKS := requirements/base.txt requirements/server.txt requirements/dev.txt requirements/clickhouse.txt
DEMO := .venv/demo
DEV := .venv/dev

.PHONY: demo test check lint fix test-containers test-clickhouse bench-clickhouse picture bench-detection bench-plots bench soak lock clean

demo: $(DEMO)/ready
	$(DEMO)/bin/slabhound demo $(DEMO_ARGS)

test: lint check

check: $(DEV)/ready
	$(DEV)/bin/pytest -n auto --dist worksteal $(PYTEST_ARGS)

lint: $(DEV)/ready
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy

fix: $(DEV)/ready
	$(DEV)/bin/ruff check --fix .
	$(DEV)/bin/ruff format .

# The container files for real: needs root, podman, podman-compose, runc and debootstrap.
test-containers: $(DEV)/ready
	$(DEV)/bin/pytest -m containers tests/containers $(PYTEST_ARGS)

# The ClickHouse store against a real engine: chdb-core, some 540 MB, on top of the development environment. Without it
# `make test` skips these tests and says so.
test-clickhouse: $(DEV)/clickhouse
	$(DEV)/bin/pytest tests/server/storage/test_clickhouse.py tests/server/storage/test_clickhouse_cluster.py $(PYTEST_ARGS)

bench-clickhouse: $(DEV)/clickhouse
	$(DEV)/bin/python -m bench.bench_clickhouse

$(DEV)/clickhouse: requirements/clickhouse.txt $(DEV)/ready
	$(DEV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

# The README's picture, from a real run.
picture: $(DEMO)/ready
	$(DEMO)/bin/python docs/picture.py docs/report.svg $(DEMO)/bin/slabhound demo --once

# A virtual environment from a locked, hashed file; then this checkout on top of it, fetching nothing more. It is brought
# up to date in place, as it may be in use.
$(DEMO)/ready: requirements/server.txt pyproject.toml
$(DEV)/ready: requirements/dev.txt pyproject.toml
$(DEMO)/ready $(DEV)/ready:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "slabhound needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv $(@D) || { echo "cannot make a virtual environment: on Debian, apt install python3-venv" >&2; exit 2; }
	$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# How well leaks are found: docs/detection.md. BENCH_ARGS="--minutes 2" is a quick look, the default takes an hour.
bench-detection: BENCH_ARGS ?= --minutes 60
bench-detection: $(DEV)/ready
	$(DEV)/bin/python -m bench.detection $(BENCH_ARGS) --output docs/detection.md --calibration docs/detection-calibration.svg

# What it costs: docs/performance.md, in about twenty minutes. BENCH_ARGS="--only storage" renews one section.
bench: $(DEV)/ready
	$(DEV)/bin/python -m bench.performance --output docs/performance.md $(BENCH_ARGS)

# A server under load, killed and started again, for MINUTES; fails when something acknowledged is lost.
MINUTES ?= 20
soak: $(DEV)/ready
	$(DEV)/bin/python -m bench.soak --minutes $(MINUTES) $(SOAK_ARGS)

# What every family looks like and what was found in it.
bench-plots: $(DEV)/ready
	$(DEV)/bin/python -m bench.detection.plots docs

# Writes the locks anew. uv resolves for every platform and Python at once; it is fetched into a throw-away environment.
lock:
	@$(PYTHON) -m venv .venv/lock && .venv/lock/bin/pip install --quiet uv
	.venv/lock/bin/uv pip compile $(LOCK_OPTIONS) pyproject.toml requirements/build.in -o requirements/base.txt
	.venv/lock/bin/uv pip compile $(LOCK_OPTIONS) --extra server pyproject.toml requirements/build.in -o requirements/server.txt
	.venv/lock/bin/uv pip compile $(LOCK_OPTIONS) --no-deps requirements/clickhouse.in -o requirements/clickhouse.txt
	.venv/lock/bin/uv pip compile $(LOCK_OPTIONS) --extra server --extra clickhouse --group dev pyproject.toml requirements/build.in -o requirements/dev.txt
LOCK_OPTIONS := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

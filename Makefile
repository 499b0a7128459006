# The two commands of the README: `make demo` and `make test`. Everything goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
export AFTERLAUNCH_DATA := $(CURDIR)/.demo/test-data

.PHONY: demo test check clean

.venv/demo.stamp: pyproject.toml
	@echo "==> Making .venv and installing Afterlaunch with its demo (about a minute at first)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "python3 -m venv failed: install the package python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar on -e '.[demo]'
	@touch $@

.venv/dev.stamp: pyproject.toml
	@echo "==> Making .venv and installing what the tests need (about two minutes at first)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "python3 -m venv failed: install the package python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar on -e '.[dev]'
	@touch $@

.demo/chromium.stamp:
	@mkdir -p .demo
	@if ! command -v chromium >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "==> Installing chromium for the browser tests"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	  else echo "chromium is missing: the browser tests will be skipped. Install it with: apt-get install chromium"; fi; fi
	@touch $@

check: .venv/dev.stamp
	@mkdir -p $(AFTERLAUNCH_DATA)/static
	$(BIN)/ruff format --check --quiet src tests benchmarks
	$(BIN)/ruff check --quiet src tests benchmarks
	$(BIN)/lint-imports
	$(BIN)/mypy
	DJANGO_SETTINGS_MODULE=afterlaunch.app.django_settings $(BIN)/python -m django makemigrations --check --dry-run

test: .venv/dev.stamp .demo/chromium.stamp check
	$(BIN)/python -m pytest -n 2

demo: .venv/demo.stamp
	env -u AFTERLAUNCH_DATA $(BIN)/python -m afterlaunch demo $(if $(ONCE),--once)

clean:
	rm -rf .venv .demo

# The two commands of the README: `make demo` and `make test`. Everything goes into .venv.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
export AFTERLAUNCH_DATA := $(CURDIR)/.demo/test-data
# Where nothing that is compiled may be kept, every process started by a test compiles 2,000 modules: a second and a half.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check recipes clean

# Makes .venv, with the system package that Debian keeps venv in where it may, then installs our package with its
# extra $(1), counting what comes.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "Afterlaunch needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1). Another one: make $@ PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "==> Installing python3-venv"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null; fi; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv is missing. Install it with: sudo apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -e '.[$(1)]' | { n=0; while read -r line; do case "$$line" in \
	  Collecting*) n=$$((n + 1)); [ -t 1 ] && printf '\r    %s packages' "$$n";; \
	  "Installing collected"*) printf '\r    %s packages; unpacking them\n' "$$n";; esac; done; }
endef

.venv/demo.stamp: pyproject.toml
	@echo "==> Making .venv and installing Afterlaunch with its demo (about a minute at first)"
	$(call install,demo)
	@touch $@

.venv/dev.stamp: pyproject.toml
	@echo "==> Making .venv and installing what the tests need (about two minutes at first)"
	$(call install,dev)
	@touch $@

.demo/chromium.stamp:
	@mkdir -p .demo
	@if ! command -v chromium >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "==> Installing chromium for the browser tests"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	  else echo "chromium is missing: the browser tests will be skipped. Install it with: apt-get install chromium"; fi; fi
	@touch $@

.demo/prometheus.stamp:
	@mkdir -p .demo
	@if ! command -v prometheus-alertmanager >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "==> Installing prometheus and prometheus-alertmanager for the tests of the receivers"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus prometheus-alertmanager >/dev/null; \
	  else echo "prometheus-alertmanager is missing: tests with real clients will be skipped. Install them with: apt-get install prometheus prometheus-alertmanager"; fi; fi
	@touch $@

check: .venv/dev.stamp
	@mkdir -p "$(AFTERLAUNCH_DATA)/static"
	$(BIN)/ruff format --check --quiet src tests benchmarks sdk
	$(BIN)/ruff check --quiet src tests benchmarks sdk
	$(BIN)/lint-imports
	$(BIN)/mypy
	DJANGO_SETTINGS_MODULE=afterlaunch.app.django_settings $(BIN)/python -m django makemigrations --check --dry-run
	$(BIN)/python tests/tools/docs.py --check

test: .venv/dev.stamp .demo/chromium.stamp .demo/prometheus.stamp check
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder || { status=$$?; [ $$status = 1 ] || exit $$status; \
	  echo "==> What failed, once more with nothing beside it: what passes now is fragile, and named above"; \
	  $(BIN)/python -m pytest --last-failed --last-failed-no-failures none --maxfail 3; }

# The recipes of docs/recipes with the real libraries, each in an environment of its own (about 2 GB, some minutes).
# MODELS=1 compiles a server of models, too, and puts the gateway in front of it.
recipes: .venv/dev.stamp
	$(BIN)/python -m tests.recipes.install $(if $(MODELS),models)
	$(BIN)/python -m pytest tests/recipes

# ONCE=1 plays it once and checks it; ARGS passes more flags: make demo ARGS="--port 9000"
demo: .venv/demo.stamp
	@env -u AFTERLAUNCH_DATA $(BIN)/python -m afterlaunch demo $(if $(ONCE),--once) $(ARGS)

clean:
	rm -rf .venv .demo .recipes

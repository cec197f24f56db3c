PYTHON ?= python3
VENV ?= .venv
PORT ?= 5000
DATA_DIR ?= var/demo
WORKERS ?= 2
FORGE ?= local
CHAOS_RUNS ?= 200
CHAOS_SEEDS ?= 1
TEST_PROCESSES ?= 6
MEASURED := tests/unit tests/storage tests/web
# A tracer needs a part of the stack, and this test is about the end of it.
UNMEASURED := --deselect tests/unit/test_template_loading.py::test_inputs_that_are_nested_beyond_reason_are_refused

py := $(VENV)/bin/python
needs := setup.cfg pyproject.toml demo_portal/setup.cfg .ci/install

.DEFAULT_GOAL := help
.PHONY: help demo test coverage chaos nightly lint lint-style lint-types lint-imports migration recipes docs bench lighthouse screenshots clean

help:
	@echo "make demo    start the demo portal: PORT=$(PORT) DATA_DIR=$(DATA_DIR) WORKERS=$(WORKERS) FORGE=$(FORGE), or github"
	@echo "make test    run the tests in $(TEST_PROCESSES) processes: ARGS=… goes to pytest"
	@echo "make coverage  run the tests in $(MEASURED), and say what they have not come to"
	@echo "make chaos   run $(CHAOS_RUNS) template runs while everything dies, create-service while its processes die at each request to a forge, and all scenarios with CHAOS_SEEDS=$(CHAOS_SEEDS)"
	@echo "make nightly   run the tests with the lowest versions, with other Pythons, and in other people's portals, and ask Backstage's engine"
	@echo "make lint    check style, types, import rules and dependencies"
	@echo "make migration NAME=…   make a new file in storage/migrations/versions"
	@echo "make recipes make the patches of CONTRIBUTING's recipes again, after a rename"
	@echo "make docs    build the documentation into docs/_build/html"
	@echo "make bench   measure everything, in half an hour: ARGS=… goes to the script, such as --quick"
	@echo "make lighthouse   let Lighthouse judge the pages: ARGS=… goes to the script"
	@echo "make screenshots  make the pictures of docs/pages.md again: ARGS=… goes to the script"
	@echo "make clean   remove $(VENV) and what was built"

demo: $(VENV)/.installed-demo$(if $(filter github,$(FORGE)),-github)
	@exec $(py) -m demo_portal --port "$(PORT)" --data-dir "$(DATA_DIR)" --workers "$(WORKERS)" --forge "$(FORGE)"

test: $(VENV)/.installed-dev
	@.ci/install-chromium
	$(py) -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

coverage: $(VENV)/.installed-dev
	$(py) -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder --cov=portal_actions_plugin $(MEASURED) $(UNMEASURED) $(ARGS)

chaos: $(VENV)/.installed-dev
	status=0; CHAOS_RUNS=$(CHAOS_RUNS) $(py) -m pytest tests/chaos -m "" -s $(ARGS) || status=1; \
	FORGE_KILLS=all $(py) -m pytest tests/forges/test_kill_between_requests.py || status=1; \
	$(py) -m tests.outside --all --seeds $(CHAOS_SEEDS) || status=1; exit $$status

nightly: $(VENV)/.installed-dev
	.ci/nightly "$(PYTHON)" "$(VENV)"

lint: lint-style lint-types lint-imports
	$(py) .ci/dependencies.py

lint-style: $(VENV)/.installed-dev
	$(py) -m ruff check .
	$(py) -m ruff format --check .

lint-types: $(VENV)/.installed-dev
	$(py) -m mypy
	$(py) -m mypy demo_portal/demo_portal

lint-imports: $(VENV)/.installed-dev
	$(VENV)/bin/lint-imports

migration: $(VENV)/.installed-dev
	@$(py) .ci/migration.py "$(NAME)"

recipes: $(VENV)/.installed-dev
	$(py) -m tests.support.recipes

docs: $(VENV)/.installed-docs
	$(py) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/.installed-bench
	@$(py) -m compileall -q portal_actions_plugin  # bytecode, as pip leaves it with a package
	$(py) -m benchmarks $(ARGS)

lighthouse: $(VENV)/.installed-lighthouse
	@.ci/install-chromium
	$(py) -m benchmarks.lighthouse $(ARGS)

screenshots: $(VENV)/.installed-dev
	@.ci/install-chromium
	$(py) -m tests.browser.screenshots $(ARGS)

clean:
	rm -rf $(VENV) build dist docs/_build *.egg-info demo_portal/*.egg-info

# A stamp for each set of extras: nothing is installed twice, and all is again when what it needs has changed.
$(VENV)/.installed-%: $(needs)
	@.ci/install "$(PYTHON)" "$(VENV)" $*

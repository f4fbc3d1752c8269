# Commands for people who work on the template; `make` alone lists them.

PORT ?= 8000
# The newest Python here that can make virtual environments.
PYTHON ?= $(firstword $(foreach python,python3.14 python3.13 python3.12 python3.11 python3,\
	$(shell $(python) -c 'import ensurepip, sys; sys.version_info >= (3, 11) and print("$(python)")' 2>/dev/null)))
BIN := .venv/bin
DEMO := demo/my_service
TEMPLATE = cookiecutter.json $(shell find hooks '<<cookiecutter.project_slug>>' -type f -not -name '*.pyc')

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(DEMO)/.generated ## Generate a project and serve it on http://127.0.0.1:8000 (PORT=)
	@$(MAKE) --silent -C $(DEMO) .venv/installed .env
	@cd $(DEMO) && .venv/bin/python src/manage.py migrate --verbosity 0
	@cd $(DEMO) && .venv/bin/python src/manage.py shell --verbosity 0 --command \
		"from users.models import User; User.objects.filter(username='demo').exists() or User.objects.create_superuser('demo', password='demo')"
	@echo 'Demo administrator: http://127.0.0.1:$(PORT)/admin/ name demo, password demo'
	@$(MAKE) --no-print-directory -C $(DEMO) local PORT=$(PORT)

$(DEMO)/.generated: .venv/installed $(TEMPLATE)
	$(BIN)/cookiecutter . --no-input --overwrite-if-exists --output-dir demo
	@touch $@

.PHONY: test
test: .venv/installed ## Run all tests that this machine can run, and say which it cannot
	$(BIN)/pytest --numprocesses auto --dist loadfile $(ARGS)

.PHONY: bench
bench: .venv/installed ## Compare the images with the article's five; fail if ours cost too much (ARGS=--quick)
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: lint
lint: .venv/installed ## Check the style of hooks and tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check

.PHONY: lock
lock: .venv/installed ## Lock the requirements of tests and template anew (ARGS=--upgrade)
	for name in requirements checkov; do \
		CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile $(ARGS) \
			--output-file tests/$$name.txt tests/$$name.in || exit; \
	done
	for version in 5.2 6.1; do \
		$(BIN)/cookiecutter . --no-input --overwrite-if-exists --output-dir .cache/lock \
			project_slug=lock_$${version%.*} django_version=$$version && \
		$(MAKE) -C .cache/lock/lock_$${version%.*} lock ARGS=$(ARGS) && \
		cp .cache/lock/lock_$${version%.*}/requirements/*.txt \
			'<<cookiecutter.project_slug>>/choices/django_version/'$$version/requirements || exit; \
	done

.PHONY: release-notes
release-notes: ## Print what CHANGELOG says of a version, which pyproject.toml must have (VERSION=)
	@grep -qx 'version = "$(VERSION)"' pyproject.toml || { \
		echo "VERSION: '$(VERSION)' is not the version in pyproject.toml" >&2; exit 1; }
	@awk '/^## / {found = $$2 == "$(VERSION)"; next} found' CHANGELOG.md | grep . || { \
		echo "CHANGELOG.md says nothing of $(VERSION)" >&2; exit 1; }

.venv/installed: tests/requirements.txt
	$(if $(PYTHON),,$(error No Python 3.11 or newer with venv found: install it (Debian, Ubuntu: python3-venv) or name it with PYTHON=))
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

# make serve   preview on 127.0.0.1:8000   (PORT=8002 HOST=0.0.0.0)
# make lab     the backend that the pages quote, on 127.0.0.1:8001
# make check   the fast checks before a pull request
# make test    everything; installs what it lacks
# make build   the site, into site/
# `make help` lists the rest.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
ONLY ?= lab
BIN := .venv/bin

PYTEST = $(BIN)/python -m pytest -q -n auto --dist loadfile

export NO_MKDOCS_2_WARNING := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests wait for servers and browsers: one process more than cores keeps the cores busy.
export PYTEST_XDIST_AUTO_NUM_WORKERS ?= $(shell expr $$(nproc) + 1)
export PYTHON

.PHONY: help serve lab build check test next academy record measure challenge proof lock glossary pictures format

help: ## List the commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

serve: ## Preview the site with live reload
	@scripts/install.sh site
	@exec $(BIN)/python -m scripts.serve --host $(HOST) --port $(PORT)

lab: PORT := 8001
lab: export DEBUG ?= true
lab: ## Run the lab: migrate, seed an empty database, serve (DATABASE_URL=postgres://…)
	@scripts/install.sh lab
	@$(BIN)/python lab/manage.py migrate --verbosity 0
	@$(BIN)/python lab/manage.py seed_academy --if-empty
	@exec $(BIN)/python lab/manage.py runserver $(HOST):$(PORT)

build: ## Build the site into site/
	@scripts/install.sh site
	@$(BIN)/python -m scripts.build

check: ## Find the mistakes that can be found in seconds
	@scripts/install.sh tests
	@$(BIN)/python -m scripts.build --check
	@$(BIN)/python -m scripts.glossary --check
	@$(BIN)/python -m scripts.proof --check
	@$(BIN)/python -m scripts.proof --touched
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/typos
	@$(BIN)/rumdl check --quiet .
	@$(BIN)/shellcheck scripts/*.sh .ci/run
	@$(PYTEST) -m "not browser and not slow and not services" $(TESTS)

test: ## Run everything
	@scripts/install.sh tests graphene managers system
	@date +%s > .venv/started
	@$(MAKE) --no-print-directory check TESTS="--ignore tests/lab"
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q -n auto --dist loadfile tests/lab
	@$(BIN)/coverage combine --quiet
	@$(BIN)/python -m scripts.proof --coverage
	@$(PYTEST) -m "browser or slow or services" --ignore tests/lab
	@echo "make test took $$(($$(date +%s) - $$(cat .venv/started))) seconds"

next: ## Run the lab's and the pages' tests on the current Django release (Python 3.12 or newer)
	@scripts/install.sh next servers
	@.venv-next/bin/python -m pytest -q -n auto --dist loadfile docs tests/lab

academy: ## Run the tests of the shared domain alone, for example on the MySQL of TEST_MYSQL_URL
	@scripts/install.sh tests
	@$(PYTEST) tests/lab/academy tests/lab/test_run.py

record: ## Record anew what the tests of the lab make   (ONLY=lab/django_app)
	@scripts/install.sh tests graphene managers servers
	@$(PYTEST) --regen-all $(ONLY:lab%=tests/lab%)
	@$(BIN)/python -m scripts.proof --touched

measure: ## Measure anew and draw the chart   (NAME=bulk; without it: the names)
	@scripts/install.sh tests managers system
	@$(BIN)/python -m pytest -q -s --timeout 900 --regen-all --measure "$(NAME)" tests/lab

challenge: ## Mend a broken system   (NAME=lost-update HINT=1; without them: the names)
	@scripts/install.sh tests
	@$(BIN)/python -m scripts.challenge $(NAME) $(HINT:%=--hint %)

proof: ## Show how the blocks of each page are proven
	@scripts/install.sh tests
	@$(BIN)/python -m scripts.proof

lock: ## Pin the newest versions that requirements*.in allow, with hashes
	@scripts/install.sh tests
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11.5 --generate-hashes --no-header requirements-lab.in -o requirements-lab.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11.5 --generate-hashes --no-header --constraint requirements-lab.txt requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.12 --generate-hashes --no-header requirements-next.in -o requirements-next.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11.5 --generate-hashes --no-header requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11.5 --generate-hashes --no-header --no-emit-package django requirements-graphene.in -o requirements-graphene.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11.5 --generate-hashes --no-header requirements-managers.in -o requirements-managers.txt
	$(BIN)/npm update --package-lock-only --ignore-scripts --silent

glossary: ## Write the glossary page from includes/glossary.md
	@scripts/install.sh tests
	@$(BIN)/python -m scripts.glossary

pictures: ## Take the README's screenshots and the social card anew
	@scripts/install.sh tests system
	@$(BIN)/python -m scripts.pictures

format: ## Format the Python code
	@scripts/install.sh tests
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format --quiet

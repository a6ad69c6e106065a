# make serve   preview on 127.0.0.1:8000   (PORT=8001 HOST=0.0.0.0)
# make check   the fast checks before a pull request
# make test    everything; installs what it lacks
# make build   the site, into site/
# `make help` lists the rest.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
BIN := .venv/bin

export NO_MKDOCS_2_WARNING := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHON

.PHONY: help serve build check test lock glossary pictures format

help: ## List the commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

serve: ## Preview the site with live reload
	@scripts/install.sh site
	@exec $(BIN)/python -m scripts.serve --host $(HOST) --port $(PORT)

build: ## Build the site into site/
	@scripts/install.sh site
	@$(BIN)/python -m scripts.build

check: ## Find the mistakes that can be found in seconds
	@scripts/install.sh tests
	@$(BIN)/python -m scripts.build --check
	@$(BIN)/python -m scripts.glossary --check
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/typos
	@$(BIN)/rumdl check --quiet .
	@$(BIN)/shellcheck scripts/*.sh .ci/run
	@$(BIN)/python -m pytest -q -n auto --dist loadfile -m "not browser and not slow"

test: ## Run everything
	@scripts/install.sh tests system
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest -q -n auto --dist loadfile -m "browser or slow"

lock: ## Pin the newest versions that requirements*.in allow, with hashes
	@scripts/install.sh tests
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11.5 --generate-hashes --no-header requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11.5 --generate-hashes --no-header requirements-lab.in -o requirements-lab.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11.5 --generate-hashes --no-header requirements-dev.in -o requirements-dev.txt
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

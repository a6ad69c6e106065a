check:
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

# The five verbs of every day, each one line over start.sh or tests/run.sh. `make` alone lists them.
.PHONY: help start status stop test lint

help: ## lists these
	@sed -nE 's/^([a-z]+): ## /make \1\t/p' Makefile

start: ## starts the local stack in the background
	@./start.sh --local --detach

status: ## shows what runs, and ends with 0 when all of it is healthy
	@./start.sh --status

stop: ## stops the stack, keeps its data
	@./start.sh --stop

test: ## runs the unit tests; all suites: bash tests/run.sh
	@bash tests/run.sh unit

lint: ## runs ruff, pyright, the word lint and shellcheck
	@bash tests/run.sh lint

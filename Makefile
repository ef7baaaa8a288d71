# Two commands do everything: `make run` and `make test`. They need Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
CHECKOV := out/checkov
ROWS := 200000
.DEFAULT_GOAL := help

.PHONY: help run test lint bench soak wheel-test lock sql package checkov clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it: make run PYTHON=python3.12"; exit 2; }
	@echo "Creating the environment in $(VENV) (once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: $(BIN)/.ready  ## generate 200,000 people, run the whole pipeline on them, print the result
	@rm -rf $(DEMO)
	@$(BIN)/predict-age generate --rows $(ROWS) --out $(DEMO) --seed 7
	@$(BIN)/predict-age run --source $(DEMO)/people --workspace $(DEMO)/workspace --as-of 2025-10-23
	@echo
	@echo "Against the truth that the pipeline never saw:"
	@$(BIN)/python examples/score.py $(DEMO)/workspace $(DEMO)/truth.parquet

test: $(BIN)/.ready  ## all tests; the last line counts skips
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(BIN)/.ready  ## ruff, mypy strict, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: $(BIN)/.ready  ## speed: each stage at 1 and 10 million people; the same rows by pandas, PySpark, Ray Data, DuckDB
	@$(BIN)/python benchmarks/stages.py
	@$(BIN)/python benchmarks/rivals.py

soak: $(BIN)/.ready  ## what takes longer: the deployed pipeline, its image (REQUIRE_IMAGE=1: no skip), every fault at every file operation, 200 kills, 300 odd sources, quality at 1 million, coverage over 20 seeds
	@$(MAKE) --no-print-directory checkov
	@REQUIRE_TERRAFORM=1 REQUIRE_IMAGE=$(REQUIRE_IMAGE) $(BIN)/python -m pytest -m soak tests
	@ORACLE_EXAMPLES=300 $(BIN)/python -m pytest tests/test_promise_oracle.py
	@$(BIN)/python benchmarks/faults.py
	@$(BIN)/python benchmarks/kills.py
	@$(BIN)/python benchmarks/quality.py
	@$(BIN)/python benchmarks/interval_coverage.py

checkov: $(CHECKOV)/.ready  ## what checkov says about the Terraform module and the Dockerfile: nothing but reasoned skips
	@$(CHECKOV)/bin/checkov -d . --framework terraform --framework dockerfile --skip-path $(VENV) --skip-path out --compact --quiet --skip-download

$(CHECKOV)/.ready: requirements-checkov.txt
	@$(PYTHON) -m venv --clear $(CHECKOV)
	@$(CHECKOV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-checkov.txt
	@touch $@

wheel-test: $(BIN)/.ready  ## build the wheel, install it alone elsewhere, run it
	@$(BIN)/python tests/check_wheel.py

lock:  ## compile requirements.in to requirements.txt (needs uv)
	uv pip compile requirements.in --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header -q -o requirements.txt
	uv pip compile pyproject.toml --extra aws --constraint requirements.txt --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header --no-annotate -q -o requirements-image.txt
	echo checkov | uv pip compile - --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header --no-annotate -q -o requirements-checkov.txt

sql: $(BIN)/.ready  ## DuckDB's version of the statements, from Athena's
	@$(BIN)/python -m predict_age.sql

package: $(BIN)/.ready  ## the package of the AWS functions, for terraform apply
	@$(BIN)/python -m predict_age.aws.lambda_package out/functions.zip
	@ls -l out/functions.zip

clean:  ## remove the environment and the demo
	rm -rf $(VENV) $(DEMO) dist

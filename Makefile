# Two commands do everything: `make run` and `make test`. They need Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run
DEV := $(VENV)/.dev
SERVE := $(VENV)/.serve
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCKED := --quiet --no-compile --require-hashes
UPGRADE :=
COMPILE = uv pip compile --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header --no-annotate -q $(UPGRADE)
DEMO := demo
CHECKOV := out/checkov
ROWS := 200000
.DEFAULT_GOAL := help

.PHONY: help run serve test lint docs sbom bench soak wheel-test lock sql aws-plan package checkov clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

# The program as `pip install --editable` would write it, without a build: it starts, by any path, what lies in src/.
define PROGRAM
#!/bin/sh
'''exec' "$(CURDIR)/$(BIN)/python" "$$0" "$$@"
' '''
from predict_age.__main__ import main

if __name__ == "__main__":  # workers import this file, too
    main()
endef
export PROGRAM

# Imported once, so that Python keeps them compiled: a tenth of all modules, which are not compiled when they are installed.
USED := predict_age.forkserver_preload, predict_age.pipeline.runner, predict_age.report.run_report, lightgbm, xgboost, typer.rich_utils

# Packages that a run needs.
$(RUN): requirements-run.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it: make run PYTHON=python3.12"; exit 2; }
	@echo "Creating the environment in $(VENV) (once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) uninstall --quiet --quiet --yes setuptools
	@$(PIP) install $(LOCKED) -r requirements-run.txt
	@$(BIN)/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "predict-age.pth").write_text("$(CURDIR)/src\n")'
	@$(BIN)/python -c 'import sys; sys.dont_write_bytecode = False; import $(USED)'
	@printf '%s\n' "$$PROGRAM" > $(BIN)/predict-age && chmod +x $(BIN)/predict-age
	@touch $@

# Packages that the server needs besides.
$(SERVE): requirements-serve.txt $(RUN)
	@echo "Adding what the server needs to $(VENV) (once)"
	@$(PIP) install $(LOCKED) -r requirements-serve.txt
	@touch $@

# Packages that tests and linters need besides, into the same environment: the development set holds the run set, version for version.
$(DEV): requirements-dev.txt $(RUN)
	@echo "Adding what tests and linters need to $(VENV) (once)"
	@$(PIP) install $(LOCKED) -r requirements-dev.txt
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true  # compiled modules only save time
	@touch $@

run: $(RUN)  ## generate 200,000 people, run the whole pipeline on them, print the result
	@rm -rf $(DEMO)
	@$(BIN)/predict-age generate --rows $(ROWS) --out $(DEMO) --seed 7
	@$(BIN)/predict-age run --source $(DEMO)/people --workspace $(DEMO)/workspace --as-of 2025-10-23
	@echo
	@echo "Against the truth that the pipeline never saw:"
	@$(BIN)/python examples/score.py $(DEMO)/workspace $(DEMO)/truth.parquet

serve: $(SERVE)  ## answer over HTTP about the result of make run, at http://localhost:8080
	@$(BIN)/predict-age serve --workspace $(DEMO)/workspace

test: $(DEV)  ## all tests; the last line counts skips
	@$(BIN)/python -m compileall -qq src || true  # the many processes of tests would compile all modules again
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(DEV)  ## ruff, mypy strict, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy --config-file benchmarks/mypy.ini
	@$(BIN)/lint-imports --no-cache

bench: $(DEV)  ## speed: each stage at 1 and 10 million people; the same rows by pandas, PySpark, Ray Data, DuckDB
	@$(BIN)/python benchmarks/stages.py
	@$(BIN)/python benchmarks/rivals.py

soak: $(DEV)  ## what takes longer: the deployed pipeline, its image (REQUIRE_IMAGE=1: no skip), every fault at every file operation, 200 kills, 10,000 odd sources, planted and suppressed people, quality at 1 million, coverage over 20 seeds, the server for an hour
	@$(MAKE) --no-print-directory checkov
	@REQUIRE_TERRAFORM=1 REQUIRE_IMAGE=$(REQUIRE_IMAGE) $(BIN)/python -m pytest -m soak tests
	@ORACLE_EXAMPLES=300 $(BIN)/python -m pytest tests/test_promise_oracle.py
	@ANY_DRESS_EXAMPLES=600 RELEASE_EXAMPLES=3000 $(BIN)/python -m pytest tests/test_any_dress.py tests/test_suppression.py -k "same_people or is_released"
	@SUPPRESSION_EXAMPLES=100 $(BIN)/python -m pytest tests/test_suppression_faults.py
	@$(BIN)/python benchmarks/faults.py
	@$(BIN)/python benchmarks/kills.py
	@$(BIN)/python benchmarks/suppression.py
	@$(BIN)/python benchmarks/worthless.py
	@$(BIN)/python benchmarks/odd_sources.py
	@$(BIN)/python benchmarks/personal_data.py
	@$(BIN)/python benchmarks/minors.py
	@$(BIN)/python benchmarks/minors_calibration.py
	@$(BIN)/python benchmarks/quality.py
	@$(BIN)/python benchmarks/interval_coverage.py
	@test -f $(DEMO)/workspace/published.json || $(MAKE) --no-print-directory run
	@$(BIN)/python benchmarks/serve_soak.py $(DEMO)/workspace $(DEMO)/people/*.parquet

checkov: $(CHECKOV)/.ready  ## what checkov says about the Terraform module and the Dockerfile: nothing but reasoned skips
	@$(CHECKOV)/bin/checkov -d . --framework terraform --framework dockerfile --skip-path $(VENV) --skip-path out --compact --quiet --skip-download

$(CHECKOV)/.ready: requirements-checkov.txt
	@$(PYTHON) -m venv --clear $(CHECKOV)
	@$(CHECKOV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-checkov.txt
	@touch $@

wheel-test: $(DEV)  ## build the wheel, install it alone elsewhere, run it
	@$(BIN)/python tests/check_wheel.py

lock:  ## resolve pyproject.toml into the requirements files (needs uv; UPGRADE=--upgrade takes newer versions)
	$(COMPILE) pyproject.toml -o requirements-run.txt
	$(COMPILE) pyproject.toml --extra aws --constraint requirements-run.txt -o requirements-aws.txt
	$(COMPILE) pyproject.toml --extra serve --constraint requirements-run.txt -o requirements-serve.txt
	$(COMPILE) pyproject.toml --extra aws --extra serve --group dev --constraint requirements-aws.txt -o requirements-dev.txt
	echo checkov | $(COMPILE) - -o requirements-checkov.txt
	echo "mkdocs>=1.6" | $(COMPILE) - -o requirements-docs.txt

DOCS := out/docs-venv
docs: $(DOCS)/.ready  ## the documentation site in out/site, with all links checked
	@$(PYTHON) docs/site.py out/site-pages
	@$(DOCS)/bin/mkdocs build --quiet
	@echo "out/site/index.html"

$(DOCS)/.ready: requirements-docs.txt
	@$(PYTHON) -m venv --clear $(DOCS)
	@$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-docs.txt
	@touch $@

sbom:  ## software bills of materials (CycloneDX 1.6) of the sets of a run and of the server, in out/
	@mkdir -p out
	@$(PYTHON) .ci/sbom.py requirements-run.txt out/sbom-run.json
	@$(PYTHON) .ci/sbom.py requirements-serve.txt out/sbom-serve.json

sql: $(DEV)  ## DuckDB's version of the statements, from Athena's
	@$(BIN)/python -m predict_age.sql

aws-plan: $(DEV)  ## the plan of the Terraform modules that tests compare with (needs Terraform); review its difference
	@PYTHONPATH=src:tests $(BIN)/python -m cloud.mocked tests/golden/aws_plan.txt

package: $(DEV)  ## the package of the AWS functions, for terraform apply
	@$(BIN)/python -m predict_age.aws.lambda_package out/functions.zip
	@ls -l out/functions.zip

clean:  ## remove the environment and the demo
	rm -rf $(VENV) $(DEMO) dist

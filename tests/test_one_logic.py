"""One rule, two platforms: where local runs and runs on AWS need the same rule, both use the same object."""

import ast
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from conftest import TINY, tiny_run, write_jsonl
from predict_age.aws import execution_lease, lambda_package, run_mirror, s3_documents, s3_store, state_machine, tasks
from predict_age.aws.lambdas import batch_generator, final_results, post_cleanup, pre_cleanup, runtime
from predict_age.aws.lambdas import rollback as aws_rollback
from predict_age.cli import maintain
from predict_age.config import Config
from predict_age.pipeline import recovery, runner, step_inputs
from predict_age.runs import quality_gates
from predict_age.steps import batch_generator as local_batch_generator
from predict_age.steps import create_predictions_table as local_create_predictions_table
from predict_age.steps import final_results as local_final_results
from predict_age.steps import human_qa as local_human_qa
from predict_age.steps import parallel_prediction as local_parallel_prediction
from predict_age.steps import post_cleanup as local_post_cleanup
from predict_age.storage import documents, lease, publication, result_files, retention, retention_rule, row_accounting, workspace
from predict_age.storage.manifest import verified_run
from predict_age.storage.workspace import Workspace

SOURCE = Path(inspect.getfile(Config)).parent
SAME: list[tuple[str, ModuleType, ModuleType]] = [  # rule, local side, AWS side
    ("removable_runs", retention, pre_cleanup),
    ("forget_and_delete", retention, pre_cleanup),
    ("RUN_ID", retention, pre_cleanup),
    ("result_files", step_inputs, final_results),
    ("RESULT_STEPS", step_inputs, final_results),
    ("manifest_contents", local_final_results, final_results),
    ("is_temporary_file", recovery, post_cleanup),
    ("RowAccounting", row_accounting, final_results),
    ("publish", workspace, final_results),
    ("read_published", workspace, pre_cleanup),
    ("raise_fence", workspace, execution_lease),
    ("update_pointer", publication, aws_rollback),
    ("LEASE_DOCUMENT", lease, execution_lease),
    ("ConflictError", documents, s3_store),
    ("VersionedDocument", documents, s3_documents),
    ("StepRecord", runner, runtime),
    ("STEPS", runner, state_machine),
    ("do_step", runner, tasks),
    ("new_plan", runner, tasks),
    ("GATES", quality_gates, tasks),
    ("batch_generator", local_batch_generator, batch_generator),
    ("create_predictions_table", local_create_predictions_table, tasks),
    ("people_of", local_human_qa, tasks),
    ("predict_batch", local_parallel_prediction, tasks),
    ("prediction_partitions", local_parallel_prediction, tasks),
    ("summarize_batches", local_parallel_prediction, tasks),
    ("parallel_prediction_inputs", step_inputs, tasks),
    ("BatchGeneratorInputs", local_batch_generator, batch_generator),
    ("StepResult", local_batch_generator, batch_generator),
    ("Run", runner, run_mirror),
]


@pytest.mark.parametrize(("name", "local", "aws"), SAME, ids=[f"{name}-{aws.__name__.rpartition('.')[2]}" for name, _, aws in SAME])
def test_both_sides_use_the_same_object(name: str, local: ModuleType, aws: ModuleType) -> None:
    """The same function, class or constant under the same name, and used in the AWS module, not only imported."""
    assert getattr(local, name) is getattr(aws, name)
    tree = ast.parse(Path(inspect.getfile(aws)).read_text())
    assert any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree)), "imported and not used"


def test_local_post_cleanup_uses_the_rule_of_the_manifest() -> None:
    """The folders that local post-cleanup removes are those whose files no manifest names."""
    assert local_post_cleanup.temporary_folders is result_files.temporary_folders
    for keep_predictions in (True, False):
        for folder in result_files.temporary_folders(keep_predictions):
            assert result_files.is_temporary_file(folder.replace("*", "7") + "a/b.parquet", keep_predictions)
    assert not result_files.is_temporary_file("predictions/batch_0.parquet", keep_predictions=True)
    for name in ("source/splits.json", "model/card.json", "tasks.json", "training.json", *result_files.RESULT_RECORDS):
        assert not result_files.is_temporary_file(name, keep_predictions=False), name


def test_working_copies_are_named_once() -> None:
    """No other module of the AWS side, the storage or the pipeline has a list of its own."""
    named: dict[str, list[str]] = {}
    for path in [p for package in ("aws", "storage", "pipeline") for p in (SOURCE / package).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value in (*result_files.WORKING_COPIES, *result_files.SCRATCH_FOLDERS):
                named.setdefault(path.name, []).append(node.value)
    assert set(named) == {"result_files.py"}


def test_rules_are_in_the_functions_package() -> None:
    """The zip of the functions carries the rule modules."""
    packaged = {path.relative_to(SOURCE).as_posix() for path in lambda_package.packaged_paths()}
    assert {"storage/retention_rule.py", "storage/result_files.py", "storage/manifest.py"} <= packaged


def test_defaults_are_equal() -> None:
    """The functions cannot import the configuration's schema: their default of running.keep_runs is compared here."""
    assert Config().running.keep_runs == retention_rule.DEFAULT_KEEP_RUNS
    prune = maintain.prune_command
    assert inspect.signature(prune).parameters["keep"].default == retention_rule.DEFAULT_KEEP_RUNS


@pytest.mark.parametrize("keep_predictions", [True, False])
def test_every_file_of_the_manifest_is_there_after_a_local_run(
    people_rows: list[dict[str, Any]], tmp_path: Path, keep_predictions: bool
) -> None:
    """After post-cleanup: each file has its hash, no temporary file is left, predictions stay only when configured."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows[:100])
    config = TINY.replace("[running]", f"[running]\nkeep_predictions = {str(keep_predictions).lower()}")
    outcome = tiny_run(source, tmp_path / "w", config=config)
    space = Workspace(tmp_path / "w")
    run = verified_run(space, space.run(outcome.run["run_id"]))
    assert run.problems() == []
    assert bool(run.named(result_files.PREDICTIONS)) == keep_predictions
    assert set(result_files.RESULT_RECORDS) <= set(run.files)
    files = [p.relative_to(run.folder.path).as_posix() for p in run.folder.path.rglob("*") if p.is_file()]
    assert not [name for name in files if result_files.is_temporary_file(name, keep_predictions)]

"""Inputs of each step, gathered from a run's folder and workspace. The same functions serve a local run and the tasks on AWS.

A step is imported when it is done, not before: the runner itself needs no model.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from predict_age.errors import IntegrityError
from predict_age.records.drift_state import DriftState
from predict_age.records.step_facts import Facts, HumanQaFacts, ParallelPredictionFacts, ReadSourceFacts, TrainingFacts
from predict_age.runs.run import Run
from predict_age.step import Step, StepResult
from predict_age.storage.durable_files import file_sha256
from predict_age.storage.manifest import verified_run
from predict_age.storage.result_files import RESULT_STEPS, result_files

if TYPE_CHECKING:
    from predict_age.steps.final_results import FinalResultsInputs
    from predict_age.steps.parallel_prediction import ParallelPredictionInputs
    from predict_age.steps.training import TrainingInputs
    from predict_age.storage.workspace import Workspace


def run_step(run: Run, step: Step) -> StepResult[Facts]:
    """Gather the inputs of ``step`` and do it."""
    match step.name:
        case "pre_cleanup":
            from predict_age.steps.pre_cleanup import PreCleanupInputs, pre_cleanup

            return pre_cleanup(PreCleanupInputs(run.plan, run.workspace, _leave_old_run))
        case "read_source":
            from predict_age.steps.read_source import ReadSourceInputs, read_source

            return read_source(ReadSourceInputs(run.context))
        case "training":
            from predict_age.steps.training import training

            return training(training_inputs(run))
        case "batch_generator":
            from predict_age.steps.batch_generator import BatchGeneratorInputs, batch_generator

            rows, note = run.plan.config.prediction.batch_rows, run.progress.note
            return batch_generator(BatchGeneratorInputs(run.folder.path, rows, run.plan.workers, note))
        case "create_predictions_table":
            from predict_age.steps.create_predictions_table import CreatePredictionsTableInputs, create_predictions_table

            return create_predictions_table(CreatePredictionsTableInputs(run.folder.path, run.plan.purpose))
        case "parallel_prediction":
            from predict_age.steps.parallel_prediction import parallel_prediction

            return parallel_prediction(parallel_prediction_inputs(run))
        case "human_qa":
            from predict_age.steps.human_qa import HumanQaInputs, human_qa

            source, prediction = run.folder.finished(ReadSourceFacts), run.folder.finished(ParallelPredictionFacts)
            return human_qa(HumanQaInputs(run.context, source, prediction))
        case "final_results":
            from predict_age.steps.final_results import final_results

            return final_results(final_results_inputs(run))
        case "post_cleanup":
            from predict_age.runs.current_folder import follow_published
            from predict_age.steps.post_cleanup import PostCleanupInputs, post_cleanup

            follow = partial(follow_published, run.workspace)
            return post_cleanup(PostCleanupInputs(run.folder.path, run.plan.config.running.keep_predictions, follow))
    raise ValueError(f"there is no step {step.name}")


def _leave_old_run(workspace: Workspace) -> None:
    from predict_age.runs.current_folder import leave_old_run  # heavy, and seldom needed

    leave_old_run(workspace)


def training_inputs(run: Run) -> TrainingInputs:
    """Inputs of training: models of the plan's other runs, and the data that this run's will be compared with."""
    from predict_age.steps.challengers import Challenger
    from predict_age.steps.training import BaseModel, TrainingInputs

    base = None
    if run.plan.base:
        folder = run.workspace.run(run.plan.base)
        base = BaseModel(folder.id, folder.model, folder.finished(TrainingFacts))
    others = [(run.workspace.run(name), manifest) for name, manifest in run.plan.challengers]
    challengers = tuple(Challenger(f.model, manifest, f.facts(TrainingFacts)) for f, manifest in others)
    reference = _reference(run, base.record.facts if base else None)
    return TrainingInputs(run.context, run.facts(ReadSourceFacts), base, challengers, reference, "leaks" in run.accept)


def _reference(run: Run, base: TrainingFacts | None) -> DriftState | None:
    """State of the data that this run's will be compared with: of the run whose model is used, else of the published run.

    The record of training keeps it, so that it outlives that run.
    """
    from predict_age.evaluation.drift.state import without_small_groups

    if base and base.base:
        return without_small_groups(base.reference) if base.reference else None
    earlier = run.plan.base or run.workspace.published.current
    if not earlier or earlier == run.folder.id:
        return None
    try:
        state = run.workspace.run(earlier).facts(ParallelPredictionFacts).state
    except IntegrityError:
        return None
    return without_small_groups(state) if state else None


def parallel_prediction_inputs(run: Run) -> ParallelPredictionInputs:
    """Inputs of parallel prediction; the base run's manifest is compared with its published content hash."""
    from predict_age.steps.parallel_prediction import ParallelPredictionInputs

    base = verified_run(run.workspace, run.workspace.run(run.plan.base)) if run.plan.base else None
    folder = run.folder
    return ParallelPredictionInputs(run.context, folder.finished(ReadSourceFacts), folder.finished(TrainingFacts), base)


def final_results_inputs(run: Run) -> FinalResultsInputs:
    """Inputs of final results: everything that the manifest names, and how the run is published."""
    from predict_age.steps.final_results import FinalResultsInputs

    plan, folder = run.plan, run.folder
    outputs = [run.outputs(step) for step in RESULT_STEPS]
    files = result_files(outputs, lambda name: file_sha256(folder.path / name), plan.config.running.keep_predictions)
    return FinalResultsInputs(
        run.context,
        run.facts(ReadSourceFacts),
        run.facts(TrainingFacts),
        run.facts(ParallelPredictionFacts),
        folder.finished(HumanQaFacts),
        files,
        None
        if plan.shadow
        else lambda seal: run.workspace.publish(run.lease, plan.run_id, plan.quarter, seal, plan.suppression_list),
    )

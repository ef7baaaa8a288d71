"""Checks of tasks before they put anything into S3, with everything around these checks replaced."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from predict_age.aws import tasks
from predict_age.errors import IntegrityError, LeaseLostError, QualityError
from predict_age.storage.durable_files import write_json


class Mirror:
    """A run of which every step is done, with its settings."""

    def __init__(self, job: Any, scratch: Path) -> None:
        self.job, self.folder = job, SimpleNamespace(path=scratch)
        write_json(scratch / "run.json", {"config": {"running": {"attempts": 1, "hang_seconds": 1}}})

    def suppression(self) -> None:
        return None

    def run(self, *_: object) -> Any:
        def lost() -> None:
            raise LeaseLostError("another execution took the workspace")

        said, lease = SimpleNamespace(note=lambda _: None), SimpleNamespace(check=lost)
        return SimpleNamespace(is_done=lambda _: True, check_source=lambda: None, folder=self.folder, lease=lease, progress=said)

    def bring(self, *_: object) -> None:
        return None


@contextlib.contextmanager
def pool(*_: object) -> Any:
    """A pool whose only task is done at once."""

    def run(work: object, todo: list[object], put: Callable[[int, Any], None], names: list[str]) -> None:
        put(0, SimpleNamespace(as_json=dict))

    yield SimpleNamespace(run=run)


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A job whose store notes what is put into it."""
    monkeypatch.setattr(tasks, "RunMirror", Mirror)
    monkeypatch.setattr(tasks, "Pool", pool)
    stored: list[str] = []
    store = SimpleNamespace(put_part=lambda name, data: stored.append(name), document=lambda name: {"batches": [0]})
    return SimpleNamespace(store=store, stored=stored, name=str, run_id="r", task=0)


@pytest.mark.parametrize(("work", "step"), [(tasks.train, "training"), (tasks.collect, "parallel_prediction")])
def test_a_task_applies_the_gate_of_its_step(
    job: Any, work: Callable[..., None], step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the step itself was done by an earlier execution, which the gate had ended."""

    def refuses(run: object) -> None:
        raise QualityError("not good enough")

    monkeypatch.setattr(tasks, "GATES", {**dict.fromkeys(tasks.GATES, lambda run: None), step: refuses})
    with pytest.raises(QualityError):
        work(job, tmp_path)


def test_a_task_that_lost_its_lease_puts_nothing(job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_write_schema", "parallel_prediction_inputs"):
        monkeypatch.setattr(tasks, name, lambda _: None)
    monkeypatch.setattr(tasks, "prediction_partitions", lambda _: [SimpleNamespace(key="k")])
    monkeypatch.setattr(tasks, "receipt_in", lambda *_: None)
    with pytest.raises(LeaseLostError):
        tasks.predict(job, tmp_path)
    assert job.stored == []


@pytest.mark.parametrize(
    ("key", "predictions", "people", "valid"),
    [("k", "a", "b", True), ("other", "a", "b", False), ("k", "x", "b", False), ("k", "a", "x", False), ("k", None, "b", False)],
)
def test_a_batch_is_done_for_its_rows_and_model_alone(
    job: Any, key: str, predictions: str | None, people: str, valid: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receipt of the same key, and both files as it says; a batch of another model or rows is predicted again."""
    found = SimpleNamespace(from_json=lambda *_: SimpleNamespace(key="k", file_sha256="a"))
    monkeypatch.setattr(tasks, "Receipt", found)
    monkeypatch.setattr(tasks, "from_json", lambda *_: SimpleNamespace(people_sha256="b", people=1))
    stored = {"predictions": predictions, "people": people}

    def head(name: str) -> Any:
        digest = stored["people" if "/people/" in name else "predictions"]
        return None if digest is None else SimpleNamespace(sha256=digest)

    job.store.head = head
    assert (tasks.receipt_in(job, 0, key) is not None) == valid


@pytest.mark.parametrize("people", [6, 7])
def test_people_that_no_batch_has_stop_a_run(job: Any, people: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batches hold three people each: six are complete, a seventh is missing."""
    facts = SimpleNamespace(people=people, to_predict=0)
    inputs = SimpleNamespace(source=SimpleNamespace(facts=facts))
    batch = SimpleNamespace(file_sha256="a", contents=None)
    receipt = SimpleNamespace(batch=batch, people=SimpleNamespace(people=3, people_sha256="b"))
    monkeypatch.setattr(tasks, "_write_schema", lambda _: None)
    monkeypatch.setattr(tasks, "parallel_prediction_inputs", lambda _: inputs)
    monkeypatch.setattr(tasks, "prediction_partitions", lambda _: [SimpleNamespace(key="k")] * 2)
    monkeypatch.setattr(tasks, "receipt_in", lambda *_: receipt)
    monkeypatch.setattr(tasks, "summarize_batches", lambda *_: None)
    with contextlib.nullcontext() if people == 6 else pytest.raises(IntegrityError, match="people are missing"):
        assert len(tasks._collect_batches(job, object()).outputs) == 4

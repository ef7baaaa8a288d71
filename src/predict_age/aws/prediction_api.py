"""The prediction API as a Lambda function: the application of `predict-age serve` over a workspace in S3."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from predict_age.aws.http_events import HttpEvent, Reply, answer_event
from predict_age.aws.s3_store import Store
from predict_age.aws.served_workspace import LocalCopy, ServedWorkspace, people_in_s3
from predict_age.errors import PredictAgeError
from predict_age.serving.application import Service
from predict_age.serving.asgi import AsgiApplication
from predict_age.serving.served_model import Watch
from predict_age.storage.durable_files import make_folder

CHECK_SECONDS = 1.0  # between two questions to S3 whether pointer or list have changed; as often as the server asks its disk


class PredictionApi:
    """Answers events one after another. Between two it follows the workspace: another run, another suppression list."""

    def __init__(self, store: Store, root: Path, notice: Callable[[str], None], seconds: float = CHECK_SECONDS) -> None:
        make_folder(root / "runs")
        self.copy = LocalCopy(ServedWorkspace(root, store))
        self.watch = Watch(self.copy.workspace, notice, people_of=partial(people_in_s3, store))
        self.application = AsgiApplication(Service(self.watch, None, behind_gateway=True))
        self._seconds, self._checked, self._refused = seconds, -1e9, ""
        self._loop = asyncio.Runner()

    def handle(self, event: HttpEvent) -> Reply:
        """The reply to an event. No error leaves it: the client gets a problem, the log the type of the error."""
        self.follow()
        return self._loop.run(answer_event(self.application, event))

    def follow(self) -> None:
        """Load what is published, or what has changed since. Unusable files are refused; the model before serves on."""
        if time.monotonic() - self._checked < self._seconds:
            return
        recheck = self.watch.damage.due()
        try:
            self._bring(recheck)
            if self.watch.served is None:
                self.watch.load()
            if self.watch.list_changed():
                self.watch.read_list()
            if self.watch.pointer_changed():
                self.watch.follow_pointer()
            if recheck:
                self.watch.recheck_damage()
            self._refused = ""
        except Exception as error:  # whatever is wrong with the workspace, the client gets a problem
            self._refuse(error)
        self._checked = time.monotonic()

    def _bring(self, again: bool) -> None:
        """Bring what has changed, and everything ``again`` where a file may have been brought back."""
        if again or (self.watch.model_problem and self.watch.pointer_changed()):
            self.copy.forget()
        self.copy.bring_pointer()
        self.copy.bring_list()

    def _refuse(self, error: Exception) -> None:
        """Serve nothing about people: whether the suppression list is still the newest is not known."""
        sentence = error.message if isinstance(error, PredictAgeError) else type(error).__name__
        if sentence != self._refused:
            self.watch.notice(f"nothing about people is answered: {sentence}")
        self._refused = self.watch.suppression_problem = sentence

    def close(self) -> None:
        """End the loop that answers."""
        self._loop.close()

"""The pointer: which run readers see, and the result of each quarter. Every change is one conditional replacement."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from predict_age.errors import BusyError, ConfigError, IntegrityError, LeaseLostError
from predict_age.storage.documents import ConflictError, DocumentStore

POINTER = "published"
HISTORY_ENTRIES = 50
POINTER_TRIES = 50


@dataclass(frozen=True)
class Published:
    """The published pointer: the runs that readers see.

    ``current`` is a run id or empty; ``quarters`` names the run of each quarter; ``manifests`` holds the content hash
    of each of these runs' manifests, so that every byte of a result can be verified. ``fence`` is the newest lease token: a
    publication with an older one is refused. ``removing`` are runs that are being deleted and must not be published again.
    ``champion`` is the run whose model is used where none is named. ``suppression`` is the newest generation of the suppression
    list, 0 when there never was one, and ``suppression_list`` the content hash of that list.
    """

    current: str = ""
    quarters: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, str] = field(default_factory=dict)
    fence: int = 0
    removing: list[str] = field(default_factory=list)
    champion: str = ""
    history: list[dict[str, str]] = field(default_factory=list)
    suppression: int = 0
    suppression_list: str = ""

    def as_json(self) -> dict[str, object]:
        """The contents of published.json."""
        absent = () if self.suppression else ("suppression", "suppression_list")
        return {name: value for name, value in asdict(self).items() if name not in absent}

    @property
    def run_ids(self) -> set[str]:
        """Runs that some reader may be reading."""
        return {self.current, *self.quarters.values()} - {""}

    @property
    def kept(self) -> set[str]:
        """Runs that retention must not remove, whatever their age."""
        return {self.current, self.champion} - {""}

    @property
    def previous(self) -> str:
        """The run that was current before this one; empty where there was none."""
        for entry in reversed(self.history):
            if entry["event"] != "promoted" and entry["run"] == self.current and entry["before"] not in ("", self.current):
                return str(entry["before"])
        return ""

    def with_current(self, run_id: str, quarter: str, content_hash: str, event: str) -> Published:
        """The pointer after ``run_id`` has become current and the result of its quarter, and its model the champion."""
        quarters = {**self.quarters, quarter: run_id}
        manifests = {**self.manifests, run_id: content_hash}
        named = {run_id, *quarters.values()}
        now = dt.datetime.now(dt.UTC).replace(microsecond=0).isoformat()
        entry = {"at": now, "event": event, "run": run_id, "before": self.current}
        return replace(
            self,
            current=run_id,
            champion=run_id,
            quarters=quarters,
            manifests={r: s for r, s in manifests.items() if r in named},
            history=[*self.history, entry][-HISTORY_ENTRIES:],
        )

    def rolled_back(self, run_id: str, quarter: str, content_hash: str) -> Published:
        """The pointer after readers went back to ``run_id``; unchanged when they are there.

        ``content_hash`` of the manifest counts where the pointer has none for the run. Raises ConfigError when the run is
        being removed.
        """
        if run_id in self.removing:
            raise ConfigError(f"run {run_id} is being removed", fix="choose another run: `predict-age runs`")
        if self.current == run_id and self.quarters.get(quarter) == run_id:
            return self
        return self.with_current(run_id, quarter, self.manifests.get(run_id, content_hash), "rolled back")

    def with_champion(self, run_id: str) -> Published:
        """The pointer after the model of ``run_id`` has become the champion; what readers see stays."""
        now = dt.datetime.now(dt.UTC).replace(microsecond=0).isoformat()
        entry = {"at": now, "event": "promoted", "run": run_id, "before": self.champion}
        return replace(self, champion=run_id, history=[*self.history, entry][-HISTORY_ENTRIES:])


def read_published(documents: DocumentStore) -> Published:
    """The pointer as it is now. Raises IntegrityError when it is damaged."""
    stored = documents.get(POINTER)
    return _parse(stored.value) if stored else Published()


def _parse(value: dict[str, Any]) -> Published:
    try:
        return Published(**value)
    except TypeError as error:
        raise IntegrityError(
            "published.json cannot be understood", found=str(error), fix="`predict-age rollback --to RUN`"
        ) from None


def update_pointer(documents: DocumentStore, change: Callable[[Published], Published]) -> Published:
    """Replace the pointer by ``change(pointer)``; when another process was quicker, decide again on its pointer."""
    for _ in range(POINTER_TRIES):
        stored = documents.get(POINTER)
        before = _parse(stored.value) if stored else Published()
        after = change(before)
        if stored and after == before:
            return before
        try:
            documents.put(POINTER, after.as_json(), stored.tag if stored else None)
        except ConflictError:
            continue
        return after
    raise BusyError("the published pointer changes all the time", expected="no concurrent writer", fix="try again")


def raise_fence(documents: DocumentStore, token: int) -> int:
    """Refuse commits of tokens below ``token`` from now on; returns the fence that holds now. 0 only reads."""
    if not token:
        return read_published(documents).fence
    return update_pointer(documents, lambda now: replace(now, fence=max(now.fence, token))).fence


def note_suppression_list(documents: DocumentStore, generation: int, content_hash: str) -> None:
    """Keep in the pointer that there is a suppression list of this generation: from now on an older one counts as lost."""

    def noted(now: Published) -> Published:
        return replace(now, suppression=generation, suppression_list=content_hash) if generation > now.suppression else now

    update_pointer(documents, noted)


def publish(documents: DocumentStore, token: int, run_id: str, quarter: str, content_hash: str, suppression: str = "") -> None:
    """Switch readers to ``run_id``, which was made with the suppression list of the content hash ``suppression``.

    Raises LeaseLostError when a newer lease than ``token`` has been given out, ConfigError when the list has changed.
    """

    def switched(now: Published) -> Published:
        if now.fence != token:
            raise LeaseLostError(
                f"run {run_id} comes too late and is not published",
                expected=f"fence {token}",
                found=f"fence {now.fence}",
                fix="another run took over the workspace: let it finish",
            )
        if now.suppression_list != suppression:
            raise suppression_changed(run_id)
        return now.with_current(run_id, quarter, content_hash, "published")

    update_pointer(documents, switched)


def suppression_changed(run_id: str) -> ConfigError:
    """The error of a run that was begun with another suppression list than the current one."""
    return ConfigError(
        f"the suppression list has changed since run {run_id} began: the run is not continued and not published",
        expected="the list that it began with",
        found="another one: the run may hold people who are suppressed now",
        fix="start a new run: `predict-age run`",
    )

"""Everything that one answer comes from, loaded and checked together, and replaced as a whole when another run is published."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np

from predict_age.errors import ConfigError, InputError, IntegrityError, PredictAgeError
from predict_age.features.spec import Sql
from predict_age.predictor.loading import load_predictor
from predict_age.predictor.profile_predictor import ProfilePredictor
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.runs.lookup_files import LOOKUP
from predict_age.serving.damage import DataDamage
from predict_age.serving.people import PublishedPeople, published_people
from predict_age.serving.sent_items import warm_up_reading
from predict_age.serving.sent_records import SentRecords
from predict_age.serving.skew import compare_people, raise_skew
from predict_age.storage.manifest import VerifiedRun, verified_run
from predict_age.storage.publication import POINTER, Published
from predict_age.storage.suppression_list import FOLDER, LIST, SuppressionList, read_suppression_list
from predict_age.storage.workspace import Workspace

PeopleOf = Callable[[VerifiedRun], PublishedPeople]
POINTER_READS = 3
RETRY_SECONDS = 30  # after which a refused run is tried again: a file may have been brought back
KNOWN_ANSWERS = 50  # published people whose answers a model must repeat before it is served


@dataclass(frozen=True)
class ServedModel:
    """A predictor and the published people of one state of the pointer. A request uses one such object from beginning to end.

    ``records`` finds ids and ages inside profiles.
    """

    predictor: ProfilePredictor
    people: PublishedPeople
    records: SentRecords
    run_id: str
    quarter: str
    published: Published

    @property
    def tag(self) -> str:
        """Entity tag (RFC 9110) of everything that is answered by run and model."""
        return f'"{self.run_id}.{self.predictor.version}"'

    @property
    def facts(self) -> dict[str, object]:
        """Model, run and date of the ages, as every answer names them."""
        return {
            "model_version": self.predictor.version,
            "run_id": self.run_id,
            "as_of": self.predictor.rules.as_of.isoformat(),
        }

    @property
    def reads(self) -> dict[str, object]:
        """Names of the features, and the path in a profile of each that has one: SQL expressions have none."""
        features = self.predictor.bundle.features.features
        return {"features": list(features), "paths": {name: f.path for name, f in features.items() if not isinstance(f, Sql)}}


def nothing_published() -> ConfigError:
    """The error of a workspace without a published run."""
    return ConfigError("nothing is published in this workspace", expected="a published run", fix="`predict-age run` first")


def load_served(workspace: Workspace, people_of: PeopleOf = published_people) -> ServedModel:
    """Load and warm up what the pointer names now. Raises ConfigError where nothing is published, IntegrityError for damage."""
    for _ in range(POINTER_READS):
        before = workspace.published
        if not before.current:
            raise nothing_published()
        made = load_state(workspace, before, people_of)
        if _named(workspace.published) == _named(before):
            return made
    raise IntegrityError("the published pointer changes all the time", expected="no concurrent publication", fix="try again")


def load_state(workspace: Workspace, published: Published, people_of: PeopleOf) -> ServedModel:
    """Load and warm up what a state of the pointer names. Raises IntegrityError for damage."""
    predictor = load_predictor(workspace, published=published)
    verified_run(workspace, workspace.run(published.champion)).checked("model/")  # also where this process has it loaded already
    run = verified_run(workspace, workspace.run(published.current))
    people = people_of(run)
    predictor.warm_up()
    warm_up_reading()
    check_repeats(predictor)
    check_known_answers(run, predictor, people, read_suppression_list(workspace.root, workspace.published))
    return ServedModel(predictor, people, SentRecords.of(run.folder), run.manifest.run_id, run.manifest.quarter, published)


def _named(published: Published) -> tuple[str, str]:
    """Run and champion that the pointer names."""
    return published.current, published.champion


def check_repeats(predictor: ProfilePredictor) -> None:
    """Raise IntegrityError unless the model gives finite answers, and the same to one profile and to several."""
    some = ["{}", "null", '{"years_experience": 12}', '{"current_title": "Head of Checks"}']
    together, alone = list(predictor.predict(some * 20).each()), [next(predictor.predict([p]).each()) for p in some]
    if together != alone * 20:
        raise IntegrityError(
            "the model answers one profile otherwise than several", expected="equal answers", fix="report this, with the model"
        )


def check_known_answers(
    run: VerifiedRun, predictor: ProfilePredictor, people: PublishedPeople, suppression: SuppressionList | None
) -> None:
    """Raise IntegrityError unless some published people have their published answer, by their profiles in the source.

    A source that is gone, has changed or has ids that occur twice is not asked: `predict-age check-skew` does that.
    """
    facts = run.folder.facts(ReadSourceFacts)
    if facts.duplicate or run.folder.remote:
        return
    with suppress(InputError):
        raise_skew(compare_people(run, predictor, people, suppression, KNOWN_ANSWERS, share=1.0))


@dataclass
class Watch:
    """The workspace as a server sees it: what it serves, the suppression list, and why either is not up to date.

    ``notice`` is called with each sentence for the operator, ``people_of`` finds the published people of a run that is not on disk.
    Without a usable suppression list nothing about people is answered.
    """

    workspace: Workspace
    notice: Callable[[str], None]
    people_of: PeopleOf = published_people
    served: ServedModel | None = None
    suppression: SuppressionList | None = None
    suppression_problem: str = ""
    model_problem: str = ""
    swaps: int = 0
    refusals: int = 0
    _seen: tuple[str, str] = ("", "")
    _published: Published = field(default_factory=Published)
    _list_files: tuple[object, ...] = ()
    _pointer_file: tuple[object, ...] = ()
    _refused_at: float = 0.0

    def __post_init__(self) -> None:
        self.damage = DataDamage(self.notice)
        self._pairing = Lock()

    @property
    def gauges(self) -> dict[str, float]:
        """Numbers of runs taken up and refused, and flags of whatever is wrong, as metrics name them."""
        return {
            "model_swaps": float(self.swaps),
            "model_refusals": float(self.refusals),
            "model_refused": float(bool(self.model_problem)),
            "suppression_unusable": float(bool(self.suppression_problem)),
            "data_damaged": float(bool(self.damage.problem)),
        }

    def load(self) -> None:
        """Load everything for the first time. Raises PredictAgeError."""
        self._list_files, self._pointer_file = self._stamps()
        self._published = published = self.workspace.published
        self.suppression = read_suppression_list(self.workspace.root, published)
        self.served = load_served(self.workspace, self.people_of)
        self._seen = _named(published)
        self._prepare(self.served, self.suppression)

    def list_changed(self) -> bool:
        """Whether the suppression list, or the pointer that tells its age, may have changed: cheap, to be asked every second.

        So may a list that cannot be used: it is read again.
        """
        return bool(self.suppression_problem) or self._stamps()[0] != self._list_files

    def pointer_changed(self) -> bool:
        """Whether the pointer may have changed, or what it named was refused some time ago: cheap, to be asked every second."""
        again = bool(self.model_problem) and time.monotonic() - self._refused_at > RETRY_SECONDS
        return again or self._stamps()[1] != self._pointer_file

    def read_list(self) -> None:
        """Read the suppression list again; it counts from now on. One that cannot be used stops answers about people."""
        while True:
            self._list_files = files = self._stamps()[0]
            problem = self._read_list()
            if not problem or files == self._stamps()[0]:
                break
        before, self.suppression_problem = self.suppression_problem, problem
        if problem and not before:
            self.notice(f"nothing about people is answered: {problem}")
        elif before and not problem:
            self.notice("the suppression list can be used again")

    def _read_list(self) -> str:
        """Take up the list as it is now. Returns the problem of one that cannot be used."""
        try:
            with suppress(PredictAgeError):  # reported elsewhere; the pointer that was read before says which list is too old
                self._published = self.workspace.published
            listed = read_suppression_list(self.workspace.root, self._published)
            with self._pairing:
                if self.served is not None:
                    self._prepare(self.served, listed)
                self.suppression = listed
        except Exception as error:  # whatever is wrong with a list, nobody on it may be shown
            return _sentence(error)
        return ""

    def follow_pointer(self) -> None:
        """Serve what the pointer names once it is loaded and checked; else what was served before stays."""
        file = self._stamps()[1]
        try:
            self._follow(self.workspace.published)
            self.model_problem = ""
        except Exception as error:  # whatever is wrong with a new run, the one before is served on
            self.refusals += 1
            self._refused_at = time.monotonic()
            before, self.model_problem = self.model_problem, _sentence(error)
            if before != self.model_problem:
                self.notice(f"the newly published run is refused and the one before is served on: {self.model_problem}")
        self._pointer_file = file

    def _follow(self, published: Published) -> None:
        now = _named(published)
        if now == self._seen and not self.model_problem:
            return
        self._seen = now
        self._check_lookup(published)
        made, before = load_served(self.workspace, self.people_of), self.served
        self._take_up(made)
        self.damage.clear()
        if before is None or made.tag != before.tag:
            self.swaps += 1
            self.notice(f"run {made.run_id} with model {made.predictor.version} is served from now on")

    def _take_up(self, made: ServedModel) -> None:
        """Answer by ``made`` from now on. Where the hashes of the list are gone, a newer list is there, which is read first."""
        for again in (True, False):
            try:
                with self._pairing:
                    self._prepare(made, self.suppression)
                    self.served = made
            except OSError:
                if not again:
                    raise
                self.read_list()
            else:
                return

    def recheck_damage(self) -> None:
        """Serve the files of the served run again if they are what they should be again. A newer run may be refused meanwhile."""
        served = self.served
        if served is None:
            return
        try:
            served.people.read_damaged_again()
            self._check_lookup(served.published)
            made = load_state(self.workspace, served.published, self.people_of)
            self._take_up(made)
        except Exception:  # whatever it is, the operator knows of the damage
            self.damage.still_there()
            return
        self.damage.clear()
        self.notice(f"the files of run {made.run_id} are what they should be again")

    def _check_lookup(self, published: Published) -> None:
        """Raise IntegrityError unless every lookup file is what the manifest says."""
        run = verified_run(self.workspace, self.workspace.run(published.current))
        if not run.folder.remote:
            run.checked(LOOKUP)

    @staticmethod
    def _prepare(served: ServedModel, listed: SuppressionList | None) -> None:
        """Read the hashes of ``listed`` now: a later generation removes their file."""
        served.people.is_hidden(np.zeros(1, np.int64), listed)

    def _stamps(self) -> tuple[tuple[object, ...], tuple[object, ...]]:
        root = self.workspace.root
        pointer = _stamp(root / f"{POINTER}.json")
        return (pointer, _stamp(root / FOLDER / LIST), _stamp(root / FOLDER / "key")), (pointer,)


def _sentence(error: BaseException) -> str:
    """A sentence for the operator; of an unknown error its type alone."""
    return error.message if isinstance(error, PredictAgeError) else type(error).__name__


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns

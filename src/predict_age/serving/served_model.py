"""Everything that one answer comes from, loaded and checked together, and replaced as a whole when another run is published."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from predict_age.errors import ConfigError, InputError, IntegrityError, PredictAgeError
from predict_age.predictor.loading import load_predictor
from predict_age.predictor.profile_predictor import ProfilePredictor
from predict_age.records.step_facts import ReadSourceFacts
from predict_age.serving.people import PublishedPeople, published_people
from predict_age.serving.skew import compare_people, raise_skew
from predict_age.storage.manifest import VerifiedRun, verified_run
from predict_age.storage.publication import POINTER, Published
from predict_age.storage.suppression_list import FOLDER, LIST, SuppressionList, read_suppression_list
from predict_age.storage.workspace import Workspace

POINTER_READS = 3
KNOWN_ANSWERS = 50  # published people whose answers a model must repeat before it is served


@dataclass(frozen=True)
class ServedModel:
    """A predictor and the published people of one state of the pointer. A request uses one such object from beginning to end."""

    predictor: ProfilePredictor
    people: PublishedPeople
    run_id: str
    quarter: str

    @property
    def tag(self) -> str:
        """Entity tag (RFC 9110) of everything that is answered by run and model."""
        return f'"{self.run_id}.{self.predictor.version}"'


def load_served(workspace: Workspace) -> ServedModel:
    """Load and warm up what the pointer names now. Raises ConfigError where nothing is published, IntegrityError for damage."""
    for _ in range(POINTER_READS):
        before = workspace.published
        if not before.current:
            raise ConfigError("nothing is published in this workspace", expected="a published run", fix="`predict-age run` first")
        predictor = load_predictor(workspace)
        verified_run(workspace, workspace.run(before.champion)).checked("model/")  # also where this process has it loaded already
        run = verified_run(workspace, workspace.run(before.current))
        people = published_people(run)
        after = workspace.published
        if (after.current, after.champion) == (before.current, before.champion):
            predictor.warm_up()
            check_repeats(predictor)
            check_known_answers(run, predictor, people, read_suppression_list(workspace.root, before))
            return ServedModel(predictor, people, run.manifest.run_id, run.manifest.quarter)
    raise IntegrityError("the published pointer changes all the time", expected="no concurrent publication", fix="try again")


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

    ``notice`` is called with each sentence for the operator. Without a usable suppression list nothing about people is answered.
    """

    workspace: Workspace
    notice: Callable[[str], None]
    served: ServedModel | None = None
    suppression: SuppressionList | None = None
    suppression_problem: str = ""
    model_problem: str = ""
    swaps: int = 0
    refusals: int = 0
    _seen: tuple[str, str] = ("", "")
    _published: Published = field(default_factory=Published)
    _files: tuple[object, ...] = ()

    def load(self) -> None:
        """Load everything for the first time. Raises PredictAgeError."""
        self._files = self._signature()
        self._published = published = self.workspace.published
        self.suppression = read_suppression_list(self.workspace.root, published)
        self.served = load_served(self.workspace)
        self._seen = (published.current, published.champion)

    def changed(self) -> bool:
        """Whether the pointer or the suppression list may have changed since the last look: cheap, to be asked every second."""
        return self._signature() != self._files

    def look_again(self) -> None:
        """Read list and pointer again. A new model replaces the served one once it is loaded and checked; else that one stays."""
        files = self._signature()
        with suppress(PredictAgeError):  # a damaged pointer is told below; the one read before says which list is too old
            self._published = self.workspace.published
        try:
            self.suppression = read_suppression_list(self.workspace.root, self._published)
            self.suppression_problem = ""
        except PredictAgeError as error:
            if not self.suppression_problem:
                self.notice(f"nothing about people is answered: {error.message}")
            self.suppression_problem = error.message
        try:
            self._follow(self.workspace.published)
            self.model_problem = ""
        except PredictAgeError as error:
            self.refusals += 1
            self.model_problem = error.message
            self.notice(f"the newly published run is refused and the one before is served on: {error.message}")
        self._files = files

    def _follow(self, published: Published) -> None:
        now = (published.current, published.champion)
        if now == self._seen and not self.model_problem:
            return
        self._seen = now
        made = load_served(self.workspace)
        if self.served is None or made.tag != self.served.tag:
            self.swaps += 1
            self.notice(f"run {made.run_id} with model {made.predictor.version} is served from now on")
        self.served = made

    def _signature(self) -> tuple[object, ...]:
        root = self.workspace.root
        return tuple(_stamp(path) for path in (root / f"{POINTER}.json", root / FOLDER / LIST, root / FOLDER / "key"))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns

"""Routes of the server: what each request needs, who may send it, and its answer."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import time
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from predict_age.errors import PredictAgeError
from predict_age.pieces import finished
from predict_age.serving.examples import document_of
from predict_age.serving.keys import Keys
from predict_age.serving.large_requests import LargeRequests
from predict_age.serving.list_pages import page_of
from predict_age.serving.messages import ARROW, JSON, NDJSON, Answered, Finding, ProblemError, Request, Response
from predict_age.serving.metrics import ServerMetrics
from predict_age.serving.newest_list import by_newest_list, check_list
from predict_age.serving.prediction import Prediction
from predict_age.serving.profile_requests import TextIds, id_expected, pid_in_path
from predict_age.serving.routes import Route, RoutedCall
from predict_age.serving.served_model import ServedModel, Watch
from predict_age.serving.small_requests import SmallRequests
from predict_age.serving.strict_json import decoded, single_item
from predict_age.serving.workers import SharedCounters
from predict_age.storage.suppression_list import SuppressionList
from predict_age.version import __version__

MAX_PIDS = 10_000
FEW_PIDS = 10  # that are looked up at once
_PORT = re.compile(":[0-9]{0,5}$")
_LATER = {"Retry-After": "2"}
LOOPBACK_NAMES = {"localhost", "127.0.0.1", "[::1]"}


@dataclass
class Service:
    """The application of a server: routes, keys, metrics, and the watched workspace."""

    watch: Watch
    keys: Keys | None
    metrics: ServerMetrics = field(default_factory=ServerMetrics)
    started: float = field(default_factory=time.monotonic)
    draining: bool = False
    small: SmallRequests = field(default_factory=SmallRequests)
    others: SharedCounters | None = None
    behind_gateway: bool = False  # which authorizes whoever asks

    def __post_init__(self) -> None:
        self.large, self.wants_key = LargeRequests(self.small), self.keys is not None or self.behind_gateway
        bodies = (JSON, NDJSON, ARROW)
        self.routes = [
            Route("POST", "/v1/predict", "predict", self._predict, bodies),
            Route("GET", "/v1/people/", "people", self._person),
            Route("POST", "/v1/people:lookup", "people", self._people, (JSON,)),
            Route("GET", "/v1/model", "predict", self._model),
            Route("GET", "/v1/runs", "predict", self._runs),
            Route("GET", "/health", "", self._health, model=False),
            Route("GET", "/v2", "", self._server, model=False),
            Route("GET", "/v2/health/live", "", lambda _: _json({"live": True}), model=False),
            Route("GET", "/v2/health/ready", "", self._ready, model=False),
            Route("GET", "/v2/models/", "predict", self._one_model),
            Route("GET", "/metrics", "metrics", self._metrics, model=False),
            Route("GET", "/openapi.json", "", lambda _: _json(document_of(self.watch.served, self.wants_key)), model=False),
            Route("GET", "/", "", self._page, model=False),
        ]
        self._exact = {route.path: route for route in self.routes}

    def route_of(self, path: str) -> tuple[Route | None, str]:
        """The route of ``path``, and the part of it that the route takes."""
        found = self._exact.get(path)
        if found is not None and not found.takes_part:
            return found, ""
        head, slash, rest = path.rpartition("/")
        if path.startswith("/v2/models/"):
            return self._exact["/v2/models/"], path.removeprefix("/v2/models/")
        found = self._exact.get(head + slash)
        return (found, rest) if found is not None and found.takes_part and rest else (None, "")

    def before_body(self, request: Request) -> Response | None:
        """Refuse what needs no body to be refused: host, route, method, key, content type, load."""
        try:
            route, _ = self.route_of(request.path)
            host = _PORT.sub("", request.headers.get("host", "localhost")).lower()
            if not (self.keys or self.behind_gateway or host in LOOPBACK_NAMES):  # a page's own name may lead here
                raise ProblemError(403, "without keys the server answers to names of this machine only")
            if route is None:
                raise ProblemError(404, "there is no such path", Finding("a path that /openapi.json lists"))
            methods = {route.method, "HEAD"} if route.method == "GET" else {route.method}
            if request.method not in methods:
                raise ProblemError(405, "the method is not possible here", headers={"Allow": ", ".join(sorted(methods))})
            if self.keys is not None and route.scope:
                self.keys.check(request.headers.get("authorization", ""), route.scope, dt.datetime.now(dt.UTC).date())
            if route.bodies:
                self._check_body(request, route)
            if route.model and self.watch.served is None:
                raise ProblemError(503, "no model is loaded", headers={"Retry-After": "1"})
        except ProblemError as problem:
            response = problem.response("refused")
            self.metrics.count("refused", response.status, 0.0)
            return response
        return None

    @staticmethod
    def _check_body(request: Request, route: Route) -> None:
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise ProblemError(415, "the body is compressed", Finding("a body without Content-Encoding"))
        if request.content_type not in route.bodies:
            expected = Finding(f"Content-Type: {' or '.join(route.bodies)}")
            raise ProblemError(415, "the content type is not possible here", expected, headers={"Accept": ", ".join(route.bodies)})
        if "content-length" not in request.headers and "transfer-encoding" not in request.headers:
            raise ProblemError(411, "the length of the body is not given")

    def answer(self, request: Request) -> Answered:
        """Answer a request that :meth:`before_body` let pass."""
        began = time.perf_counter()
        route, rest = self.route_of(request.path)
        assert route is not None
        try:
            made = route.handler(RoutedCall(request, self.watch.served, rest))
        except (ProblemError, PredictAgeError) as error:
            made = self._problem(error).response()
        if isinstance(made, Response):
            return self._finished(route, made, began)

        async def later() -> Response:
            try:
                response = await made
            except (ProblemError, PredictAgeError) as error:
                response = self._problem(error).response()
            return self._finished(route, response, began)

        return later()

    def _finished(self, route: Route, response: Response, began: float) -> Response:
        self.metrics.count(route.path, response.status, time.perf_counter() - began)
        return response

    def _problem(self, error: ProblemError | PredictAgeError) -> ProblemError:
        """The problem that a client sees; files of the workspace are the operator's business."""
        if isinstance(error, ProblemError):
            return error
        self.watch.damage.met(error)
        self.metrics.damaged += 1
        return ProblemError(503, "the workspace cannot be read now", headers=_LATER)

    def failed(self, error: BaseException) -> Response:
        """Answer a request that the server failed at; the operator sees the type of the error, not the request."""
        self.watch.notice(f"a request failed: {type(error).__name__}")
        self.metrics.count("failed", 500, 0.0)
        return ProblemError(500, "the server failed at this request").response("failed", close=True)

    def refused(self, response: Response) -> None:
        self.metrics.count("refused", response.status, 0.0)

    def text_ids(self, call: RoutedCall) -> TextIds:
        return TextIds(call.served.people.ids == "text")

    def _predict(self, call: RoutedCall) -> Answered:
        check_list(self.watch)

        def by(listed: SuppressionList | None) -> Prediction:
            return Prediction(call.served, listed, self.text_ids(call), self.metrics.profiles)

        prediction = by(self.watch.suppression)
        read = prediction.read_at_once(call.request)
        if read is not None:
            return self.small.answer(prediction, call.request, read)
        if self.large.full(len(call.request.body)):
            headers = {"Retry-After": "1", **self.large.limit()}
            raise ProblemError(429, "too many requests with many profiles at a time", headers=headers)
        work = by_newest_list(self.watch, lambda listed: by(listed).in_slices(call.request))
        return self._in_slices(work, len(call.request.body))

    async def _in_slices(self, work: Generator[None, None, Response], size: int) -> Response:
        made = await self.large.counted_result(work, size)
        return replace(made, headers={**made.headers, **self.large.limit()})

    def _person(self, call: RoutedCall) -> Response:
        check_list(self.watch)
        pid = pid_in_path(unquote(call.rest), self.text_ids(call))
        if pid is None:
            raise ProblemError(422, "the id in the path is none", Finding(id_expected(None, self.text_ids(call))))
        found = self._row(call, pid, self.watch.suppression)
        if found is None:
            raise ProblemError(404, "there is no published row")
        if call.served.tag in call.request.entity_tags:
            return Response(304, headers={"ETag": call.served.tag})
        return _json(_facts(call.served) | found, ETag=call.served.tag)

    def _people(self, call: RoutedCall) -> Answered:
        check_list(self.watch)
        members = single_item(decoded(call.request.body))
        pids = members["pids"].value if members is not None and members.keys() == {"pids"} else None
        if not isinstance(pids, list):
            raise ProblemError(422, "the body names no ids", Finding('an object {"pids": [...]}'))
        if len(pids) > MAX_PIDS:
            raise ProblemError(413, f"more than {MAX_PIDS:,} ids: send several requests")
        wrong = [
            Finding(expected, f"/pids/{n}") for n, pid in enumerate(pids) if (expected := id_expected(pid, self.text_ids(call)))
        ]
        if wrong:
            raise ProblemError(422, "some ids are none", *wrong)
        call.served.people.limit_reads(pids)
        work = by_newest_list(self.watch, lambda listed: self._rows(call, pids, listed))
        return finished(work) if len(pids) <= FEW_PIDS else self.large.result(work)

    def _rows(self, call: RoutedCall, pids: list[int | str], listed: SuppressionList | None) -> Generator[None, None, Response]:
        """The published rows of ``pids``, with a pause after each."""
        found: list[dict[str, object] | None] = []
        for pid in pids:
            found.append(self._row(call, pid, listed))
            yield
        return _json(_facts(call.served) | {"people": found}, ETag=call.served.tag)

    def _row(self, call: RoutedCall, written: int | str, listed: SuppressionList | None) -> dict[str, object] | None:
        """The published row of a person; None for unknown and for hidden people alike."""
        import numpy as np

        people = call.served.people
        pid = people.pid_of(written)
        if pid is None or people.is_hidden(np.array([pid], np.int64), listed)[0]:
            return None
        found = people.find(pid)
        return None if found is None else {"pid": written, **vars(found)}

    def _model(self, call: RoutedCall) -> Response:
        served = call.served
        if served.tag in call.request.entity_tags:
            return Response(304, headers={"ETag": served.tag})
        return _json(_facts(served) | served.reads | {"quarter": served.quarter}, ETag=served.tag)

    def _runs(self, call: RoutedCall) -> Response:
        published = self.watch.workspace.published
        asked = page_of(call.request.query)
        quarters = sorted(published.quarters.items(), reverse=True)
        left = [(quarter, run) for quarter, run in quarters if not asked.after or quarter < asked.after]
        shown = left[: asked.limit]
        runs = [{"run_id": run, "quarter": quarter, "current": run == published.current} for quarter, run in shown]
        body: dict[str, object] = {"runs": runs, "next": shown[-1][0] if len(left) > len(shown) else None}
        return _tagged(call.request, body)

    def _health(self, _: RoutedCall) -> Response:
        problem = self.watch.suppression_problem or ("" if self.watch.served else "no model is loaded")
        damage = self.watch.damage.problem
        status = "failing" if problem else "damaged" if damage else "refused a model" if self.watch.model_problem else "ok"
        return Response(503 if problem or damage or self.draining else 200, json.dumps({"status": status}).encode())

    def _ready(self, _: RoutedCall) -> Response:
        """Whether requests should be sent here: a damaged file is no reason to send none, as the others are answered."""
        ready = bool(self.watch.served) and not (self.watch.suppression_problem or self.draining)
        return Response(200 if ready else 503, json.dumps({"ready": ready}).encode())

    def _page(self, call: RoutedCall) -> Response:
        from predict_age.serving.api_page import api_page

        return api_page(document_of(self.watch.served, self.wants_key), call.request.headers.get("host", ""), self.wants_key)

    def _server(self, _: RoutedCall) -> Response:
        return _json({"name": "predict-age", "version": __version__, "extensions": []})

    def _one_model(self, call: RoutedCall) -> Response:
        name, _, more = call.rest.partition("/")
        if name != "predict-age" or more not in ("", "ready"):
            raise ProblemError(404, "there is no such model", Finding("predict-age, or predict-age/ready"))
        if more:
            return _json({"name": name, "ready": True})
        version = call.served.predictor.version
        return _json({"name": name, "versions": [version], "platform": "predict-age", "inputs": [], "outputs": []})

    def _metrics(self, _: RoutedCall) -> Response:
        gauges = {"up": 1.0, **self.watch.gauges, "uptime_seconds": time.monotonic() - self.started}
        counted = self.metrics if self.others is None else self.metrics.with_others(self.others.of_others())
        return Response(200, counted.text(gauges).encode(), "text/plain; version=0.0.4")


def _tagged(request: Request, value: dict[str, object]) -> Response:
    """An answer whose entity tag is that of its content."""
    made = _json(value)
    tag = f'"{hashlib.sha256(made.body).hexdigest()[:32]}"'
    return Response(304, headers={"ETag": tag}) if tag in request.entity_tags else replace(made, headers={"ETag": tag})


def _facts(served: ServedModel) -> dict[str, object]:
    return served.facts | {"purpose": served.predictor.rules.purpose}


def _json(value: dict[str, object], **headers: str) -> Response:
    return Response(200, json.dumps(value, ensure_ascii=False).encode(), headers=headers)

"""Metrics in Prometheus' text format: counts and times by route and status. No label tells anything about a person."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field

TIME_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)  # seconds


@dataclass
class ServerMetrics:
    """Counters of a server."""

    requests: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    times: dict[str, list[int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    profiles: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    damaged: int = 0  # requests that met damaged data

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count a request of ``route`` that took ``seconds``."""
        self.requests[route, status] += 1
        self.seconds[route] += seconds
        buckets = self.times.setdefault(route, [0] * (len(TIME_BUCKETS) + 1))
        buckets[next((i for i, limit in enumerate(TIME_BUCKETS) if seconds <= limit), len(TIME_BUCKETS))] += 1

    def state(self) -> str:
        """All counters as JSON."""
        requests = [[route, status, n] for (route, status), n in self.requests.items()]
        counters = {"requests": requests, "times": self.times, "seconds": self.seconds, "profiles": self.profiles}
        return json.dumps({**counters, "damaged": self.damaged})

    def with_others(self, states: list[str]) -> ServerMetrics:
        """These counters and those of other processes, whose states these are, added up."""
        made = ServerMetrics()
        for state in map(json.loads, [self.state(), *states]):
            for route, status, n in state["requests"]:
                made.requests[route, status] += n
            for route, buckets in state["times"].items():
                sums = made.times.setdefault(route, [0] * len(buckets))
                made.times[route] = [a + b for a, b in zip(sums, buckets, strict=True)]
            for route, seconds in state["seconds"].items():
                made.seconds[route] += seconds
            for source, n in state["profiles"].items():
                made.profiles[source] += n
            made.damaged += state["damaged"]
        return made

    def text(self, gauges: dict[str, float]) -> str:
        """All counters, and ``gauges`` by name."""
        lines = ["# TYPE predict_age_requests_total counter"]
        lines += [f'predict_age_requests_total{{route="{r}",status="{s}"}} {n}' for (r, s), n in sorted(self.requests.items())]
        lines.append("# TYPE predict_age_request_seconds histogram")
        for route, buckets in sorted(self.times.items()):
            total = 0
            for limit, number in zip((*TIME_BUCKETS, "+Inf"), buckets, strict=True):
                total += number
                lines.append(f'predict_age_request_seconds_bucket{{route="{route}",le="{limit}"}} {total}')
            lines.append(f'predict_age_request_seconds_sum{{route="{route}"}} {self.seconds[route]:.6f}')
            lines.append(f'predict_age_request_seconds_count{{route="{route}"}} {total}')
        lines.append("# TYPE predict_age_profiles_total counter")
        lines += [f'predict_age_profiles_total{{source="{s}"}} {n}' for s, n in sorted(self.profiles.items())]
        lines += ["# TYPE predict_age_damage_errors_total counter", f"predict_age_damage_errors_total {self.damaged}"]
        for name, value in gauges.items():
            lines += [f"# TYPE predict_age_{name} gauge", f"predict_age_{name} {value:g}"]
        return "\n".join(lines) + "\n"

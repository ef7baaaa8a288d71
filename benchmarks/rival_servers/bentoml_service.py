"""Answers with BentoML: ``bentoml serve bentoml_service:Ages``; with BATCHING set, requests that wait are predicted together."""

from __future__ import annotations

import os

import bentoml
from ages import ages


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Ages:
    """Answers in the event loop: a thread for each request would take longer."""

    @bentoml.api(batchable="BATCHING" in os.environ, max_batch_size=10_000, max_latency_ms=1000)
    async def predict(self, profiles: list[dict]) -> list[float]:
        return ages(profiles)

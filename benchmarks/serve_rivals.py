"""The same requests answered by FastAPI with XGBoost: ``python benchmarks/serve_rivals.py PEOPLE PYTHON``.

PYTHON has fastapi, uvicorn, uvloop, httptools and xgboost installed. Its server reads twelve fields of a profile as a tutorial does
and predicts one number, without an interval, with 300 trees of six levels. Prints the processor time of a request.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from serve import Running, asked, connected, most, new_profile, post

APP = """
import re, sys
import numpy as np, uvicorn, xgboost
from fastapi import FastAPI
from pydantic import BaseModel

LEVELS = {"Intern": 0, "Junior": 1, "Mid": 2, "Senior": 3, "Lead": 4, "Manager": 5, "Director": 6, "VP": 7, "C-Level": 8}
RULES = [(re.compile(p, re.I), v) for p, v in (
         (r"\\b(chief|c[efot]o|president|founder)\\b", 5), (r"\\b(head of|director|vp)\\b", 4),
         (r"\\b(principal|lead|staff)\\b", 3), (r"\\b(senior|sr)\\b", 2), (r"\\b(junior|jr|intern|trainee)\\b", 0))]
random = np.random.default_rng(1)
matrix = random.random((20000, 12)).astype(np.float32)
data = xgboost.DMatrix(matrix, matrix @ random.random(12) * 10 + 20)
model = xgboost.train({"max_depth": 6, "nthread": 1, "eta": 0.1}, data, 300)
model.set_param({"nthread": 1})

class Item(BaseModel):
    profile: dict
    pid: int | None = None

def row(profile):
    get = profile.get
    title = get("current_title") or ""
    start = (get("career") or {}).get("start") or ""
    number = lambda name: float(get(name)) if isinstance(get(name), (int, float)) else np.nan
    return [number("tenure_months"), LEVELS.get(get("job_level"), np.nan), number("linkedin_connections"),
            number("years_experience"),
            2025 - float(start[:4]) if start[:4].isdigit() else np.nan, next((v for p, v in RULES if p.search(title)), 1.0),
            *(float(len(get(n) or [])) for n in ("positions", "skills", "certifications", "locations")),
            number("estimated_salary_usd"), number("publications_count")]

app = FastAPI()

@app.post("/v1/predict")
async def predict(item: Item):
    return {"pid": item.pid, "predicted_age": float(model.inplace_predict(np.array([row(item.profile)], np.float32))[0])}

@app.post("/v1/predict_many")
async def predict_many(items: list[Item]):
    found = model.inplace_predict(np.array([row(i.profile) for i in items], np.float32)).tolist()
    return {"answers": [{"pid": i.pid, "predicted_age": age} for i, age in zip(items, found)]}

uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False, loop="uvloop", http="httptools")
"""


def main() -> None:
    people, python = Path(sys.argv[1]), sys.argv[2]
    texts = pq.read_table(people, columns=["profile_json"]).slice(0, 5000)["profile_json"].to_pylist()
    profiles = [json.loads(text) for text in texts if (text or "").startswith("{")]
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    with tempfile.NamedTemporaryFile("w", suffix=".py") as app:
        app.write(APP)
        app.flush()
        with subprocess.Popen(["taskset", "-c", "0", python, app.name, str(port)]) as process:
            for _ in range(600):
                try:
                    connected(port).close()
                    break
                except OSError:
                    time.sleep(0.1)
            running = Running(port, process.pid)
            item = lambda: b'{"profile": ' + new_profile(profiles) + b"}"  # noqa: E731
            single = lambda: post(item())  # noqa: E731
            many = lambda: post(b"[" + b",".join(item() for _ in range(1000)) + b"]", path="/v1/predict_many")  # noqa: E731
            with connected(port) as client:
                asked(client, single())
            for name, request, requests, each in (
                ("a single profile", single, 2000, 1),
                ("a profile in JSON of 1,000", many, 16, 1000),
            ):
                began = running.processor_seconds()
                most(port, request, requests)
                spent = (running.processor_seconds() - began) / (requests * each)
                print(f"FastAPI and XGBoost, {name}: {spent * 1e6:.0f} us of the server's processor time")
            process.terminate()


if __name__ == "__main__":
    main()

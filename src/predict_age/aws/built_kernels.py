"""Machine code of kernels for the prediction API: compiled when the image is built, for a processor that NUMBA_CPU_NAME names.

``python -m predict_age.aws.built_kernels FOLDER`` trains a small model on invented people and asks the API's application everything
once. A function starts with a disk that cannot be written but for one folder, and Numba uses no cache that it cannot write to: the
code is copied there.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

BUILT, CACHE = "PREDICT_AGE_KERNELS", "NUMBA_CACHE_DIR"
PEOPLE = 3000
SETTINGS = """[training]
rounds = 30
light_rounds = 30
network_passes = 1
cross_fit_below_rows = 0
[gates]
baselines = false
worse_share = 0.0
"""


def use_built_kernels(scratch: Path) -> None:
    """Copy the code that the image holds, if it holds any, to ``scratch``; to be called before Numba is imported."""
    built = os.environ.get(BUILT, "")
    if built and Path(built).is_dir():
        shutil.copytree(built, scratch / "kernels", dirs_exist_ok=True)
        os.environ[CACHE] = str(scratch / "kernels")


def example_events() -> Iterator[dict[str, object]]:
    """Events that need every kernel of the API: single profiles and many, lines, Arrow, reasons, a person."""
    import base64

    import pyarrow as pa

    profile = '{"profile": {"years_experience": 12, "job_level": "Senior", "current_title": "Head of \\u00e9"}}'
    sink = pa.BufferOutputStream()
    table = pa.table({"profile": ['{"years_experience": 12}'] * 40})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    bodies = {
        "application/json": [profile, profile[:-1] + ', "explain": true}', f"[{','.join([profile] * 700)}]", '{"profile": {}}'],
        "application/x-ndjson": [f"{profile}\n" * 700],
        "application/vnd.apache.arrow.stream": [base64.b64encode(sink.getvalue().to_pybytes()).decode()],
    }
    for kind, texts in bodies.items():
        for text in texts:
            yield event("POST", "/v1/predict", text, kind, binary="arrow" in kind)
    yield event("GET", "/v1/people/1")


def event(method: str, path: str, body: str = "", content_type: str = "", binary: bool = False) -> dict[str, object]:
    """An event of the API, as far as the application looks at it."""
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": content_type} if content_type else {},
        "requestContext": {"http": {"method": method}, "stage": "$default", "domainName": "localhost"},
        "isBase64Encoded": binary,
        "body": body,
    }


def build_kernels(folder: Path) -> None:
    """Fill ``folder``."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        (scratch / "small.toml").write_text(SETTINGS)
        today = dt.date(2025, 10, 23).isoformat()
        program = [sys.executable, "-m", "predict_age"]
        env = os.environ | {CACHE: str(scratch / "cache")}
        for command in (
            ["generate", "--rows", str(PEOPLE), "--as-of", today, "--out", "people"],
            ["run", "--source", "people/people", "--workspace", "work", "--as-of", today, "--config", "small.toml"],
        ):
            subprocess.run([*program, *command], cwd=scratch, env=env, check=True)  # noqa: S603 - the program itself
        asking = [sys.executable, "-m", "predict_age.aws.built_kernels", "--ask", str(scratch / "work")]
        subprocess.run(asking, env=os.environ | {CACHE: str(folder)}, check=True)  # noqa: S603 - this module


def ask(workspace: Path) -> None:
    """Ask the application about a workspace on disk everything once. Raises AssertionError where it has no answer."""
    import asyncio

    import numpy as np

    from predict_age.aws.http_events import answer_event
    from predict_age.serving.application import Service
    from predict_age.serving.asgi import AsgiApplication
    from predict_age.serving.sent_items import ITEMS_TOGETHER
    from predict_age.serving.served_model import Watch
    from predict_age.storage.workspace import Workspace

    watch = Watch(Workspace.existing(workspace), print)
    watch.load()
    assert watch.served is not None
    models = watch.served.predictor.bundle
    for rows in (1, ITEMS_TOGETHER):  # also those that this model gives no weight
        models.member_outputs(np.zeros((rows, models.columns), np.float32), all_members=True)
    application = AsgiApplication(Service(watch, None, behind_gateway=True))
    with asyncio.Runner() as loop:
        for sent in example_events():
            status = loop.run(answer_event(application, sent))["statusCode"]
            assert status in (200, 404), status


if __name__ == "__main__":
    if sys.argv[1] == "--ask":
        ask(Path(sys.argv[2]))
    else:
        build_kernels(Path(sys.argv[1]))

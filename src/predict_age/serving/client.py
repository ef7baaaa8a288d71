"""A client of the server, for comparing its answers with the published ones."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from predict_age.errors import ConfigError, ResourceError
from predict_age.serving.messages import NDJSON
from predict_age.terminal_text import one_line

KEY_VARIABLE = "PREDICT_AGE_KEY"
TIMEOUT_SECONDS = 60


def asking(url: str) -> AskServer:
    """A function that asks the server at ``url`` about profiles; its key is in the environment. Raises ConfigError."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0  # a port beyond 65535 raises
    except ValueError:
        good = False
    if not good or not url.isprintable() or " " in url:
        raise ConfigError("the address of the server cannot be used", expected="http://HOST:PORT", found=one_line(url))
    return AskServer(url.rstrip("/"))


class AskServer:
    """Answers of a server, one for each profile; a profile that it does not take is answered with a problem."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, profiles: list[str | None]) -> list[dict[str, object]]:
        texts = ["null" if p is None else p.replace("\n", " ").replace("\r", " ") for p in profiles]
        lines = "\n".join(f'{{"profile": {text}}}' for text in texts)
        headers = {"Content-Type": NDJSON}
        if key := os.environ.get(KEY_VARIABLE, ""):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self._url}/v1/predict", lines.encode(), headers, method="POST")  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - http or https, checked
                return [json.loads(line) for line in answer.read().splitlines()]
        except urllib.error.HTTPError as error:
            raise ConfigError(
                f"the server at {self._url} refuses the question", expected="status 200", found=str(error.code)
            ) from None
        except (OSError, ValueError) as error:
            raise ResourceError(f"the server at {self._url} does not answer", found=type(error).__name__) from None

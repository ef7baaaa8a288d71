"""Commands that answer on demand: serve."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from predict_age.cli.app import WorkspaceOption, app, open_workspace


@app.command("serve", epilog="Example: predict-age serve --workspace work --port 8080")
def serve_command(
    workspace: WorkspaceOption,
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one and prints it.", min=0, max=65535)] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on; beyond this machine only with --keys.")] = "127.0.0.1",
    keys: Annotated[Path | None, typer.Option(help="File of clients' keys (docs/serving.md).", metavar="FILE")] = None,
) -> None:
    """Answer over HTTP: predictions of profiles, equal to the batch, and published people. Ends on SIGTERM or Ctrl-C."""
    from predict_age.serving.server import ServerSettings, serve

    def notice(sentence: str) -> None:
        sys.stderr.write(f"predict-age: {sentence}\n")
        sys.stderr.flush()

    serve(open_workspace(workspace), ServerSettings(host, port, keys), notice)

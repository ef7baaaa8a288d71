"""Commands that answer on demand: serve, check-skew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from predict_age.cli.app import JsonOption, WorkspaceOption, app, open_people, open_workspace
from predict_age.cli.output import print_json, print_line
from predict_age.runtime.command_log import stage
from predict_age.terminal_text import say


@app.command("serve", epilog="Example: predict-age serve --workspace work --port 8080")
def serve_command(
    workspace: WorkspaceOption,
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one and prints it.", min=0, max=65535)] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on; beyond this machine only with --keys.")] = "127.0.0.1",
    keys: Annotated[Path | None, typer.Option(help="File of clients' keys (docs/serving.md).", metavar="FILE")] = None,
    workers: Annotated[int, typer.Option(help="Processes that answer; one for each core that may be used.", min=1, max=512)] = 1,
    worker: Annotated[str, typer.Option(help="Used by the server itself.", hidden=True)] = "",
) -> None:
    """Answer over HTTP: predictions of profiles, equal to the batch, and published people. Ends on SIGTERM or Ctrl-C."""
    from predict_age.serving.server import ServerSettings, serve, serve_as_worker
    from predict_age.serving.workers import WorkerTask

    if worker:
        serve_as_worker(WorkerTask.from_json(worker))
        return

    def notice(sentence: str) -> None:
        say(f"predict-age: {sentence}")

    serve(open_workspace(workspace), ServerSettings(host, port, keys, workers), notice)


@app.command("check-skew", epilog="Example: predict-age check-skew --workspace work --url http://localhost:8080")
def check_skew_command(
    workspace: WorkspaceOption,
    people: Annotated[int, typer.Option(help="People to compare, drawn by a hash of their ids.", min=1)] = 10_000,
    url: Annotated[str, typer.Option(help="Server to ask; default: the predictor of this process.", metavar="URL")] = "",
    as_json: JsonOption = False,
) -> None:
    """Compare answers on demand with the published ones: equal to the last hundredth, or exit code 4 naming features."""
    from predict_age.kernels import MIN_KERNEL_ROWS, prepare_kernels
    from predict_age.serving.client import asking
    from predict_age.serving.skew import check_skew, raise_skew

    prepare_kernels(MIN_KERNEL_ROWS)
    with stage("ask for predictions and compare them with the published ones"):
        check = check_skew(open_people(workspace), people, asking(url) if url else None)
    equal = check.compared - check.different
    text = f"{equal:,} of {check.compared:,} people of run {check.run_id} have the published answer (model {check.model_version})"
    print_json(check.as_json()) if as_json else print_line(text)
    raise_skew(check)

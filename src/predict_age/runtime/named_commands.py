"""Commands named in messages, completed by the workspace so that they can be copied."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise, takewhile
from pathlib import Path

from predict_age.terminal_text import shell_word

WORKSPACE_COMMANDS = ("resume", "rollback", "runs", "models", "report", "verify", "status", "promote", "card", "prune")
_NAMED = re.compile(rf"`predict-age ({'|'.join(WORKSPACE_COMMANDS)})((?: [^`]*)?)`")


def with_workspace(text: str, workspace: Path) -> str:
    """``text`` in which each command between backticks names the ``workspace``."""
    named = f" --workspace {shell_word(shown_workspace(workspace))}"

    def complete(found: re.Match[str]) -> str:
        command, options = found[1], found[2]
        if " --workspace" in options:
            return found[0]
        if options.endswith(" --to"):  # the sentence goes on with the run
            return f"`predict-age {command}{named}{options}`"
        return f"`predict-age {command}{options}{named}`"

    return _NAMED.sub(complete, text)


def own_arguments(arguments: Sequence[str]) -> list[str]:
    """``arguments`` of a command without those that follow ``--``, which are no options of its own."""
    return list(takewhile(lambda argument: argument != "--", arguments))


def shown_workspace(workspace: Path) -> str:
    """``workspace`` as it is typed: a Path keeps one of the two slashes of s3://."""
    return re.sub("^s3:/(?!/)", "s3://", str(workspace))


def given_workspace(arguments: Sequence[str]) -> Path | None:
    """Workspace that the ``arguments`` of a command name; None where they name none."""
    for argument, following in pairwise([*arguments, ""]):
        option, equals, value = argument.partition("=")
        if option == "--workspace" and (value if equals else following):
            return Path(value if equals else following)
    return None

"""Texts of files that a command names, and the file that a misspelt name probably means."""

from __future__ import annotations

from pathlib import Path

from predict_age.errors import ConfigError
from predict_age.letters import nearest


def did_you_mean_file(path: Path) -> str:
    """Advice that names the file or folder beside ``path`` that it probably means; empty where there is none.

    Only letters may differ: a number in the name of a file may be somebody's id, which no message proposes.
    """
    digits = [c for c in path.name if c.isdigit()]
    try:
        beside = sorted(other.name for other in path.parent.iterdir() if [c for c in other.name if c.isdigit()] == digits)
    except OSError:
        return ""
    near = nearest(path.name, beside, 0.75)
    return f"did you mean {path.parent / near}?" if near else ""


def text_of_file(path: Path, what: str) -> str:
    """Text of ``path``, which is ``what``, such as "the configuration". Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        fix = did_you_mean_file(path) or "correct the name; `predict-age init` writes one"
        raise ConfigError(f"cannot read {what} {path}: there is no such file", fix=fix) from None
    except UnicodeDecodeError as error:
        found = f"bytes of another encoding at position {error.start}"
        raise ConfigError(f"cannot read {what} {path}: it is no UTF-8", found=found, fix="save it as text in UTF-8") from None
    except OSError as error:
        raise ConfigError(f"cannot read {what} {path}: {error.strerror or error}") from None

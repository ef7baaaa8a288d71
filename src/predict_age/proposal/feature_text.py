"""Text of a proposed feature file: TOML with comments that say what each entry rests on."""

from __future__ import annotations

from collections.abc import Sequence

from predict_age.proposal.candidates import Candidate, LeftOut
from predict_age.toml_text import toml_value

HEAD = """\
# Features proposed by `predict-age init` from {rows:,} records. Edit this file: say what a feature means, correct bounds, remove
# features that are not known at the time of a prediction. Every key is explained in docs/feature-file.md.

"""


def features_text(features: Sequence[Candidate], left_out: Sequence[LeftOut] = (), rows: int = 0) -> str:
    """The feature file of ``features``; fields that were left out stand at the end as comments."""
    lines = [HEAD.format(rows=rows) + "format = 1"] if rows else ["format = 1"]
    for feature in features:
        table = [f"\n# {feature.about}", f"[features.{feature.name}]"]
        lines.append("\n".join(table + [f"{key} = {toml_value(value)}" for key, value in feature.settings.items()]))
    if left_out:
        lines.append("\n# Left out:\n" + "\n".join(f"#   {_one_line(o.field)}: {_one_line(o.reason)}" for o in left_out))
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())

"""Texts of the proposed files: TOML with comments that say what each entry rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from predict_age.proposal.candidates import Candidate, LeftOut
from predict_age.toml_text import toml_value

if TYPE_CHECKING:
    from predict_age.proposal.proposal import Proposal

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


def config_text(proposal: Proposal) -> str:
    """The configuration file of a proposal."""
    columns = proposal.columns
    lines = [
        f"# Proposed by `predict-age init` from {len(proposal.sample.records):,} records.",
        "# Every key is explained in docs/configuration.md.",
        "",
        "[source]",
        f"pid = {toml_value(columns.pid.name)}  # {columns.pid.evidence}",
    ]
    if columns.repeated:
        lines.append(f"# {columns.repeated.sentence}")
    lines += [f"{age.role} = {toml_value(age.name)}  # {age.evidence}" for age in columns.ages]
    if columns.birth_date_format:
        lines.append(f"birth_date_format = {toml_value(columns.birth_date_format)}")
    about = "all other columns together are the profile" if columns.profile == "*" else "profiles are JSON in this column"
    lines.append(f"profile_json = {toml_value(columns.profile)}  # {about}")
    if proposal.groups:
        lines += [
            "",
            "# Groups that the model card compares; they are read for the card alone and are never features.",
            "[card.groups]",
        ]
        lines += [f"{name} = {toml_value(path)}" for name, path in proposal.groups.items()]
    else:
        lines += ["", "[card]", "groups = {}  # no field for groups of people was found"]
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())

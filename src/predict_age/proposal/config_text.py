"""Text of a proposed configuration file: TOML with comments that say what each entry rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from predict_age.source_config import SourceConfig
from predict_age.toml_text import toml_value

if TYPE_CHECKING:
    from predict_age.proposal.proposal import Proposal


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
    if proposal.ages.missing:
        lines.append("# the usual texts for no value, and those that stand for no date of birth here")
        lines.append(f"missing_values = {toml_value([*SourceConfig().missing_values, *proposal.ages.missing])}")
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

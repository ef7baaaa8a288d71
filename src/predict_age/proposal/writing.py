"""The two files that a proposal is written to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from predict_age.errors import ConfigError
from predict_age.features.spec import parse_features
from predict_age.proposal.columns import ColumnGuess, Role
from predict_age.proposal.config_text import config_text
from predict_age.proposal.feature_text import features_text
from predict_age.proposal.proposal import Proposal, propose_for
from predict_age.tally import counted

CONFIG_NAME, FEATURES_NAME = "predict-age.toml", "features.toml"
REASONS_NAMED = 12


@dataclass(frozen=True)
class WrittenProposal:
    """A proposal, and its configuration and feature file."""

    proposal: Proposal
    config: Path
    features: Path

    def __repr__(self) -> str:
        proposed, left = counted(len(self.proposal.features), "feature"), counted(len(self.proposal.left_out), "field")
        return (
            f"<WrittenProposal of {self.proposal.source}: {proposed} in {self.features}, {left} left out, columns in {self.config}>"
        )

    def as_json(self) -> dict[str, object]:
        columns = self.proposal.columns
        return {
            "config": str(self.config),
            "features_file": str(self.features),
            "records": len(self.proposal.sample.records),
            "columns": {guess.role: guess.name for guess in (columns.pid, *columns.ages)} | {"profile_json": columns.profile},
            "people": columns.repeated.people if columns.repeated else len(self.proposal.sample.records),
            "known_ages": self.proposal.shown_ages.known,
            "given_ages": self.proposal.shown_ages.given,
            "unused_ages": self.proposal.ages.unused,
            "likely_reason": self.proposal.ages.likely,
            "missing_values": list(self.proposal.ages.missing),
            "other_files": self.proposal.stray,
            "as_of": self.proposal.as_of.isoformat(),
            "features": {feature.name: feature.settings["kind"] for feature in self.proposal.features},
            "left_out": {left.field: left.reason for left in self.proposal.left_out},
            "groups": self.proposal.groups,
        }


def check_free(folder: Path, *, force: bool) -> None:
    """Raise ConfigError when one of the files is in ``folder`` already, unless ``force``."""
    existing = [str(path) for path in (folder / CONFIG_NAME, folder / FEATURES_NAME) if path.exists()]
    if existing and not force:
        raise ConfigError(
            f"{' and '.join(existing)} exist already", expected="no such file", fix="give another folder with --out, or --force"
        )


def write_proposal(
    source: str, as_of: dt.date, folder: Path, given: dict[Role, str], ask: Callable[[ColumnGuess], str]
) -> WrittenProposal:
    """Propose a configuration and features for ``source`` and write both files; see :func:`propose_for`.

    Raises ConfigError when no field can become a feature.
    """
    config, features = folder / CONFIG_NAME, folder / FEATURES_NAME
    proposal = propose_for(source, as_of, given, ask)
    if not proposal.features:
        raise ConfigError(
            f"no field of {source} can become a feature",
            expected="fields that several people have and that differ between people",
            found="; ".join(f"{o.field}: {o.reason}" for o in proposal.left_out[:REASONS_NAMED]) or _no_field(proposal),
            fix="write a feature file by hand: docs/feature-file.md",
        )
    text = features_text(proposal.features, proposal.left_out, len(proposal.sample.records))
    parse_features(text, str(features), tuple(a.name for a in proposal.columns.ages))
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(config_text(proposal), encoding="utf-8")
    features.write_text(text, encoding="utf-8")
    return WrittenProposal(proposal, config, features)


def _no_field(proposal: Proposal) -> str:
    """Reason why there is no field at all: perhaps everybody is known to be a minor, and left out."""
    return "nobody but known minors, who are left out" if proposal.ages.withheld.all() else "no field"

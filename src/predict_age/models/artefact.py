"""The model on disk: a folder of plain files with a manifest. No pickle: loading runs no code.

``manifest.json`` names the format, the version, the feature columns in order, and the SHA-256 of every file. A model
whose files do not match its manifest is refused before anything is loaded.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from predict_age.errors import IntegrityError
from predict_age.features.encode import Encoders
from predict_age.features.spec import parse_features
from predict_age.files import read_json, replacing, sha256, write_json
from predict_age.models.bundle import Bundle
from predict_age.models.forest import QuantileForest
from predict_age.models.ridge import RidgeModel

FORMAT = 1
FILES = ("boosted.ubj", "forest.ubj", "leaves.npz", "learned.json", "features.toml")


def save(bundle: Bundle, folder: Path, facts: dict[str, Any]) -> str:
    """Write the artefact and return its version: "xgb-" and the first 12 digits of the hash over its files' hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, booster in (("boosted.ubj", bundle.boosted), ("forest.ubj", bundle.forest.trees)):
        with replacing(folder / name) as temporary:
            temporary.write_bytes(bytes(booster.save_raw("ubj")))
    with replacing(folder / "leaves.npz") as temporary, temporary.open("wb") as stream:
        np.savez(stream, leaf_of=bundle.forest.leaf_of, shares=bundle.forest.shares)
    ridge = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(bundle.ridge).items()}
    learned = {
        "encoders": asdict(bundle.encoders), "ridge": ridge, "widen": bundle.widen, "coverage": bundle.coverage,
        "youngest": bundle.youngest, "oldest": bundle.oldest,
    }  # fmt: skip
    write_json(folder / "learned.json", learned)
    with replacing(folder / "features.toml") as temporary:
        temporary.write_text(bundle.features.text, encoding="utf-8")
    hashes = {name: sha256(folder / name) for name in FILES}
    version = "xgb-" + hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:12]
    manifest = {"format": FORMAT, "version": version, "features": bundle.features.names, "files": hashes, **facts}
    write_json(folder / "manifest.json", manifest)
    return version


@lru_cache(maxsize=2)
def load(folder: Path) -> tuple[Bundle, str]:
    """Check every file against the manifest, then load. Returns the bundle and its version; cached in a process."""
    manifest = read_json(folder / "manifest.json")
    if manifest.get("format") != FORMAT:
        raise IntegrityError(f"unknown model format in {folder}", expected=f"format {FORMAT}", found=str(manifest.get("format")))
    for name in FILES:
        found = sha256(folder / name) if (folder / name).is_file() else "no file"
        if found != manifest["files"].get(name):
            raise IntegrityError(
                f"the model file {folder / name} is damaged", expected=f"SHA-256 {manifest['files'].get(name)}", found=found,
                fix="start a new run, which trains a new model",
            )  # fmt: skip
    learned = read_json(folder / "learned.json")
    features = parse_features((folder / "features.toml").read_text(encoding="utf-8"), str(folder / "features.toml"))
    if features.names != manifest["features"]:
        raise IntegrityError(
            "the model was trained on other features", expected=str(manifest["features"]), found=str(features.names)
        )
    ridge: dict[str, Any] = {k: np.array(v) if isinstance(v, list) else v for k, v in learned["ridge"].items()}
    with np.load(folder / "leaves.npz", allow_pickle=False) as leaves:
        forest = QuantileForest(_booster(folder / "forest.ubj"), leaves["leaf_of"], leaves["shares"], learned["youngest"])
    bundle = Bundle(
        features, Encoders(**learned["encoders"]), RidgeModel(**ridge), _booster(folder / "boosted.ubj"), forest,
        learned["widen"], learned["coverage"], learned["youngest"], learned["oldest"],
    )  # fmt: skip
    return bundle, manifest["version"]


def _booster(path: Path) -> xgboost.Booster:
    booster = xgboost.Booster(model_file=str(path))
    booster.set_param({"nthread": 1})
    return booster

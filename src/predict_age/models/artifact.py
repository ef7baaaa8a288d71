"""The model on disk: a folder of plain files with a manifest. No pickle: loading runs no code.

``manifest.json`` names the format, the version, the feature columns in order, and the SHA-256 of every file. A model whose files do
not match its manifest is refused before anything is loaded.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from predict_age.errors import IntegrityError
from predict_age.features.spec import FeatureSet, parse_features
from predict_age.models.bundle import Bundle, EnsembleWeights
from predict_age.models.density_network import NETWORK_ARRAYS, DensityNetwork
from predict_age.models.learned_parameters import LearnedParameters
from predict_age.models.lgbm_model import LightGBMModel
from predict_age.models.quantile_forest import LEAF_ARRAYS, QuantileForest
from predict_age.models.ridge import RidgeModel
from predict_age.models.structure import decoding, read_arrays, unusable
from predict_age.models.xgb_model import XGBoostModel
from predict_age.storage.durable_files import creating, file_sha256, write_json

MODEL_FORMAT = 4
# 3 has no scaled residuals; 2 has no weight of Ridge, no distribution around the point, no correction by width either
READABLE_FORMATS = (2, 3, 4)
MODEL_FILES = ("boosted.ubj", "light.txt", "network.npz", "forest.ubj", "leaves.npz", "learned.json", "features.toml")


def challenger_folder(run: Path, number: int) -> Path:
    """The folder in a run of the model of challenger ``number``, counted from 0."""
    return run / f"challenger-{number + 1}"


def save_model(bundle: Bundle, folder: Path, facts: dict[str, object]) -> str:
    """Write the model's files and return its version: "age-" and the first 12 digits of the hash over the files' hashes."""
    for name, trees in (("boosted.ubj", bundle.xgboost), ("forest.ubj", bundle.forest.trees)):
        with creating(folder / name) as stream:
            stream.write(trees.content)
    with creating(folder / "leaves.npz") as stream:
        stream.write(_npz_bytes({"leaf_of": bundle.forest.leaf_of, "shares": bundle.forest.shares}))
    with creating(folder / "light.txt") as stream:
        stream.write(bundle.lightgbm.text.encode())
    with creating(folder / "network.npz") as stream:
        stream.write(_npz_bytes(asdict(bundle.network)))
    learned = {"encoders": asdict(bundle.encoders), "ridge": _ridge_json(bundle.ridge), "blend": _ensemble_json(bundle.ensemble)}
    write_json(folder / "learned.json", learned)
    with creating(folder / "features.toml") as stream:
        stream.write(bundle.features.text.encode())
    hashes = {name: file_sha256(folder / name) for name in MODEL_FILES}
    version = "age-" + hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:12]
    manifest = {"format": MODEL_FORMAT, "version": version, "features": bundle.features.names, "files": hashes, **facts}
    write_json(folder / "manifest.json", manifest)
    return version


def _ridge_json(ridge: RidgeModel) -> dict[str, object]:
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(ridge).items()}


def _ensemble_json(ensemble: EnsembleWeights) -> dict[str, object]:
    """The keys on disk, in their order."""
    return {
        "weights": ensemble.weights,
        "share": ensemble.network_share,
        "calibration": {
            "few": ensemble.calibration.missing_threshold,
            "years": ensemble.calibration.years,
            "by_cell": ensemble.calibration.by_cell,
            "width_edges": ensemble.calibration.width_edges,
            "by_width": ensemble.calibration.by_width,
        },
        "coverage": ensemble.coverage,
        "youngest": ensemble.youngest,
        "oldest": ensemble.oldest,
        "residual_share": ensemble.residual_share,
        "residuals": ensemble.residuals,
        "scaled_residuals": ensemble.scaled_residuals,
    }


def _npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An .npz whose bytes depend on the arrays only: those of ``numpy.savez`` differ between patch releases of Python."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())
    return buffer.getvalue()


@lru_cache(maxsize=2)
def load_model(folder: Path, manifest_sha256: str) -> tuple[Bundle, str]:
    """Verify the manifest and every file that it names, then load. Returns the bundle and its version; cached in a process.

    ``manifest_sha256`` comes from the run that recorded the training: a manifest that was edited together with its files is
    refused. Raises IntegrityError.
    """
    files = read_model_files(folder, manifest_sha256)
    features = files.features
    xgboost = XGBoostModel(files.content["boosted.ubj"])
    with decoding(folder / "light.txt", "trees in LightGBM's text format"):
        lightgbm = LightGBMModel(files.content["light.txt"].decode())
    columns = xgboost.feature_names
    trained = [name for name in columns if "." not in str(name)]  # columns of 0 and 1 are called by feature and number
    if not features.names == files.manifest_features == trained or columns != lightgbm.feature_names:
        raise _other_features(columns, features.names)
    with decoding(folder / "learned.json", "the parameters of the model as JSON"):
        learned = LearnedParameters.read(files.content["learned.json"], features)
    encoders = learned.fitted_encoders
    if encoders.column_names(features.names) != columns:
        raise _other_features(columns, encoders.column_names(features.names))
    with decoding(folder / "boosted.ubj", "trees in XGBoost's binary format"):
        xgboost.check_structure(len(columns))
    with decoding(folder / "light.txt", "trees in LightGBM's text format"):
        lightgbm.check_structure()
    ensemble = learned.ensemble
    sizes = {"ages": ensemble.oldest - ensemble.youngest + 1, "starts": len(features) + encoders.list_columns + 1}
    with decoding(folder / "network.npz", "the arrays of the networks"):
        network = DensityNetwork(**read_arrays(files.content["network.npz"], NETWORK_ARRAYS, sizes))
        network.check_structure()
    trees = XGBoostModel(files.content["forest.ubj"])
    with decoding(folder / "forest.ubj", "trees in XGBoost's binary format"):
        trees.check_structure(len(columns) + 1)
    with decoding(folder / "leaves.npz", "the histograms of the forest's leaves"):
        forest = QuantileForest(trees, **read_arrays(files.content["leaves.npz"], LEAF_ARRAYS, sizes))
        forest.check_structure()
    bundle = Bundle(features, encoders, learned.ridge_model, xgboost, lightgbm, network, forest, ensemble)
    return bundle, files.version


def _other_features(trained: list[str], found: list[str]) -> IntegrityError:
    return IntegrityError(
        "the model was trained on other features",
        expected=str(trained),
        found=str(found),
        fix="train a new model: run without --base",
    )


@dataclass(frozen=True)
class ModelFiles:
    """Verified files of a model: their ``content``, and what the manifest and the feature file say."""

    content: dict[str, bytes]
    version: str
    manifest_features: list[str]
    features: FeatureSet


def read_model_files(folder: Path, manifest_sha256: str) -> ModelFiles:
    """Read every file of the model once and compare it with the manifest. Raises IntegrityError."""
    content = _read_verified(folder / "manifest.json", manifest_sha256)
    with decoding(folder / "manifest.json", "a JSON object"):
        manifest = dict(json.loads(content))
        files, version, names = manifest.get("files"), manifest.get("version"), manifest.get("features")
    if manifest.get("format") not in READABLE_FORMATS:
        expected = f"format {' or '.join(map(str, READABLE_FORMATS))}"
        raise IntegrityError(f"unknown model format in {folder}", expected=expected, found=repr(manifest.get("format")))
    if not isinstance(files, dict) or set(files) != set(MODEL_FILES):
        found = ", ".join(files) or "none" if isinstance(files, dict) else type(files).__name__
        raise IntegrityError(f"the model in {folder} has other files", expected=", ".join(MODEL_FILES), found=found)
    if not isinstance(version, str) or not isinstance(names, list):
        raise unusable(folder / "manifest.json", "version, features", "a text and a list", f"{version!r}, {type(names).__name__}")
    contents = {name: _read_verified(folder / name, files[name]) for name in MODEL_FILES}
    with decoding(folder / "features.toml", "a feature file"):
        features = parse_features(contents["features.toml"].decode(), str(folder / "features.toml"), refuse=False)
    return ModelFiles(contents, version, names, features)


def _read_verified(path: Path, expected: str) -> bytes:
    """The file's bytes, hashed after reading, so that the verified bytes are those that are loaded. Raises IntegrityError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        found = error.strerror or str(error)
    else:
        found = hashlib.sha256(content).hexdigest()
        if found == expected:
            return content
    raise IntegrityError(
        f"the model file {path} is missing or damaged",
        expected=f"SHA-256 {expected}",
        found=found,
        fix="`predict-age resume` an unfinished run; otherwise use another run's model, or train",
    )


def copy_model(folder: Path, to: Path, manifest_sha256: str) -> None:
    """Copy a model file by file, verifying each against the manifest, and the manifest against ``manifest_sha256``."""
    files = json.loads(_read_verified(folder / "manifest.json", manifest_sha256))["files"]
    for name, expected in (*files.items(), ("manifest.json", manifest_sha256)):
        copy_verified_file(folder / name, to / name, expected)


def copy_verified_file(path: Path, to: Path, expected: str) -> None:
    """Copy a file whose SHA-256 must be ``expected``; IntegrityError otherwise."""
    content = _read_verified(path, expected)
    with creating(to) as stream:
        stream.write(content)

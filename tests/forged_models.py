"""Models that are consistent in their hashes and broken in their structure: decoded, changed, written again, hashed again."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from predict_age.models import artifact
from predict_age.models.tree_ensembles import ubjson
from predict_age.storage.durable_files import file_sha256

Json = Any
UBJSON_KINDS = {np.dtype(kind): letter for letter, kind in ubjson.ARRAY_DTYPES.items()}


def ubjson_bytes(value: Json) -> bytes:
    """The bytes of a value in XGBoost's binary format; arrays keep their type."""
    if isinstance(value, dict):
        return b"{" + b"".join(_text(k) + ubjson_bytes(v) for k, v in value.items()) + b"}"
    if isinstance(value, np.ndarray):
        letter = UBJSON_KINDS[value.dtype.newbyteorder(">")]
        return (
            b"[$" + letter.encode() + b"#L" + struct.pack(">q", len(value)) + value.astype(value.dtype.newbyteorder(">")).tobytes()
        )
    if isinstance(value, list):
        return b"[#L" + struct.pack(">q", len(value)) + b"".join(map(ubjson_bytes, value))
    if isinstance(value, bool):
        return b"T" if value else b"F"
    if isinstance(value, int):
        return b"L" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"D" + struct.pack(">d", value)
    return b"Z" if value is None else b"S" + _text(value)


def _text(text: str) -> bytes:
    return b"L" + struct.pack(">q", len(text.encode())) + text.encode()


@dataclass
class Model:
    """The decoded files of a model, to be changed; ``write`` makes a folder whose hashes fit."""

    boosted: Json
    forest: Json
    light: str
    learned: Json
    features: str
    network: dict[str, np.ndarray]
    leaves: dict[str, np.ndarray]
    manifest: Json
    raw: dict[str, bytes] = field(default_factory=dict)  # replaces whole files

    @classmethod
    def read(cls, folder: Path) -> Model:
        def arrays(name: str) -> dict[str, np.ndarray]:
            with np.load(folder / name) as content:
                return dict(content)

        boosted, forest = (ubjson.read((folder / name).read_bytes()) for name in ("boosted.ubj", "forest.ubj"))
        learned, manifest = (json.loads((folder / name).read_text()) for name in ("learned.json", "manifest.json"))
        light, features = (folder / "light.txt").read_text(), (folder / "features.toml").read_text()
        return cls(boosted, forest, light, learned, features, arrays("network.npz"), arrays("leaves.npz"), manifest)

    def write(self, folder: Path) -> str:
        """Write all files with hashes that fit; returns the manifest's hash, with which the model is loaded."""
        folder.mkdir(exist_ok=True)
        content = {
            "boosted.ubj": lambda: ubjson_bytes(self.boosted),
            "forest.ubj": lambda: ubjson_bytes(self.forest),
            "light.txt": lambda: self.light.encode("utf-8", "surrogateescape"),
            "learned.json": lambda: json.dumps(self.learned).encode(),
            "features.toml": self.features.encode,
            "network.npz": lambda: artifact._npz_bytes(self.network),
            "leaves.npz": lambda: artifact._npz_bytes(self.leaves),
        }
        for name in artifact.MODEL_FILES:
            (folder / name).write_bytes(self.raw[name] if name in self.raw else content[name]())
        manifest = dict(self.manifest)
        if isinstance(manifest.get("files"), dict) and manifest["files"]:
            manifest["files"] = {name: file_sha256(folder / name) for name in artifact.MODEL_FILES}
        (folder / "manifest.json").write_bytes(self.raw.get("manifest.json", json.dumps(manifest).encode()))
        return file_sha256(folder / "manifest.json")

    def trees(self, which: str) -> list[dict[str, Any]]:
        trees: list[dict[str, Any]] = getattr(self, which)["learner"]["gradient_booster"]["model"]["trees"]
        return trees

    def line(self, name: str, change: Callable[[list[str]], list[str]], tree: int = 0) -> None:
        """Change the words of a line of a LightGBM tree; the header's ``tree_sizes`` fit again."""
        head, _, rest = self.light.partition("\n\nTree=0\n")
        body, _, tail = ("Tree=0\n" + rest).partition("end of trees")
        parts = ["Tree=" + part for part in body.split("Tree=")[1:]]
        lines = parts[tree].split("\n")
        at = next(i for i, line in enumerate(lines) if line.startswith(name + "="))
        lines[at] = name + "=" + " ".join(change(lines[at].partition("=")[2].split(" ")))
        parts[tree] = "\n".join(lines)
        sizes = " ".join(str(len(part.encode())) for part in parts)
        header = "\n".join("tree_sizes=" + sizes if h.startswith("tree_sizes=") else h for h in head.split("\n"))
        self.light = header + "\n\n" + "".join(parts) + "end of trees" + tail


def deflated(arrays: dict[str, np.ndarray]) -> bytes:
    """The same .npz with compressed members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(f"{name}.npy", content.getvalue())
    return buffer.getvalue()


NUMBERS = (
    0,
    1,
    -1,
    2,
    7,
    255,
    30_000,
    10**9,
    -(2**31),
    2**31 - 1,
    2**63 - 1,
    1e-300,
    1e30,
    -1e30,
    3.4e38,
    float("nan"),
    float("inf"),
)
VALUES: tuple[Json, ...] = (*NUMBERS, None, True, "", "x", "17", [], {}, [0], {"a": 1}, [[1]])


def mutate(model: Model, random_: random.Random) -> str:
    """Change one thing of the model; returns what was done, for the message of a failure."""
    kind = random_.choice(("arrays", "arrays", "trees", "trees", "trees", "light", "light", "json", "json", "manifest", "bytes"))
    if kind == "arrays":
        arrays = random_.choice((model.network, model.leaves))
        name = random_.choice(sorted(arrays))
        arrays[name], how = changed_array(arrays[name], random_)
        return f"{name}: {how}"
    if kind == "trees":
        which = random_.choice(("boosted", "forest"))
        tree = random_.choice(model.trees(which))
        name = random_.choice(sorted(k for k, v in tree.items() if isinstance(v, np.ndarray)))
        tree[name], how = changed_array(tree[name], random_)
        return f"{which} {name}: {how}"
    if kind == "json":
        root = random_.choice((model.learned, model.learned, model.boosted, model.forest))
        return "json " + changed_json(root, random_)
    if kind == "manifest":
        return "manifest " + changed_json(model.manifest, random_)
    if kind == "light":
        name = random_.choice(
            ("num_leaves", "num_cat", "split_feature", "threshold", "decision_type", "left_child", "right_child", "leaf_value")
        )

        def words(line: list[str]) -> list[str]:
            at = random_.randrange(len(line))
            how = random_.randrange(4)
            if how == 0:
                line[at] = str(random_.choice(NUMBERS))
            elif how == 1:
                line = line[:at]
            elif how == 2:
                other = random_.randrange(len(line))
                line[at], line[other] = line[other], line[at]
            else:
                line.insert(at, line[at])
            return line

        model.line(name, words, random_.randrange(model.light.count("\nTree=")))
        return f"light {name}"
    name = random_.choice(artifact.MODEL_FILES)
    writers: dict[str, Callable[[], bytes]] = {
        "boosted.ubj": lambda: ubjson_bytes(model.boosted),
        "forest.ubj": lambda: ubjson_bytes(model.forest),
        "light.txt": model.light.encode,
        "learned.json": lambda: json.dumps(model.learned).encode(),
        "features.toml": model.features.encode,
        "network.npz": lambda: artifact._npz_bytes(model.network),
        "leaves.npz": lambda: artifact._npz_bytes(model.leaves),
    }
    content = bytearray(writers[name]())
    at = random_.randrange(len(content))
    if random_.random() < 0.3:
        content = content[:at]
    else:
        content[at] ^= 1 << random_.randrange(8)
    model.raw[name] = bytes(content)
    return f"bytes of {name} at {at}"


def changed_array(array: np.ndarray, random_: random.Random) -> tuple[np.ndarray, str]:
    """A copy with a flipped byte, swapped or odd values, another length, shape or dtype."""
    how = random_.choice(("flip", "flip", "swap", "value", "value", "cut", "longer", "dtype", "shape"))
    array = array.copy()
    if not array.size:
        return np.zeros(3, array.dtype), "some"
    flat = array.reshape(-1)
    if how == "flip":
        flat.view(np.uint8)[random_.randrange(flat.nbytes)] ^= 1 << random_.randrange(8)
    elif how == "swap":
        a, b = random_.randrange(flat.size), random_.randrange(flat.size)
        flat[a], flat[b] = flat[b], flat[a]
    elif how == "value":
        with np.errstate(all="ignore"):
            value = random_.choice(NUMBERS)
            if flat.dtype.kind != "f":
                info = np.iinfo(flat.dtype)
                value = int(min(max(value, info.min), info.max)) if np.isfinite(value) else info.max
            flat[random_.randrange(flat.size)] = value
    elif how == "cut":
        array = array[: random_.randrange(len(array))]
    elif how == "longer":
        array = np.concatenate([array, array[:1]])
    elif how == "dtype":
        with np.errstate(all="ignore"):
            array = array.astype(random_.choice((np.float64, np.int64, np.int8)))
    elif array.ndim > 1:
        array = np.ascontiguousarray(array.T)
    else:
        array = array[::-1].copy()
    return array, how


def changed_json(root: Json, random_: random.Random) -> str:
    """Change, remove or add one value below ``root``."""
    node, path = root, ""
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return path + " unchanged"
        key = random_.choice(keys)
        path += f".{key}"
        if isinstance(node[key], dict | list) and random_.random() < 0.85:
            node = node[key]
            continue
        if random_.random() < 0.15:
            del node[key]
            return path + " removed"
        node[key] = random_.choice(VALUES)
        return f"{path} = {node[key]!r}"

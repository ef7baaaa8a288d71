"""A model whose hashes fit but whose structure does not is refused with the file and the member, at once and without a crash."""

from __future__ import annotations

import copy
import datetime as dt
import json
import multiprocessing
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import TINY, shared, tiny_run, write_jsonl
from forged_models import Model, deflated, mutate, ubjson_bytes
from predict_age.errors import ConfigError, IntegrityError
from predict_age.features import spec
from predict_age.features.extract import compile_features
from predict_age.models import artifact
from predict_age.models.tree_ensembles import ubjson
from predict_age.storage.durable_files import file_sha256

Change = Callable[[Model], None]
SECONDS_FOR_ONE = 20


@pytest.fixture(scope="module")
def trained(people_rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of a small run."""

    def make(folder: Path) -> dict[str, Any]:
        config = TINY.replace("networks = 1", "networks = 2").replace(
            "[training]", '[training]\nmembers = ["xgboost", "lightgbm", "network"]'
        )
        outcome = tiny_run(write_jsonl(folder / "s.jsonl", people_rows[:400]), folder / "w", config=config)
        return {"run": outcome.run["run_id"]}

    folder, made = shared(tmp_path_factory, "model-structure", make)
    return folder / "w" / "runs" / made["run"] / "model"


@pytest.fixture
def model(trained: Path) -> Model:
    return Model.read(trained)


def load(folder: Path, manifest_sha256: str) -> Any:
    artifact.load_model.cache_clear()
    return artifact.load_model(folder, manifest_sha256)[0]


def test_model_written_again_loads_and_predicts_the_same(trained: Path, model: Model, tmp_path: Path) -> None:
    """Decoding and encoding change nothing: every refusal below is due to the change."""
    again = load(tmp_path / "m", model.write(tmp_path / "m"))
    from predict_age.storage.durable_files import file_sha256

    original = load(trained, file_sha256(trained / "manifest.json"))
    matrix = np.random.default_rng(1).uniform(0, 40, (300, original.columns)).astype(np.float32)
    assert again.predict(matrix).age.tolist() == original.predict(matrix).age.tolist()
    assert ubjson.read(ubjson_bytes(model.boosted)).keys() == model.boosted.keys()


def test_a_model_stays_valid_when_more_names_are_refused(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later version knows more names of protected attributes: new files with them are refused, published models are not broken."""
    monkeypatch.setattr(spec, "refusal_reason", lambda *_: "it is refused today")
    text = (trained / "features.toml").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="is refused: it is refused today"):
        spec.parse_features(text, "f")
    assert load(trained, file_sha256(trained / "manifest.json")).features.names
    assert len(compile_features(text + "\n", dt.date(2025, 10, 23))[0])


def test_model_of_format_3_has_residuals_in_years(trained: Path, model: Model, tmp_path: Path) -> None:
    """Format 3 knows no scale: its residuals are years; a model with scaled ones predicts alike one by one and together."""
    residuals = np.linspace(-1, 1, 21).tolist()
    model.learned["blend"] |= {"residual_share": 1.0, "residuals": residuals, "scaled_residuals": True}
    scaled = load(tmp_path / "scaled", model.write(tmp_path / "scaled"))
    assert scaled.ensemble.scaled_residuals and not scaled.ensemble.residuals_alone
    matrix = np.random.default_rng(2).uniform(0, 40, (300, scaled.columns)).astype(np.float32)
    together, alone = scaled.predict(matrix), [scaled.predict(matrix[i : i + 1]) for i in range(40)]
    for name in ("age", "lower", "upper"):
        assert getattr(together, name)[:40].tolist() == [getattr(one, name)[0] for one in alone]
    model.manifest["format"] = 3
    del model.learned["blend"]["scaled_residuals"]
    old = load(tmp_path / "old", model.write(tmp_path / "old"))
    assert old.ensemble.residuals_alone
    widths, all_the_same = together.upper - together.lower, old.predict(matrix)
    assert widths.std() > 2 * (all_the_same.upper - all_the_same.lower).std(), "each has a width of its own"


def test_model_of_format_2_predicts_without_what_it_lacks(trained: Path, model: Model, tmp_path: Path) -> None:
    """Format 2 has three weights and no distribution around the point: both count as 0."""
    model.manifest["format"] = 2
    model.learned["blend"]["weights"] = [0.5, 0.25, 0.25]
    del model.learned["blend"]["residual_share"], model.learned["blend"]["residuals"]
    old = load(tmp_path / "m", model.write(tmp_path / "m"))
    assert old.ensemble.weights == (0.5, 0.25, 0.25, 0.0)
    assert (old.ensemble.residual_share, old.ensemble.residuals) == (0.0, ())
    matrix = np.random.default_rng(1).uniform(0, 40, (300, old.columns)).astype(np.float32)
    points = 0.5 * old.xgboost.predict(matrix) + 0.25 * old.lightgbm.predict(matrix)
    points = points + 0.25 * old.evaluate_members(matrix, True)[0][:, 2]
    assert old.predict(matrix).age.tolist() == np.clip(np.floor(points + 0.5), 14, 100).tolist()


def tree_value(which: str, name: str, node: int, value: float) -> Change:
    def change(model: Model) -> None:
        model.trees(which)[0][name][node] = value

    return change


def tree_cut(which: str, name: str, length: int) -> Change:
    def change(model: Model) -> None:
        tree = model.trees(which)[0]
        array = tree[name]
        tree[name] = array[:length] if length < 0 else np.concatenate([array, array[:length]])

    return change


def leaf_value(which: str, value: float) -> Change:
    def change(model: Model) -> None:
        tree = model.trees(which)[0]
        tree["split_conditions"][int(np.flatnonzero(tree["left_children"] == -1)[0])] = value

    return change


def array(file: str, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    def changed(model: Model) -> None:
        arrays = getattr(model, file)
        arrays[name] = change(arrays[name].copy())

    return changed


def put(index: Any, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values[index] = value
        return values

    return change


def json_value(root: str, path: str, value: Any) -> Change:
    def change(model: Model) -> None:
        node = getattr(model, root)
        *parents, last = path.split("/")
        for step in parents:
            node = node[int(step) if isinstance(node, list) else step]
        if value is KeyError:
            del node[last]
        else:
            node[int(last) if isinstance(node, list) else last] = value

    return change


def no_residuals(model: Model) -> None:
    model.learned["blend"] |= {"residual_share": 0.5, "residuals": [0.0]}


def light(name: str, at: int, word: str | None) -> Change:
    return lambda model: model.line(name, lambda words: words[:at] if word is None else [*words[:at], word, *words[at + 1 :]])


def light_text(old: str, new: str) -> Change:
    def change(model: Model) -> None:
        assert old in model.light
        model.light = model.light.replace(old, new, 1)

    return change


def raw(name: str, content: Callable[[Model], bytes]) -> Change:
    def change(model: Model) -> None:
        model.raw[name] = content(model)

    return change


def without(name: str) -> Change:
    def change(model: Model) -> None:
        del model.network[name]

    return change


BROKEN: dict[str, tuple[str, str, Change]] = {  # what -> (file, member in the message, change)
    **{
        f"{which}: split on column {column}": (f"{which}.ubj", "node 0", tree_value(which, "split_indices", 0, column))
        for which in ("boosted", "forest")
        for column in (24, 30_000, -1, 2**31 - 1)
    },
    **{
        f"{which}: child {child} of the root": (f"{which}.ubj", "tree 0", tree_value(which, "left_children", 0, child))
        for which in ("boosted", "forest")
        for child in (10**9, 0, 2, -7, -1)
    },
    "boosted: right child is its own node": ("boosted.ubj", "node 1", tree_value("boosted", "right_children", 1, 1)),
    "boosted: right child is an ancestor": ("boosted.ubj", "node 1", tree_value("boosted", "right_children", 1, 0)),
    "forest: right child is an ancestor": ("forest.ubj", "node 1", tree_value("forest", "right_children", 1, 0)),
    "boosted: parent is another": ("boosted.ubj", "parents", tree_value("boosted", "parents", 1, 2)),
    **{
        f"{which}: {name} {'cut' if length < 0 else 'longer'}": (f"{which}.ubj", name, tree_cut(which, name, length))
        for which in ("boosted", "forest")
        for name in ("split_indices", "right_children", "split_conditions", "default_left", "sum_hessian")
        for length in (-1, 1)
    },
    "boosted: leaf NaN": ("boosted.ubj", "finite leaf", leaf_value("boosted", np.nan)),
    "boosted: leaf infinite": ("boosted.ubj", "finite leaf", leaf_value("boosted", np.inf)),
    "forest: leaf NaN": ("forest.ubj", "finite leaf", leaf_value("forest", np.nan)),
    "boosted: limit NaN": ("boosted.ubj", "limits that are numbers", tree_value("boosted", "split_conditions", 0, np.nan)),
    "boosted: splits by category": ("boosted.ubj", "splits by category", tree_value("boosted", "split_type", 0, 1)),
    **{
        f"boosted: {path} is {value!r}": ("boosted.ubj", member, json_value("boosted", f"learner/{path}", value))
        for path, value, member in (
            ("learner_model_param/num_feature", "30000", "num_feature"),
            ("learner_model_param/num_feature", "-1", "num_feature"),
            ("learner_model_param/num_class", "3", "num_class"),
            ("learner_model_param/base_score", "[NaN]", "base_score"),
            ("learner_model_param/base_score", "[]", "content"),
            ("gradient_booster/model/gbtree_model_param/num_trees", "1000000000", "num_trees"),
            ("gradient_booster/model/iteration_indptr", [0, 10**9], "iteration_indptr"),
            ("gradient_booster/model/tree_info", [5], "tree_info"),
            ("gradient_booster/model/trees", [], "num_trees"),
            ("gradient_booster/model/trees/0/tree_param/num_nodes", "-5", "tree_param"),
            ("gradient_booster/model/trees/0/left_children", [1, 2], "tree_param"),
            ("gradient_booster/model/trees/0/right_children", [1, 2], "right_children"),
            ("gradient_booster/model/trees/0/left_children", KeyError, "content"),
            ("gradient_booster/name", "dart", "name"),
            ("gradient_booster/name", "", "name"),
            ("learner_model_param/num_target", "", "num_target"),
        )
    },
    "forest: other number of columns": (
        "forest.ubj",
        "num_feature",
        json_value("forest", "learner/learner_model_param/num_feature", "22"),
    ),
    "light: split on a column too many": ("light.txt", "split_feature", light("split_feature", 0, "22")),
    "light: split on column 30000": ("light.txt", "split_feature", light("split_feature", 0, "30000")),
    "light: split on column -1": ("light.txt", "split_feature", light("split_feature", 0, "-1")),
    "light: cycle": ("light.txt", "tree 0", light("left_child", 0, "0")),
    "light: child too large": ("light.txt", "tree 0", light("left_child", 0, "1000000")),
    "light: leaf too large": ("light.txt", "tree 0", light("right_child", 0, "-1000000")),
    "light: leaf twice": ("light.txt", "tree 0", lambda m: m.line("left_child", lambda w: ["-1"] * len(w))),
    "light: leaf NaN": ("light.txt", "finite leaf", light("leaf_value", 0, "nan")),
    "light: leaf infinite": ("light.txt", "finite leaf", light("leaf_value", 0, "inf")),
    "light: limit NaN": ("light.txt", "limits that are numbers", light("threshold", 0, "nan")),
    "light: short line": ("light.txt", "threshold", light("threshold", 1, None)),
    "light: no number": ("light.txt", "", light("threshold", 0, "x")),
    "light: huge count": ("light.txt", "leaf_value", light("num_leaves", 0, "1000000000")),
    "light: negative count": ("light.txt", "leaf_value", light("num_leaves", 0, "-1")),
    "light: no leaves": ("light.txt", "tree 0", light("num_leaves", 0, "0")),
    "light: categories": ("light.txt", "trees", light("num_cat", 0, "1")),
    "light: sizes of trees": ("light.txt", "tree_sizes", light_text("tree_sizes=", "tree_sizes=9")),
    "light: other features": ("light.txt", "max_feature_idx", light_text("max_feature_idx=", "max_feature_idx=9")),
    "light: classes": ("light.txt", "num_class", light_text("num_class=1", "num_class=2")),
    "light: line missing": ("light.txt", "content", light_text("left_child=", "other_name=")),
    "light: no text": ("light.txt", "content", raw("light.txt", lambda m: m.light.encode() + b"\xff\xfe")),
    **{
        f"network: {name} is {value}": ("network.npz", name, array("network", name, put((..., 0), value)))
        for name in ("edges", "bins", "shift1", "hidden", "shift2", "last", "basis", "prior")
        for value in (np.nan, np.inf)
    },
    **{
        f"network: {name} cut": ("network.npz", "", array("network", name, lambda a: a[..., :-1]))
        for name in ("edges", "starts", "bins", "shift1", "hidden", "shift2", "last", "basis", "prior")
    },
    **{
        f"network: {name} of another type": ("network.npz", name, array("network", name, lambda a: a.astype(np.float64)))
        for name in ("edges", "starts", "bins", "last", "prior")
    },
    **{f"network: no {name}": ("network.npz", "members", without(name)) for name in ("edges", "bins", "prior")},
    "network: a member more": ("network.npz", "members", lambda m: m.network.update(more=np.zeros(1))),
    "network: starts too far": ("network.npz", "starts", array("network", "starts", put(-1, 10**6))),
    "network: starts negative": ("network.npz", "starts", array("network", "starts", put(1, -1))),
    "network: starts fall": ("network.npz", "starts", array("network", "starts", put(1, 10**6))),
    "network: edges fall": ("network.npz", "edges", array("network", "edges", put(0, 1e9))),
    "network: no networks": (
        "network.npz",
        "bins",
        lambda m: m.network.update({k: m.network[k][:0] for k in ("bins", "shift1", "hidden", "shift2", "last")}),
    ),
    "network: bins too few": ("network.npz", "bins", array("network", "bins", lambda a: a[:, :-1])),
    "network: one dimension less": ("network.npz", "hidden", array("network", "hidden", lambda a: a[0])),
    "network: objects": (
        "network.npz",
        "prior",
        raw("network.npz", lambda m: artifact._npz_bytes({**m.network, "prior": np.array(["x"])})),
    ),
    "network: compressed": ("network.npz", "stored", raw("network.npz", lambda m: deflated(m.network))),
    "network: a zip bomb": (
        "network.npz",
        "stored",
        raw("network.npz", lambda m: deflated({**m.network, "prior": np.zeros(10**7)})),
    ),
    "network: cut zip": ("network.npz", "content", raw("network.npz", lambda m: artifact._npz_bytes(m.network)[:-30])),
    "network: no zip": ("network.npz", "content", raw("network.npz", lambda _: b"nothing")),
    "network: negative shape": (
        "network.npz",
        "",
        raw("network.npz", lambda m: artifact._npz_bytes(m.network).replace(b"'shape': (", b"'shape':(-", 1)),
    ),
    "leaves: leaf out of range": ("leaves.npz", "", array("leaves", "leaf_of", put((0, 0), 10**6))),
    "leaves: leaf negative": ("leaves.npz", "leaf_of", array("leaves", "leaf_of", put((0, 0), -1))),
    "leaves: too few nodes": ("leaves.npz", "leaf_of", array("leaves", "leaf_of", lambda a: a[:, :3])),
    "leaves: too few trees": ("leaves.npz", "leaf_of", array("leaves", "leaf_of", lambda a: a[:1])),
    "leaves: share above 1": ("leaves.npz", "shares", array("leaves", "shares", put((0, 0), 2))),
    "leaves: share below 0": ("leaves.npz", "shares", array("leaves", "shares", put((0, 0), -0.5))),
    "leaves: share NaN": ("leaves.npz", "shares", array("leaves", "shares", put((0, 0), np.nan))),
    "leaves: shares sum to 0": ("leaves.npz", "shares", array("leaves", "shares", put(0, 0))),
    "leaves: too few ages": ("leaves.npz", "shares", array("leaves", "shares", lambda a: a[:, :-1])),
    "leaves: no leaves": ("leaves.npz", "shares", array("leaves", "shares", lambda a: a[:0])),
    **{
        f"learned: {path} is {value!r}": ("learned.json", path.replace("/", "."), json_value("learned", path, value))
        for path, value in (
            ("blend/weights", [0.5, 0.5]),
            ("blend/weights/0", 1.5),
            ("blend/weights/0", -0.1),
            ("blend/weights/0", float("nan")),
            ("blend/weights/0", "1"),
            ("blend/share", float("inf")),
            ("blend/share", -1),
            ("blend/residual_share", 1.01),
            ("blend/residual_share", float("nan")),
            ("blend/residuals/1", float("inf")),
            ("blend/residuals/1", "0"),
            ("blend/residuals", [0.0] * 202),
            ("blend/scaled_residuals", 1),
            ("blend/scaled_residuals", "yes"),
            ("blend/weights", [0.2] * 5),
            ("blend/coverage", 1.0),
            ("blend/coverage", 0),
            ("blend/youngest", -1),
            ("blend/youngest", 14.5),
            ("blend/oldest", 121),
            ("blend/oldest", 10**30),
            ("blend/oldest", True),
            ("blend/calibration/by_cell", [0.0] * 13),
            ("blend/calibration/by_cell/3", float("nan")),
            ("blend/calibration/by_cell/3", 1e9),
            ("blend/calibration/by_width", []),
            ("blend/calibration/by_width", [0.0] * 11),
            ("blend/calibration/by_width/0", float("nan")),
            ("blend/calibration/width_edges", ["1"]),
            ("blend/calibration/few", None),
            ("blend/calibration", []),
            ("ridge/spread/0", 0),
            ("ridge/weights", [1.0]),
            ("ridge/fill", []),
            ("ridge/intercept", "x"),
            ("encoders/mean", float("nan")),
            ("encoders/mean", 500),
            ("encoders/categories", {}),
            ("encoders/categories/primary_skill", {"PHP": -3}),
            ("encoders/categories/primary_skill", {str(i): 30 for i in range(10_001)}),
            ("encoders/categories/primary_skill", {"PHP": 30}),
            ("encoders/salt", "0123"),
            ("encoders", [1]),
        )
    },
    "learned: residuals fall": ("learned.json", "must rise", json_value("learned", "blend/residuals", [1.0, 0.0])),
    "learned: share of no residuals": ("learned.json", "at least two", no_residuals),
    "learned: an edge without a group": ("learned.json", "by_width", json_value("learned", "blend/calibration/width_edges", [1.0])),
    "learned: weights sum to 0": ("learned.json", "sum to 1", json_value("learned", "blend/weights", [0, 0, 0])),
    "learned: youngest above oldest": ("learned.json", "must not exceed", json_value("learned", "blend/youngest", 101)),
    "learned: no ridge": ("learned.json", "ridge", json_value("learned", "ridge", KeyError)),
    "learned: a key more": ("learned.json", "more", json_value("learned", "more", 1)),
    "learned: a list": ("learned.json", "content", raw("learned.json", lambda _: b"[]")),
    "learned: nested": ("learned.json", "content", raw("learned.json", lambda _: b"[" * 100_000)),
    "learned: no UTF-8": ("learned.json", "content", raw("learned.json", lambda _: b'{"a": "\xff"}')),
    "learned: another window": ("network.npz", "ages", json_value("learned", "blend/oldest", 99)),
    "features: no TOML": ("features.toml", "content", raw("features.toml", lambda _: b"[")),
    "features: no UTF-8": ("features.toml", "content", raw("features.toml", lambda _: b"\xff")),
    "features: nested": ("features.toml", "content", raw("features.toml", lambda _: b"a = " + b"[" * 100_000)),
    "manifest: a list": ("manifest.json", "content", raw("manifest.json", lambda _: b"[1]")),
    "manifest: version is a number": ("manifest.json", "version", json_value("manifest", "version", 5)),
    "manifest: features is nothing": ("manifest.json", "features", json_value("manifest", "features", None)),
    "manifest: files are a list": ("", "other files", json_value("manifest", "files", [1])),
    "manifest: no files": ("", "other files", json_value("manifest", "files", {})),
    "manifest: format is empty": ("", "unknown model format", json_value("manifest", "format", "")),
    "manifest: nested": ("manifest.json", "content", raw("manifest.json", lambda _: b"[" * 100_000)),
    **{
        f"{name}: {what}": (name, "content", raw(name, lambda _, c=content: c))  # type: ignore[misc]
        for name in ("boosted.ubj", "forest.ubj")
        for what, content in (
            ("empty", b""),
            ("nested", b"[" * 100_000),
            ("huge count", b"{L" + (2**62).to_bytes(8, "big")),
            ("negative count", b"{L" + (-5).to_bytes(8, "big", signed=True)),
        )
        if name == "forest.ubj"
    },
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_structure_is_refused(what: str, model: Model, tmp_path: Path) -> None:
    """Refused while it is loaded, in under a second, with expected, found, fix, the file and the member."""
    file, member, change = BROKEN[what]
    change(model)
    expected = model.write(tmp_path / "m")
    began = time.process_time()
    with pytest.raises(IntegrityError) as refused:
        load(tmp_path / "m", expected)
    assert time.process_time() - began < 1
    said = str(refused.value)
    assert not file or f"m/{file} is broken: " in said
    assert member in said, said[-400:]
    assert all(f"\n  {label}: " in said for label in ("expected", "found", "to fix")[: 3 if file else 2])


def predict_or_refuse(folder: Path, expected: str) -> str:
    """Load and predict by NumPy and by kernels: "refused", or "predicted" when all ages are finite and inside the window."""
    from predict_age.models import bundle as module

    with np.errstate(all="ignore"):
        try:
            bundle = load(folder, expected)
            matrix = np.random.default_rng(0).uniform(-5, 60, (130, bundle.columns)).astype(np.float32)
            matrix[::7, ::3] = np.nan
            for rows in (3, 130):
                outputs = bundle.member_outputs(matrix[:rows], all_members=True)
                made = bundle.ensemble.predict(outputs)
                assert isinstance(made, module.Predictions)
                bundle.ridge.predict(matrix[:rows])
        except IntegrityError as refused:
            assert "\n  expected: " in str(refused) and "\n  found: " in str(refused)
            return "refused"
    youngest, oldest = bundle.ensemble.youngest, bundle.ensemble.oldest
    assert 0 <= youngest <= oldest <= 120
    assert np.isfinite(made.lower).all() and np.isfinite(made.upper).all()
    assert (youngest <= made.lower).all() and (made.lower <= made.age).all()
    assert (made.age <= made.upper).all() and (made.upper <= oldest).all()
    return "predicted"


def fuzz(trained: Path, folder: Path, seeds: range, counts: Any, current: Any) -> None:
    """Mutate, load and predict for each seed; in a process of its own, because a crash would end it."""
    original = Model.read(trained)
    for seed in seeds:
        current.value = seed
        model, random_ = copy.deepcopy(original), random.Random(seed)
        what = [mutate(model, random_)]
        if random_.random() < 0.2:
            with suppress(LookupError, TypeError, ValueError):  # what the first mutation left cannot be changed everywhere
                what.append(mutate(model, random_))
        expected = model.write(folder)
        try:
            outcome = predict_or_refuse(folder, expected)
        except BaseException as error:
            (folder / "failure.txt").write_text(f"seed {seed}, {what}: {type(error).__name__}: {error}")
            raise
        counts[0 if outcome == "refused" else 1] += 1


def run_fuzzer(trained: Path, folder: Path, seeds: range) -> tuple[int, int]:
    """How many models were refused, and how many predicted; fails on a crash, another error, or one that takes too long."""
    context = multiprocessing.get_context("spawn")
    counts, current = context.Array("q", 2), context.Value("q", -1)
    folder.mkdir()
    process = context.Process(target=fuzz, args=(trained, folder, seeds, counts, current))
    process.start()
    try:
        seen, since = -1, time.monotonic()
        while process.is_alive():
            process.join(0.2)
            if current.value != seen:
                seen, since = current.value, time.monotonic()
            assert time.monotonic() - since < SECONDS_FOR_ONE + 40 * (seen in (-1, seeds[0])), f"seed {seen} takes too long"
    finally:
        if process.is_alive():
            process.kill()
    failure = folder / "failure.txt"
    assert process.exitcode == 0, failure.read_text() if failure.exists() else f"seed {current.value}: exit {process.exitcode}"
    return counts[0], counts[1]


def test_mutated_models_are_refused_or_predict_ages(trained: Path, tmp_path: Path) -> None:
    """300 mutations with hashes that fit: no crash, no endless loop, no other error."""
    refused, predicted = run_fuzzer(trained, tmp_path / "m", range(300))
    assert refused + predicted == 300
    assert refused > 100 and predicted > 20, "both outcomes occur"


@pytest.mark.soak
def test_many_mutated_models(trained: Path, tmp_path: Path) -> None:
    """10,000 mutations; ``MODEL_MUTATIONS`` sets another number."""
    many = int(os.environ.get("MODEL_MUTATIONS", "10000"))
    refused, predicted = run_fuzzer(trained, tmp_path / "m", range(1000, 1000 + many))
    print(json.dumps({"mutations": many, "refused": refused, "predicted": predicted}))
    assert refused + predicted == many


def test_fuzzer_notices_unchecked_models(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the checks the same mutations do what they must not: the fuzzer can fail."""
    from predict_age.kernels import kernel_switch
    from predict_age.models.tree_ensembles.tree import TreeArrays

    monkeypatch.setattr(TreeArrays, "check", lambda *_: None)
    monkeypatch.setattr(kernel_switch, "on", False)  # kernels that are loaded already would read foreign memory
    original = Model.read(trained)
    model = copy.deepcopy(original)
    model.trees("boosted")[0]["split_indices"][0] = 250
    expected = model.write(tmp_path / "m")
    with pytest.raises(IndexError):  # NumPy, for few rows; kernels would read foreign memory
        loaded = load(tmp_path / "m", expected)
        loaded.member_outputs(np.zeros((2, loaded.columns), np.float32), all_members=True)

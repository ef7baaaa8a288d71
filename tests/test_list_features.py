"""Features of several columns: items of lists, words of texts, values of categories; and ratios."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from conftest import TINY, cli, tiny_run, write_jsonl
from forged_models import Model
from predict_age.errors import ConfigError, IntegrityError
from predict_age.features.encode import Encoders, fit_encoders, list_items
from predict_age.features.extract import extract_features
from predict_age.features.spec import parse_features
from predict_age.features.value_hashes import value_hashes
from predict_age.models import artifact
from predict_age.source.row_rules import connect
from predict_age.storage.durable_files import file_sha256

AS_OF = dt.date(2025, 10, 23)
FILE = """
format = 1
[features.skills]
kind = "flags"
path = "skills"
max_values = 3
meaning = "Skills."
[features.titles]
kind = "flags"
path = "jobs[*].title"
meaning = "Titles."
[features.about]
kind = "words"
path = "about"
buckets = 8
meaning = "About."
[features.pay]
kind = "ratio"
path = "salary"
over = "hours.week"
min = 0
max = 100
default = 1
meaning = "Pay."
[features.city]
kind = "category"
path = "city"
meaning = "City."
[features.years]
kind = "number"
path = "years"
min = 0
max = 60
default = 5
meaning = "Years."
"""


def columns(*profiles: object, kernels: bool | None = None, file: str = FILE) -> pa.Table:
    """Feature columns of profiles, read by SQL or by kernels."""
    texts = [p if isinstance(p, str) else json.dumps(p, ensure_ascii=False) for p in profiles]
    table = pa.chunked_array([pa.array(texts, pa.string())])
    return extract_features(connect(), table, file, AS_OF, kernels=kernels).with_text_categories()


def items(text: str | None) -> list[str] | None:
    return None if text is None else [item for item in text.split("\x1f") if item]


def test_items_are_tidy_distinct_and_sorted() -> None:
    """Null, empty and repeated items vanish; a separator inside an item does not split it; what is no list is missing."""
    made = columns(
        {
            "skills": [" b  c ", "a", "a", None, "", 10.0, "10", {"k{0}": 1}, "x\x1fy"],
            "jobs": [{"title": "Dr."}, {}, {"title": None}],
        },
        {"skills": [], "jobs": []},
        {"skills": "a", "jobs": {"title": "x"}},
        {},
        "nothing",
    )
    assert [items(t) for t in made["skills"].to_pylist()] == [["10", "a", "b c", "x y", '{"k{0}":1}'], [], None, None, None]
    assert [items(t) for t in made["titles"].to_pylist()] == [["Dr."], [], None, None, None]


def test_words_ignore_case_and_marks() -> None:
    """Words are split at everything but letters and digits of any script; single letters are left out."""
    made = columns({"about": "I am a Straße-Fan, ΟΔΟΣ 17! am"}, {"about": ""}, {"about": None}, {"about": "..."})
    assert [items(t) for t in made["about"].to_pylist()] == [["17", "am", "fan", "strasse", "οδοσ"], [], None, []]


def test_ratio() -> None:
    """Missing when either number is, when the second is 0, or out of bounds."""
    given = [(80, 40), ("80", "40"), (1, 0), (None, 2), (2, None), (1e300, 1e-300), (-1, 2), (float("nan"), 1)]
    made = columns(*({"salary": a, "hours": {"week": b}} for a, b in given))
    assert made["pay"].to_pylist() == [2.0, 2.0, None, None, None, None, None, None]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('path = "skills"', 'path = "birth_year"', "refused"),
        ('over = "hours.week"', 'over = "age"', "refused"),
        ('over = "hours.week"', 'over = "hours[*]"', "ratio divides one number"),
        ('over = "hours.week"\n', "", "over"),
        ("max_values = 3", "max_values = 0", "max_values"),
        ("buckets = 8", "buckets = 1", "buckets"),
    ],
)
def test_wrong_files_are_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_features(FILE.replace(old, new), "mine.toml")


def people(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows whose age follows from skills, words and city; every second age is known."""
    rng = np.random.default_rng(seed)
    rows = []
    for pid in range(1, count + 1):
        cobol, city, retired = bool(rng.random() < 0.5), str(rng.choice(["Lviv", "Kyiv", "Odesa"])), bool(rng.random() < 0.3)
        age = 25 + 20 * cobol + 10 * retired + 5 * (city == "Lviv") + int(rng.integers(0, 3))
        profile = {
            "skills": [*(["cobol"] if cobol else []), str(rng.choice(["sql", "go"])), f"own{pid}"],
            "about": f"{'Retired soon' if retired else 'hello'} person{pid}",
            "city": city,
            "salary": int(rng.integers(1, 99)),
            "hours": {"week": 40},
            "jobs": [{"title": f"job{pid % 2}"}],
        }
        rows.append({"pid": pid, "approximate_age": age if pid % 2 else None, "profile_json": profile})
    return rows


def fitted(count: int = 400) -> tuple[Encoders, pa.Table, np.ndarray]:
    rows = people(count)
    table = columns(*(r["profile_json"] for r in rows))
    age = np.array([25 + 20 * ("cobol" in r["profile_json"]["skills"]) for r in rows], np.float32)
    return fit_encoders(parse_features(FILE, "f"), table, age), table, age


def test_columns_of_0_and_1_say_which_items_a_person_has() -> None:
    """The commonest items of at least 20 people; an unknown item is in no column, and its list counts as unseen."""
    made, table, age = fitted()
    matrix = made.encode(table)
    names = made.column_names(table.column_names)
    assert matrix.shape == (400, len(names))
    assert [n for n in names if n.startswith("skills.")] == ["skills.0", "skills.1", "skills.2"]
    key = value_hashes(made.salt, "skills")["cobol"]
    at = names.index(f"skills.{list(made.lists['skills']).index(key)}")
    assert matrix[:, at].tolist() == (age == 45).astype(float).tolist()
    assert made.lists["skills"][key] > made.mean + 5, "the mean age of the item's people"
    both = [made.lists["skills"][value_hashes(made.salt, "skills")[i]] for i in ("cobol", "go")]
    new = columns(
        {"skills": ["cobol", "go", "never seen"], "city": "Rome"}, {"skills": ["never seen"], "about": "qqq"}, {"skills": []}, {}
    )
    coded = made.encode(new)
    assert coded[:, 0].tolist() == pytest.approx([np.mean(both), made.mean, made.mean, np.nan], nan_ok=True)
    assert coded[0, [names.index(f"skills.{i}") for i in range(3)]].sum() == 2
    assert not coded[1:, len(new.column_names) :][:, : made.columns["skills"]].any()
    assert made.unseen_counts(new)["skills"] == 1 and made.unseen_counts(new)["city"] == 1
    assert np.isnan(coded[3, : len(new.column_names)]).all(), "a profile without features stays one"


def test_nothing_is_learned_of_few_people_and_no_text_is_kept() -> None:
    made, table, _ = fitted()
    saved = json.dumps([made.lists, made.categories])
    assert not any(text in saved for text in ("own", "cobol", "sql", "Lviv", "retired", "person"))
    rows, item, keys = list_items(table["skills"], value_hashes(made.salt, "skills"))
    counts = dict(zip(keys, np.bincount(item).tolist(), strict=True))
    assert len(counts) == 403 and all(counts[key] >= 20 for key in made.lists["skills"])
    assert len(np.unique(rows)) == 400
    few, _, _ = fitted(19)
    assert not any(few.lists.values()) and not few.columns


def test_kernels_and_sql_read_the_same() -> None:
    """With kernels the new kinds are left to SQL, whatever the profile looks like."""
    profiles = [json.dumps(r["profile_json"]) for r in people(300)] + [
        '{"skills":["a"],"skills":["b"]}',
        '{"sk\\u0069lls": ["é"]}',
        "[1]",
        "",
    ]
    slow, fast = (columns(*profiles, kernels=kernels) for kernels in (False, True))
    assert fast.equals(slow)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    """Workspace, model folder and JSON of a run with these features."""
    folder = tmp_path_factory.mktemp("lists")
    (folder / "f.toml").write_text(FILE + "may_be_absent = true\n")
    config = TINY.replace("rounds = 3", "rounds = 40").replace("light_rounds = 3", "light_rounds = 40")
    made = tiny_run(write_jsonl(folder / "s.jsonl", people(600)), folder / "w", "--features", folder / "f.toml", config=config)
    assert made.code == 0, made.said
    return folder / "w", folder / "w" / "runs" / made.run["run_id"] / "model", made.run


def loaded(model: Path) -> Any:
    artifact.load_model.cache_clear()
    return artifact.load_model(model, file_sha256(model / "manifest.json"))[0]


def test_a_run_learns_from_them(run: tuple[Path, Path, dict[str, Any]]) -> None:
    """Trained, saved, predicted and verified; the error is far below that of the median; kernels equal NumPy."""
    workspace, model, result = run
    assert result["metrics"]["mae"] < 0.4 * result["metrics"]["median_mae"]
    cli("verify", "--workspace", workspace)  # exit code 0, or the test fails
    bundle = loaded(model)
    assert bundle.columns > len(bundle.features) and bundle.network.columns == len(bundle.features) + bundle.encoders.list_columns
    matrix = bundle.encoders.encode(columns(*(r["profile_json"] for r in people(500, 1)), file=bundle.features.text))
    together = bundle.member_outputs(matrix, all_members=True)
    parts = [bundle.member_outputs(matrix[i : i + 20], all_members=True) for i in range(0, 500, 20)]  # few rows: NumPy
    assert np.allclose(together.points, np.concatenate([p.points for p in parts]), atol=1e-4)
    assert np.allclose(together.interval_quantiles, np.concatenate([p.interval_quantiles for p in parts]), atol=1e-3)
    with pytest.raises(ValueError, match="columns"):
        bundle.predict(matrix[:, :-1])


@pytest.mark.parametrize(
    ("path", "value", "member"),
    [
        ("lists", {}, "encoders.lists"),
        ("lists/skills", {"cobol": 30.0}, "encoders.lists.skills"),
        ("lists/about", {"8": 30.0}, "encoders.lists.about"),
        ("lists/about", {"-1": 30.0}, "encoders.lists.about"),
        ("buckets", {"about": 9}, "encoders.buckets"),
        ("buckets", {}, "encoders.buckets"),
        ("columns/skills", 4, "encoders.columns.skills"),
        ("columns/skills", -1, "encoders.columns.skills"),
        ("columns/years", 1, "encoders.columns.years"),
        ("columns/skills", "3", "encoders.columns.skills"),
        ("columns", {}, "ridge.fill"),
        ("lists/skills", {f"{i:024x}": 30.0 for i in range(4)}, "encoders.lists.skills"),
    ],
)
def test_broken_lists_are_refused(
    path: str, value: Any, member: str, run: tuple[Path, Path, dict[str, Any]], tmp_path: Path
) -> None:
    """The model's records of lists and columns have to fit the feature file and the trees."""
    model = Model.read(run[1])
    node = model.learned["encoders"]
    *parents, last = path.split("/")
    for step in parents:
        node = node[step]
    node[last] = value
    expected = model.write(tmp_path / "m")
    artifact.load_model.cache_clear()
    with pytest.raises(IntegrityError) as refused:
        artifact.load_model(tmp_path / "m", expected)
    assert member in str(refused.value)

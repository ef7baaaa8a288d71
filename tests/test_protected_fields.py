"""Values of protected attributes: how many fields of public data sets are recognised, in every kind of feature, in every spelling."""

import json
import random
import unicodedata
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from conftest import cli
from predict_age.features.protected_categories import attribute_of_values
from predict_age.features.protected_features import protected_by_values
from predict_age.features.refused_names import refusal_reason
from predict_age.features.spec import parse_features
from predict_age.letters import fold
from predict_age.purposes import PurposeError, checked_purpose
from protected_fields import HARMLESS, PROTECTED, counts_of

AS_OF = "2025-10-23"


@pytest.mark.parametrize("half", [0, 1], ids=["tuning", "score"])
def test_fields_of_public_data_sets_are_recognised(half: int) -> None:
    """In each half all protected fields are recognised and no harmless ones. German credit's field has gender and family at once."""
    found = {name: attribute_of_values(counts_of(values), name) for name, _, values in PROTECTED[half::2]}
    wrong = {name: found[name] for name, attribute, _ in PROTECTED[half::2] if (found[name] or ("",))[0] != attribute}
    assert set(wrong) <= {"personal_status"}
    assert all(wrong.values())
    assert not {name: hit for name, _, values in HARMLESS[half::2] if (hit := attribute_of_values(counts_of(values), name))}


@pytest.mark.parametrize(
    ("values", "name", "attribute"),
    [
        ("H;M", "sexo_codigo", "gender"),
        ("H;M", "phone_type", ""),
        ("m;w", "Geschlecht2", "gender"),
        ("m;w", "line", ""),
        ("Caucasian;Other", "x", "ethnic origin"),
        ("Caucasian;blue", "x", ""),
        ("black;white", "x", ""),
        ("white;black;other", "x", "ethnic origin"),
        ("man.4;man.5;auto.3", "x", ""),
        ("man.4;man.5", "x", ""),
        ("disabled;enabled", "feature", ""),
        ("Male;Female;F" + "x" * 100, "x", ""),
        ("union;non-union", "x", "opinion"),
        ("credit union;bank", "x", ""),
        ("miss;ms;other", "x", "gender"),
        ("woman;other", "x", "gender"),
        ("ms;master", "degree", ""),
        ("Nő;Férfi", "x", "gender"),
        ("no;Férfi", "x", ""),
        ("nam;nữ", "x", "gender"),
        ("labour;green;independent", "x", "opinion"),
        ("m;w", "sexcode", "gender"),
        ("m;w", "section", ""),
    ],
)
def test_doubtful_words_need_more(values: str, name: str, attribute: str) -> None:
    """Short codes need the field's name, colours a word that is none, and one value says nothing by itself."""
    found = attribute_of_values(counts_of(values.split(";")), name)
    assert (found or ("",))[0] == attribute


def test_most_people_and_most_values_must_be_covered() -> None:
    """A few protected words in a field of jobs, or many rare ones, do not make it one."""
    assert attribute_of_values({"male": 500, "female": 440, "engine": 60}) is None
    assert attribute_of_values({"male": 960, "female": 10, "engine": 15, "wheel": 15}) is None
    assert attribute_of_values({"male": 500, "female": 480, "engine": 5, "wheel": 5}) is not None
    assert attribute_of_values({"married": 500, "single": 300, "widow": 3}) == ("family", ["married", "single"])


KINDS = {
    "category": "",
    "ordered": 'levels = ["single", "married", "widowed"]\ndefault = 0.0\n',
    "text": 'rules = [{match = "married", value = 1.0}]\notherwise = 0.0\ndefault = 0.0\n',
    "words": "buckets = 8\n",
    "flags": "",
    "sql": "min = 0.0\nmax = 1.0\ndefault = 0.0\nexpression = \"len(json_extract_string(profile, '$.stand')) / 10\"\n",
    "arrow": "min = 0.0\nmax = 1.0\ndefault = 0.0\nexpression = \"len(profile->>'stand') / 10\"\n",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_feature_is_looked_at(kind: str, tmp_path: Path) -> None:
    """``plan`` says it whatever the kind; beside an honest field of the same kind it says nothing."""
    draw = random.Random(3)
    rows: list[dict[str, Any]] = []
    for n in range(400):
        stand, taste = draw.choice(["married", "single", "widowed"]), draw.choice(["sweet", "salty", "sour"])
        several = kind == "flags"
        rows.append(
            {
                "pid": n + 1,
                "birth_year": 1950 + n % 50,
                "profile_json": json.dumps(
                    {"stand": [stand] if several else stand, "taste": [taste] if several else taste, "pay": n % 70}
                ),
            }
        )
    source = tmp_path / "people.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    features = tmp_path / "features.toml"
    for field in ("stand", "taste"):
        settings = (
            KINDS[kind]
            if field == "stand"
            else KINDS[kind]
            .replace("stand", field)
            .replace("married", "sweet")
            .replace("single", "salty")
            .replace("widowed", "sour")
        )
        table = f'kind = "{"sql" if kind == "arrow" else kind}"\nmeaning = "x"\n' + (
            "" if "expression" in settings else f'path = "{field}"\n'
        )
        features.write_text(
            f'format = 1\n[features.pay]\nkind = "number"\npath = "pay"\nmin = 0.0\nmax = 100.0\ndefault = 1.0\nmeaning = "x"\n[features.f]\n{table}{settings}'
        )
        notes = json.loads(cli("plan", "--source", source, "--features", features, "--as-of", AS_OF, "--json").stdout)["notes"]
        assert [("protected attribute (family: " in note) for note in notes if note.startswith("f:")] == (
            [True] if field == "stand" else []
        )


@pytest.mark.parametrize(
    "spell",
    [
        str.upper,
        str.title,
        lambda t: t.replace("e", "é"),
        "\u200b".join,
        lambda t: t.translate({ord(c): ord(c) + 0xFEE0 for c in "abcdefghijklmnopqrstuvwxyz"}),
    ],
)
def test_names_values_and_purposes_are_folded_alike(spell: Any) -> None:
    """Case, accents, invisible characters and full-width letters hide nothing, wherever a text is compared."""
    assert fold(spell("gender")) == "gender"
    assert refusal_reason(spell("gender"))
    assert attribute_of_values({spell("female"): 30, spell("male"): 30})
    with pytest.raises(PurposeError, match="refused"):
        checked_purpose(spell("recruiting"))


@pytest.mark.parametrize(("one", "other"), [("か", "が"), ("は", "ば"), ("は", "ぱ"), ("ハ", "パ")])
def test_kana_that_differ_in_a_mark_are_two_letters(one: str, other: str) -> None:
    """Dakuten and handakuten are no accents, composed or not; an accent of another script is still dropped."""
    assert fold(one) != fold(other) == fold(unicodedata.normalize("NFD", other))
    assert fold("é") == "e"


FORMS = [
    "profile->'demo'->>'g'",
    "profile -> 'demo' ->> '$.g'",
    "(profile->'demo')->>'g'",
    "profile->>'$.demo.g'",
    "profile->>'/demo/g'",
    'profile->>\'$."demo"."g"\'',
    'profile->>\'$["demo"]["g"]\'',
    "json_extract_string(profile, '/demo/g')",
    "json_extract_string(profile, '$.demo.g')",
    "json_extract(profile, 'demo')->>'g'",
    "profile->'demo'->'several'->>0",
    "json_extract_string(profile, '$.demo.several[*]')",
    "profile->'demo'->>'several'",
]


@pytest.mark.parametrize("form", FORMS)
def test_expressions_are_read_in_every_form_of_a_path(form: str) -> None:
    """Chains, pointers, quoted steps, keys in a call, and all items of lists; another field beside it is no protected one."""
    draw = random.Random(9)
    profiles = []
    for _ in range(200):
        gender, taste = draw.choice(["male", "female"]), draw.choice(["sweet", "salty"])
        profiles.append({"demo": {"g": gender, "t": taste, "several": [gender, gender], "tastes": [taste]}})
    connection = duckdb.connect()
    connection.register("profiles", pa.table({"profile": [json.dumps(p) for p in profiles]}))
    for text, attribute in ((form, "gender"), (form.replace("several", "tastes").replace("g'", "t'").replace('g"', 't"'), "")):
        features = parse_features(
            f'format = 1\n[features.f]\nkind = "sql"\nmeaning = "x"\nmin = 0.0\nmax = 9.0\ndefault = 0.0\nexpression = """len({text}) / 1"""\n',
            "test",
        )
        assert protected_by_values(connection, features)["f"].partition(":")[0] == attribute


def test_all_items_of_a_list_are_looked_at() -> None:
    """A word that stands last in each list is found."""
    connection = duckdb.connect()
    profiles = [json.dumps({"a": [{"v": None}, {"v": "male" if n % 2 else "female"}]}) for n in range(100)]
    connection.register("profiles", pa.table({"profile": profiles}))
    features = parse_features('format = 1\n[features.f]\nkind = "flags"\nmeaning = "x"\npath = "a[*].v"\n', "test")
    assert protected_by_values(connection, features)["f"].startswith("gender")

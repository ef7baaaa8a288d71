"""Values of protected attributes: how many fields of public data sets are recognised, in every kind of feature, in every spelling."""

import json
import random
import unicodedata
from collections.abc import Callable
from itertools import permutations
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
from protected_fields import HARMLESS, LATER_HARMLESS, LATER_PROTECTED, PROTECTED, counts_of

AS_OF = "2025-10-23"


@pytest.mark.parametrize("half", [0, 1], ids=["tuning", "score"])
def test_fields_of_public_data_sets_are_recognised(half: int) -> None:
    """In each half all protected fields are recognised and no harmless ones. German credit's field has gender and family at once."""
    found = {name: attribute_of_values(counts_of(values), name) for name, _, values in PROTECTED[half::2]}
    wrong = {name: found[name] for name, attribute, _ in PROTECTED[half::2] if (found[name] or ("",))[0] != attribute}
    assert set(wrong) <= {"personal_status"}
    assert all(wrong.values())
    assert not {name: hit for name, _, values in HARMLESS[half::2] if (hit := attribute_of_values(counts_of(values), name))}


def test_protected_attributes_of_european_law_are_recognised() -> None:
    """Fields of all attributes of article 9 and article 21, but for those whose words are also codes, languages and habits."""
    found = {name: (attribute_of_values(counts_of(values), name) or ("",))[0] for name, _, values in LATER_PROTECTED}
    wrong = {name: found[name] for name, attribute, _ in LATER_PROTECTED if found[name] != attribute}
    # Church codes, peoples that are languages or cuisines, blood groups, smoking; a man's title is told before his way of life.
    assert wrong == dict.fromkeys(["f49", "f58", "f59", "f66", "f91", "f94", "g77"], "")
    alarms = {name for name, _, values in LATER_HARMLESS if attribute_of_values(counts_of(values), name)}
    assert alarms == {"cable_end", "connector", "cable", "plug_kind"}  # male and female, whatever the field is called


ANSWERS = (
    """
rather not say|prefer not to answer|I'd rather not say|declined to answer|no response|undisclosed|keine Angabe|möchte ich nicht sagen|k. A.
ne souhaite pas répondre|préfère ne pas répondre|non renseigné|prefiero no decir|no contesta|prefiro não responder|não declarado
preferisco non rispondere|zeg ik liever niet|vill inte svara|ønsker ikke å svare|ønsker ikke at svare|en halua vastata|wolę nie mówić
nechci odpovědět|nechcem odpovedať|nem szeretnék válaszolni|prefer să nu răspund|nu doresc să răspund|belirtmek istemiyorum
предпочитаю не отвечать|не хочу отвечать|не бажаю відповідати|предпочитам да не отговарям|ne želim odgovoriti|не желим да одговорим
προτιμώ να μην απαντήσω|מעדיף לא לענות|أفضل عدم الإجابة|बताना नहीं चाहते|不愿透露|不想回答|回答しない|答えたくない|응답하지 않음|ไม่ต้องการตอบ|tidak ingin menjawab
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
PAIRS = (
    "male;female",
    "kvinna;man",
    "gay;heterosexual",
    "sunnitisch;schiitisch",
    "pregnant;not pregnant",
    "EU citizen;non-EU citizen",
    "HIV+;HIV-",
)


@pytest.mark.parametrize("pair", PAIRS)
def test_an_answer_that_says_nothing_hides_no_attribute(pair: str) -> None:
    """In twenty languages; beside values that tell nothing it makes no attribute."""
    missed = [answer for answer in ANSWERS if not attribute_of_values(counts_of([*pair.split(";"), answer]), "x")]
    assert missed == []
    assert len(ANSWERS) > 40
    assert not [answer for answer in ANSWERS if attribute_of_values(counts_of(["sweet", "salty", answer]), "x")]


@pytest.mark.parametrize(
    ("values", "opened", "subject"),
    [
        ("D;W;M", "q7", "billing_period"),
        ("disabled;not disabled", "dis1", "account"),
        ("black;white;other", "group", "car_colour"),
        ("black;white;rather not say", "x", "jacket"),
        ("single;partner;separated", "status", "channel"),
        ("hetero;homo;bi", "v3", "catalyst"),
        ("trans;cis", "type", "isomer"),
    ],
)
def test_the_name_decides_where_the_values_have_two_senses(values: str, opened: str, subject: str) -> None:
    """A name that says nothing, or is the attribute's, makes them a person's; one of things does not."""
    assert attribute_of_values(counts_of(values.split(";")), opened)
    assert attribute_of_values(counts_of(values.split(";")), subject) is None


TWO_SENSES = ("disabled;not disabled", "black;white;other", "D;W;M", "single;partner;separated", "hetero;homo;bi", "trans;cis")
OF_PEOPLE = (
    "health",
    "work_ability",
    "mobility",
    "condition",
    "limitation",
    "employment",
    "complexion",
    "population",
    "community",
    "household",
    "workAbility",
    "skin_colour",
    "skin_tone_colour",
    "health_service",
    "mobility_device",
    "people_unit",
    "person_bond",
    "population_reaction",
)


@pytest.mark.parametrize("values", TWO_SENSES)
def test_a_name_that_nobody_knows_makes_nothing_harmless(values: str) -> None:
    """Made-up names, those of people, and subjects of which a person is said: the values stay a person's."""
    draw = random.Random(values)
    made_up = ["".join(draw.choice("bdfklmnpz") + draw.choice("aiou") for _ in range(draw.randint(2, 6))) for _ in range(300)]
    names = [*OF_PEOPLE, *made_up, *(f"{one}_{other}" for one, other in zip(made_up, reversed(made_up), strict=True))]
    assert [name for name in names if not attribute_of_values(counts_of(values.split(";")), name)] == []


@pytest.mark.parametrize(
    ("one", "other"),
    [("\u2642", "\u2640"), ("\u2642\ufe0f", "\u2640\ufe0f"), ("\u26ad", "\u26ae"), ("\u262a\ufe0f", "\u271d"), ("HIV+", "HIV-")],
)
def test_signs_are_read_as_words(one: str, other: str) -> None:
    """Male, female, married, divorced, religions, tests: drawn as text or as a picture, alone or beside a word."""
    assert attribute_of_values(counts_of([one, other]), "x")
    assert attribute_of_values(counts_of([f"1 {one}", f"2 {other}"]), "x")
    assert attribute_of_values(counts_of(["\u2191", "\u2193"]), "x") is None


def test_a_birth_is_the_age_only_with_its_year() -> None:
    """Any part of a birth under any name: the year and the date are the age, a place an attribute; quarter and month tell neither."""
    for birth in ("birth", "dob", "naissance", "nacimiento", "nascita", "born"):
        for part in ("quarter", "qrtr", "month", "mois", "mes", "order", "weekday"):
            for name in (f"{birth}_{part}", f"{part}_of_{birth}", f"{birth}{part.title()}"):
                assert refusal_reason(name) is None, name
                assert "age itself" in (refusal_reason(f"{name}_year") or ""), name
        for part in ("", "_year", "_date", "_yr", "_cohort"):
            assert refusal_reason(birth + part), birth + part
    assert all(
        "protected attribute" in (refusal_reason(name) or "")
        for name in ("birthplace", "birth_country", "birth_month_place_of_birth")
    )


BIRTHS = ("birth", "dob", "born", "naissance", "nacimiento", "nascita", "geburt", "geboorte")
PARTS = (
    "quarter",
    "qrtr",
    "month",
    "mois",
    "mes",
    "order",
    "weekday",
    "season",
    "week",
    "hour",
    "sign",
    "outcome",
    "length",
    "mode",
)
PLURALS = ("months", "quarters", "weeks", "days", "seasons", "years", "monate", "meses", "maanden")
BESIDES = ("index", "number", "no", "name", "code")
TELL_AGE = (
    *("since", "from", "until", "age", "ages", "cohort", "decade", "generation", "elapsed", "count", "year", "yr", "date", "days"),
    *("1980", "80", "19", "80s", "seit", "depuis", "century", "band", "zork"),  # a word that nobody knows may be any of them
)
STYLES: dict[str, Callable[[list[str]], str]] = {
    "snake": "_".join,
    "kebab": "-".join,
    "upper": lambda words: " ".join(words).upper(),
    "camel": lambda words: words[0] + "".join(word.title() for word in words[1:]),
    "pascal": lambda words: "".join(word.title() for word in words),
}


@pytest.mark.parametrize("style", STYLES)
def test_a_part_of_a_birth_is_no_age_and_nothing_else_is(style: str) -> None:
    """One quarter, one month: no age, in any order of the words. Several, and any word that may tell a year: the age itself."""
    spell = STYLES[style]
    for birth in BIRTHS:
        for part in PARTS:
            fine = [[birth, part], [part, "of", birth], *([birth, part, word] for word in BESIDES), ["index", "of", birth, part]]
            assert [spell(words) for words in fine if refusal_reason(spell(words))] == []
            aged = [list(words) for more in TELL_AGE for words in permutations([birth, part, more])]
            aged += [[birth, part, "and", "age"], ["number", "of", "months", "since", birth, part]]
            assert [spell(words) for words in aged if not refusal_reason(spell(words))] == []
        several = [
            words for many in PLURALS for words in ([birth, many], [many, birth], [many, "of", birth], [many, "since", birth])
        ]
        assert [spell(words) for words in several if not refusal_reason(spell(words))] == []


@pytest.mark.parametrize("birth", ["birth", "geburts", "geboorte"])
def test_a_birth_in_one_word_is_read_as_in_several(birth: str) -> None:
    """``monthssincebirth`` is the age as ``months_since_birth`` is; ``birthmonth`` is none."""
    for name in (f"{birth}month", f"{birth}quarter", f"{birth}order", f"monthof{birth}", f"{birth}MONTH", f"{birth}monthcode"):
        assert refusal_reason(name) is None, name
    for name in (
        f"monthssince{birth}",
        f"{birth}months",
        f"{birth}cohort",
        f"{birth}decade",
        f"{birth}month80",
        f"{birth}monthyear",
    ):
        assert "age itself" in (refusal_reason(name) or ""), name
    for name in ("birthmark_type", "rebirth", "childbirth_class", "stillborn_calves", "borneo", "airborne"):
        assert refusal_reason(name) is None, name


def test_a_birthday_is_a_date_and_the_day_of_a_birth_is_none() -> None:
    """In words or glued."""
    for name in ("birthday", "birth_day", "birthDay", "BIRTH DAY", "birthday_code", "birth_day_number"):
        assert refusal_reason(name), name
    for name in (
        "day_of_birth",
        "birth_day_of_week",
        "birthday_month",
        "birth_weekday",
        "dayOfBirth",
        "low_birth_weight",
        "birth_weight_kg",
    ):
        assert refusal_reason(name) is None, name


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
        ("no;Férfi", "x", "gender"),
        ("no;blue", "x", ""),
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

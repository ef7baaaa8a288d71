"""The feature file and what is extracted by it."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predict_age.errors import ConfigError
from predict_age.features.extract import check_compiles, extract_features
from predict_age.features.protected_values import ATTRIBUTE_VALUES
from predict_age.features.refused_names import PROTECTED, STANDS_FOR, expression_refusal, proxy_warning, refusal_reason
from predict_age.features.spec import FEATURE_NAME, default_text, load_features, parse_features, parse_path
from predict_age.source.row_rules import connect
from predict_age.steps.training_sample import FINGERPRINT, GROUP, SAMPLING_HASH

AS_OF = dt.date(2025, 10, 23)


def values(declaration: str, *profiles: object) -> list[object]:
    """One feature's values for profiles given as objects or as raw text."""
    text = f'format = 1\n[features.f]\nmeaning = "test"\n{declaration}\n'
    parse_features(text, "test")
    raw = [p if p is None or isinstance(p, str) else json.dumps(p) for p in profiles]
    return extract_features(connect(), pa.chunked_array([pa.array(raw, pa.string())]), text, AS_OF).columns["f"].to_pylist()


def test_number() -> None:
    """Text and numbers; outside the bounds missing or clipped; NaN, infinity, words and truth values missing."""
    declared = 'kind = "number"\npath = "a"\nmin = 0\nmax = 10\ndefault = 1\n'
    given = [
        {"a": 5},
        {"a": "5.5"},
        {"a": -1},
        {"a": 1e308},
        '{"a": NaN}',
        '{"a": 1e999}',
        {"a": "x"},
        {"a": True},
        {"a": None},
        {},
        {"a": [1]},
    ]
    assert values(declared, *given) == [5.0, 5.5, *[None] * 9]
    assert values(declared + 'outside = "clip"', {"a": -1}, {"a": 99}) == [0.0, 10.0]
    assert values(declared + "scale = 0.5", {"a": 8}, {"a": 30}) == [4.0, None]


def test_paths() -> None:
    """Nested keys, quoted keys, items from both ends, and one item of all."""
    profile = {"a": {"b c": [{"v": 3}, {"v": 9}, {"v": 4}, {}]}}
    number = 'kind = "number"\nmin = 0\nmax = 10\ndefault = 1\n'
    for path, pick, expected in (
        ('a."b c"[0].v', "first", 3),
        ('a."b c"[-2].v', "first", 4),
        ('a."b c"[*].v', "max", 9),
        ('a."b c"[*].v', "min", 3),
        ('a."b c"[*].v', "last", 4),
        ("a.x[*].v", "min", None),
        ("a[*]", "min", None),
    ):
        assert values(f"{number}path = '{path}'\npick = '{pick}'", profile) == [expected], path


@pytest.mark.parametrize("path", ["", ".", "a..b", "[0]", "$.a", "a[b]", "a[*].b[*]", "a.", "*"])
def test_bad_paths(path: str) -> None:
    """Text that is no path is refused."""
    with pytest.raises(ValueError, match=r"path|\[\*\] twice"):
        parse_path(path)


def test_ordered_boolean_count_category_text() -> None:
    """Synonyms and case; truth in several spellings; lengths of lists only; trimmed categories; first matching rule."""
    assert values(
        'kind = "ordered"\npath = "a"\nlevels = ["low", ["mid", "Middle"], "high"]\ndefault = 1',
        {"a": "LOW "},
        {"a": "middle"},
        {"a": "high"},
        {"a": "odd"},
        {},
    ) == [0, 1, 2, None, None]
    assert values('kind = "boolean"\npath = "a"', {"a": True}, {"a": "No"}, {"a": 1}, {"a": 0}, {"a": "odd"}, {}) == [
        1,
        0,
        1,
        0,
        None,
        None,
    ]
    assert values(
        'kind = "count"\npath = "a"\nmax = 3', {"a": []}, {"a": [1, [2]]}, {"a": [0] * 9}, {"a": "[1]x"}, {"a": {}}, {}
    ) == [0, 2, 3, None, None, None]
    assert values('kind = "category"\npath = "a"', {"a": " x "}, {"a": ""}, {"a": 5}, {"a": "<b>'\";--"}, {}) == [
        "x",
        None,
        "5",
        "<b>'\";--",
        None,
    ]
    rules = "rules = [{match = '\\bchief\\b', value = 3}, {match = 'a{2}', value = 2}]\notherwise = 0\ndefault = 0"
    assert values(f'kind = "text"\npath = "a"\n{rules}', {"a": "CHIEF aa"}, {"a": "mischief"}, {"a": "baa"}, {}) == [3, 0, 2, None]


def test_date() -> None:
    """Year, month and day precision, numbers, timestamps; the future and nonsense are missing."""
    declared = 'kind = "date"\npath = "a"\nmax = 60\ndefault = 1'
    found = values(
        declared,
        {"a": 2015},
        {"a": "2015-04"},
        {"a": "2015-10-23T12:00:00Z"},
        {"a": "2015-13"},
        {"a": "2099"},
        {"a": "1901"},
        {"a": "soon"},
        {"a": "20150423"},
        {"a": "2015/04/01"},
        {},
    )
    assert found == [10.0, 10.5, 10.0, *[None] * 7]
    everything = values(
        'kind = "date"\npath = "a[*].from"\npick = "max"\nmax = 60\ndefault = 1', {"a": [{"from": "2015"}, {"from": "2005"}, {}]}
    )
    assert everything == [20.0]


def test_sql() -> None:
    """The way out: an expression over profile and as_of; what fails for a row is missing for that row."""
    declared = 'kind = "sql"\nmin = 0\nmax = 100\ndefault = 0\nexpression = '
    assert values(declared + "\"len(json_extract_string(profile, '$.a'))\"", {"a": "four"}, {}) == [4.0, None]
    assert values(declared + '"year(as_of) - 2000"', {}) == [25.0]
    assert values(declared + "\"CAST(json_extract_string(profile, '$.a') AS INT)\"", {"a": "x"}, {"a": "7"}) == [None, 7.0]


def test_unusable_profiles_are_named() -> None:
    """Missing, malformed, and other JSON than an object; in the order of the rows."""
    raw = [None, "", "  null ", "{", "[1]", "5", '"x"', "{}", ' {"a":1}', '{"a":"\\ud800"}', "[" * 100_000]
    made = extract_features(connect(), pa.chunked_array([pa.array(raw, pa.string())]), default_text(), AS_OF)
    assert made.problem.to_pylist() == [
        "profile_missing",
        "profile_missing",
        "profile_missing",
        "profile_malformed",
        "profile_not_an_object",
        "profile_not_an_object",
        "profile_not_an_object",
        None,
        None,
        "profile_malformed",
        "profile_malformed",
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = [str(parse_path(f.path)[0]) for f in load_features(None).features.values() if hasattr(f, "path")]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6), min_size=1, max_size=8))
def test_no_profile_breaks_the_extraction(profiles: list[dict[str, object]]) -> None:
    """Whatever stands under the keys of the features, each row gets a value inside its bounds, or none."""
    raw = pa.chunked_array([pa.array([json.dumps(p) for p in profiles], pa.string())])
    made = extract_features(connect(), raw, default_text(), AS_OF)
    assert made.columns.num_rows == len(profiles)
    for name, feature in load_features(None).features.items():
        for value in made.columns[name].to_pylist():
            if value is not None and hasattr(feature, "min"):
                assert feature.min <= value <= feature.max


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[features.a]", r"format must be 1"),
        ("format = 2", r"line 1: format must be 1, found 2"),
        ("format = 1\nx = 1", r"line 2: unknown table 'x'"),
        ("format = 1", r"no features"),
        ("format = 1\n[features.a", r"not valid TOML"),
        ("format = 1\n[features.A-b]\nkind='count'", r"line 2: feature name 'A-b'"),
        ("format = 1\n[features.a]\nkind='nope'", r"line 3: features.a.*nope.*expected one of number, date"),
        ("format = 1\n[features.a]\nkind='numbr'", r"line 3: features.a.kind: there is no kind 'numbr'; did you mean number\?"),
        ("[source]\npid = 'x'", r"unknown table 'source'(.|\n)*a configuration is given as --config"),
        (
            "format = 1\n\n[features.a]\nmeaning='m'\nkind='number'\npath='x'\nmin=5\nmax=1\ndefault=2",
            r"line 3: .*min \(5\) must be below max",
        ),
        ("format = 1\n[features.a]\nmeaning='m'\nkind='number'\npath='x'\nmin=0\nmax='ten'\ndefault=2", r"line 7: features.a.max"),
        (
            "format = 1\n[features.a]\nmeaning='m'\nkind='count'\npath='x'\nlenght=3",
            r"line 6: features.a.lenght: unknown key; look",
        ),
        (
            "format = 1\n[features.a]\nmeaning='m'\nkind='category'\npath='x'\nmax_value=3",
            r"line 6: features.a.max_value: unknown key; did you mean max_values\?",
        ),
        ("format = 1\n[features.a]\nmeaning='m'\nkind='count'\npath='x..y'", r"is no path"),
        ("format = 1\n[features.a]\nmeaning='m'\nkind='ordered'\npath='x'\nlevels=['a','A']\ndefault=0", r"same value twice"),
        ("format = 1\n[features.born]\nmeaning='m'\nkind='count'\npath='x'", r"line 2: feature born is refused: .*age itself"),
        (
            "format = 1\n[features.x]\nmeaning='m'\nkind='category'\npath='person.Gender'",
            r"line 5: .*refused: .*protected attribute \(gender\)",
        ),
        ("format = 1\n[features.x]\nmeaning='m'\nkind='date'\npath='dateOfBirth'\nmax=99\ndefault=1", r"line 5: .*date of birth"),
        (
            "format = 1\n[features.x]\nmeaning='m'\nkind='sql'\nexpression=\"json_extract(profile,'$.age')\"\nmin=0\nmax=9\ndefault=1",
            r"line 5: .*age itself",
        ),
    ],
)
def test_a_wrong_file_names_the_line(text: str, message: str) -> None:
    """Every mistake is a ConfigError that names the file and the line."""
    with pytest.raises(ConfigError, match=message):
        parse_features(text, "mine.toml")


SPELLINGS = (
    "_".join,
    lambda words: "".join(w.capitalize() for w in words),
    lambda words: words[0] + "".join(w.capitalize() for w in words[1:]),
    lambda words: " ".join(words).upper(),
    "-".join,
    "".join,
    lambda words: "customer_" + "_".join(words) + "_code",
    lambda words: "_".join(words) + ("es" if words[-1].endswith(("s", "x")) else "s"),
)


@pytest.mark.parametrize("table", [PROTECTED, STANDS_FOR])
def test_refused_names_in_any_spelling(table: dict[str, str]) -> None:
    """Each name of the tables is refused with its attribute or as the age, in snake, camel and upper case, glued, inside, plural."""
    for name in (n.strip() for listed in table.values() for n in listed.split(",")):
        for spelling in SPELLINGS:
            assert refusal_reason(spelling(name.split())), (name, spelling(name.split()))


VALUE_SPELLINGS: tuple[Callable[[str], str], ...] = (
    str.upper,
    lambda word: f"is_{word}",
    lambda word: f"{word}_dummy",
    lambda word: f"{word}1",
    lambda word: f"Is{word.capitalize()}",
    lambda word: f"non_{word}",
)


@pytest.mark.parametrize("attribute", ATTRIBUTE_VALUES)
def test_a_value_of_a_protected_attribute_is_refused_with_the_attribute(attribute: str) -> None:
    """As a whole name, a dummy or with a number; joined to a prefix where it is long enough; in a path, not as text in SQL."""
    for word in ATTRIBUTE_VALUES[attribute].split():
        for spelling in VALUE_SPELLINGS:
            assert refusal_reason(spelling(word)), spelling(word)
        if len(word) > 3:
            assert refusal_reason(f"d{word}"), word
        assert attribute in (refusal_reason(word) or ""), word
        assert expression_refusal(f"profile->>'{word}'"), word
    assert expression_refusal("CASE WHEN profile->>'ticket' = 'single' THEN 1 ELSE 0 END") is None


@pytest.mark.parametrize("name", ["married", "religion", "ethnicity", "hispanic", "disabled", "gender", "female"])
def test_misspelt_protected_attributes_are_refused(name: str) -> None:
    """A letter left out, twice, or in the place of its neighbour."""
    for at in range(1, len(name)):
        assert refusal_reason(name[:at] + name[at + 1 :]), name[:at] + name[at + 1 :]
        assert refusal_reason(name[:at] + name[at - 1 :]), name[:at] + name[at - 1 :]
        assert refusal_reason(name[: at - 1] + name[at] + name[at - 1] + name[at + 1 :])


@pytest.mark.parametrize("name", ["asthma", "has_diabetes", "isCancer", "Hypertension", "d_depressed", "vaccinated"])
def test_yes_and_no_to_a_disease_is_refused(name: str) -> None:
    """Values of such a field tell nothing; its name is that of a disease."""
    assert "(health: " in str(refusal_reason(name))


def test_words_of_protected_values_inside_other_names_are_allowed() -> None:
    """Names that say something else, and words that only look alike."""
    names = [
        "black_friday_orders",
        "cancer_screening_visits",
        "tumor_size",
        "depression_score",
        "white_label",
        "martial_arts",
        "single_family_home",
        "man_hours",
        "management",
        "trace",
        "brace",
        "grace",
        "email",
        "region",
        "party_size",
        "window",
        "votes_received",
        "foreign_currency",
        "human",
        "talent",
        "market",
        "margin",
        "smart",
        "primary",
        "relation",
        "relative",
        "release",
        "relevant",
        "rank",
        "romance",
        "whitepaper",
        "blacklist",
        "ethernet",
        "method",
        "terrace",
        "accuracy",
        "manual",
        "mandate",
        "demand",
        "document",
        "payment",
        "gift_cards",
        "wedding",
        "native_app",
        "head",
        "self",
        "kids",
        "hhninc",
        "docvis",
        "educ",
        "bluecol",
        "smsa",
        "liberal_arts_degree",
        "credit_rating",
        "disable_ads",
        "single_sign_on",
        "white_collar",
        "vetted_code",
        "faithful",
        "nationwide",
        "company_foreign_share",
    ]
    for name in names:
        assert refusal_reason(name) is None, name


def test_refused_names_with_accents() -> None:
    """Accents and ligatures do not hide a name."""
    for name in (
        "Nationalit\u00e4t",
        "pr\u00e9nom",
        "ciudadan\u00eda",
        "sexualit\u00e9_sexe",
        "f\u00f8dested",
        "G\u00c9NERO",
        "Staatsb\u00fcrgerschaft",
    ):
        assert refusal_reason(name), name


def test_names_that_may_stand_for_an_attribute_are_allowed_and_said() -> None:
    """Country, language, postcode and the like are features; `plan` says what they may stand for. Others say nothing."""
    for name in ("country", "zipCode", "POSTAL_CODE", "home_city", "languages"):
        assert refusal_reason(name) is None, name
        assert "may stand for a protected attribute" in (proxy_warning(name) or ""), name
    for name in ("tenure", "capacity", "citycard_x", "company_name", "first_seen", "native_app", "statement"):
        assert refusal_reason(name) is None, name
        assert proxy_warning(name) is None, name


def test_refused_names() -> None:
    """The age in its disguises and protected attributes are refused; honest neighbours are not."""
    for name in (
        "age",
        "Age",
        "approximate_age",
        "estimatedAge",
        "real_age",
        "birth_year",
        "dob",
        "dateOfBirth",
        "race",
        "marital_status",
        "nationality",
        "surname",
        "mother_tongue",
        "birth_state",
        "birthCountry",
        "placeOfBirth",
    ):
        assert refusal_reason(name), name
    for name in ("account_age_days", "stage", "language", "wage", "manager", "years_experience", "package", "unionized_software"):
        assert refusal_reason(name) is None, name
    for name in ("Age group", "age_band", "agegrp", "AgeRange", "user_age_bracket", "Altersgruppe", "grupo de edad", "age_cat"):
        assert str(refusal_reason(name)).endswith("is the age itself"), name
    for name in ("group", "usage_category", "age_rating", "vehicle_age_band", "preferred_age_range"):
        assert refusal_reason(name) is None, name
    assert refusal_reason("jahre", ("jahre",))


@pytest.mark.parametrize(
    ("declaration", "line"),
    [
        ("kind='sql'\nexpression='nonsense('\nmin=0\nmax=1\ndefault=0", 2),
        ("kind='text'\npath='a'\nrules=[{match='(',value=1}]\notherwise=0\ndefault=0", 2),
        ("kind='sql'\nexpression='1); SELECT (2'\nmin=0\nmax=9\ndefault=0", 2),
        ("kind='sql'\nexpression=\"(SELECT 1 FROM read_csv('/etc/passwd'))\"\nmin=0\nmax=9\ndefault=0", 2),
    ],
)
def test_expressions_are_tried_before_the_run(declaration: str, line: int) -> None:
    """A bad expression or pattern, and one that wants to read files, is refused with its line."""
    features = parse_features(f"format = 1\n[features.f]\nmeaning='m'\n{declaration}\n", "mine.toml")
    with pytest.raises(ConfigError, match=rf"mine.toml, line {line}: feature f does not compile"):
        check_compiles(features, AS_OF, "mine.toml")


def test_default_and_example_files() -> None:
    """22 documented features; the example file loads too; comments do not change the hash."""
    features = load_features(None)
    assert len(features) == 22
    assert all(f.meaning.endswith(".") for f in features.features.values())
    assert parse_features("# note\n" + default_text(), "x").hash == features.hash
    example = load_features(Path(__file__).parents[1] / "examples" / "it-survey" / "features.toml")
    for declared in (features, example):
        check_compiles(declared, AS_OF, "example")


def test_a_few_profiles_are_read_as_many() -> None:
    """A statement planned once for a few profiles says what the one for many says: quotes, control characters, nothing at all."""
    texts = ["\x00", "{}", None, '{"current_title": "it\'s"}', "'; --", '{"a": "\x01"}', '{"current_title": "x\\u0000y"}', "[]"]
    many = extract_features(connect(), pa.chunked_array([texts * 20], pa.string()), default_text(), AS_OF, kernels=False)
    for few in (texts, [None], []):
        made = extract_features(connect(), pa.chunked_array([few], pa.string()), default_text(), AS_OF, kernels=False)
        at = pa.array([texts.index(text) for text in few], pa.int64())
        assert made.problem.to_pylist() == many.problem.take(at).to_pylist()
        assert made.columns.equals(many.columns.take(at))


@pytest.mark.parametrize("kernels", [False, True])
@pytest.mark.parametrize("rows", [1, 90])
def test_a_feature_may_have_any_name_that_statements_use(rows: int, kernels: bool) -> None:
    """No column that the program adds to the features has the name of one."""
    used = ("problem", "profile", "v", "as_of", "profiles", "few", "order", "sampling_hash", SAMPLING_HASH, FINGERPRINT)
    names = [name for name in dict.fromkeys(used) if FEATURE_NAME.match(name)]
    kinds = ('kind = "category"\npath = "{0}"', 'kind = "sql"\nmin = 0\nmax = 9\ndefault = 0\nexpression = "profile->>\'{0}\'"')
    text = "format = 1\n" + "\n".join(
        f"[features.{name}]\nmeaning = 'x'\n{kinds[i % 2].format(name)}" for i, name in enumerate(names)
    )
    profiles = [json.dumps({name: i for i, name in enumerate(names)}), "{"] * rows
    made = extract_features(connect(), pa.chunked_array([profiles], pa.string()), text, AS_OF, kernels=kernels)
    assert made.problem.to_pylist()[:2] == [None, "profile_malformed"]
    assert made.columns.slice(0, 1).to_pylist() == [{name: i if i % 2 else str(i) for i, name in enumerate(names)}]
    assert not any(name in names for name in (SAMPLING_HASH, FINGERPRINT, GROUP))

"""Descriptions and proposals of a source: no number, value or key of fewer than 20 people in what is printed or written."""

import csv
import json
import math
import random
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

import predict_age
from conftest import cli
from predict_age.proposal.shared_numbers import inner_ends, shared_ends, shared_median, shared_number
from predict_age.source.csv_header import is_record
from predict_age.tally import fewest_sharing, part_in_words, share_in_words, shown_parts

AS_OF = "2025-10-23"
PEOPLE = 1_000
MINORS, UNREADABLE, WITHOUT_JOB = 3, 7, 4
SECRETS = ("anna.k@mail.example", "u-77123", "Zebulon", "98765", "1931", "12345.5")


def people() -> list[dict[str, Any]]:
    """1,000 people: three minors with values of their own, seven ages that cannot be read, keys that one person has."""
    draw = random.Random(5)
    rows: list[dict[str, Any]] = []
    for n in range(PEOPLE):
        age: Any = 20 + draw.randrange(50)
        profile: dict[str, Any] = {
            "job": draw.choice(["cook", "clerk", "pilot"]),
            "pay": 20_000 + 7 * draw.randrange(3000),
            "since": f"{1990 + draw.randrange(30)}-05-01",
        }
        if n < MINORS:
            age = 11 + n
            profile |= {"pay": 98765, "since": "1931-01-01", "club": "Zebulon"}
        elif n < MINORS + UNREADABLE:
            age = "n/k"
        elif n % 3 == 0:
            age = None
        if n in (50, 51, 52):
            profile |= {"anna.k@mail.example": 1, "friends": {"u-77123": {"since": 2001}}, "pay": 12345.5 * 1000}
        if n in range(100, 100 + WITHOUT_JOB):
            del profile["job"]
        rows.append({"pid": 1000 + 3 * n, "age": age, "profile": profile})
    draw.shuffle(rows)
    return rows


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("people") / "people.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in people()))
    return path


def numbers_of_people(found: dict[str, Any]) -> Iterator[int]:
    """All numbers of people in the JSON of a profile."""
    yield from (found["ages"][key] for key in ("known", "given", "withheld"))
    for field in found["fields"]:
        yield field["people"]
        yield PEOPLE - field["distinct"]
        yield round(field["people"] * field["missing"] / (1 - field["missing"])) if field["missing"] < 1 else 0
        yield from (value["people"] for value in field["shape"]["values"])
        yield field["shape"]["others"]


def test_profile_tells_no_small_number_and_nothing_of_minors(source: Path, tmp_path: Path) -> None:
    """Terminal, page, JSON: 10 stands for 1 to 19 people, and no sum or difference gives the true number away."""
    page = tmp_path / "page.html"
    said = cli("profile", "--source", source, "--as-of", AS_OF, "--html", page).stdout
    printed = cli("profile", "--source", source, "--as-of", AS_OF, "--json").stdout
    found = json.loads(printed)
    assert not [n for n in numbers_of_people(found) if 0 < n < 20 and n != 10]
    ages = found["ages"]
    assert ages["withheld"] == 10
    job = next(f for f in found["fields"] if f["name"] == "job")
    assert sum(v["people"] for v in job["shape"]["values"]) == job["people"] != PEOPLE - MINORS - WITHOUT_JOB
    known = sum(isinstance(row["age"], int) for row in people()) - MINORS
    assert ages["known"] != known
    assert sum(ages["years"]) == pytest.approx(ages["known"], abs=1)
    assert not any(ages["years"][:18])
    age_field = next(f for f in found["fields"] if f["name"] == "age")
    assert int(age_field["shape"]["low"]) >= 20
    for text in (said, printed, page.read_text()):
        assert not [secret for secret in SECRETS if secret in text]
        assert "fewer than 20" in text
    assert "keys, each in fewer than 20 profiles" in said
    assert re.search(r"job +text +<2\.0 %", said)


@pytest.mark.parametrize("key", ["anna.k@mail.example", "friends.u-77123.since"])
def test_keys_of_single_people_are_suggested_to_nobody(key: str, source: Path, tmp_path: Path) -> None:
    """A path near a key that three people have leads to no suggestion, and the message lists shared keys alone."""
    features = tmp_path / "features.toml"
    near = "anna_kmailexample" if "@" in key else "friend.u77123.since"
    features.write_text(
        f'format = 1\n[features.x]\nkind = "number"\npath = "{near}"\nmin = 0\nmax = 9\ndefault = 1\nmeaning = "x"\n'.replace(
            "= 0\n", "= 0.0\n"
        )
        .replace("= 9\n", "= 9.0\n")
        .replace("= 1\nm", "= 1.0\nm")
    )
    config = tmp_path / "c.toml"
    config.write_text('[source]\napproximate_age = "age"\nprofile_json = "profile"\n')
    stderr = cli("plan", "--source", source, "--config", config, "--features", features, "--as-of", AS_OF, check=2).stderr
    assert "is in none of" in stderr
    assert not [secret for secret in SECRETS if secret in stderr]
    assert "job" in stderr


def test_init_tells_nothing_of_single_people_and_learns_nothing_from_minors(source: Path, tmp_path: Path) -> None:
    """Its files and messages have no value, key or small number; they are those of a source whose minors have other profiles."""
    made = cli("init", "--source", source, "--out", tmp_path / "a", "--as-of", AS_OF)
    texts = [made.stdout, made.stderr, *(p.read_text() for p in (tmp_path / "a").iterdir())]
    for text in texts:
        assert not [secret for secret in SECRETS if secret in text]
        assert not re.search(r"\b(only|in) ([1-9]|1\d) of", text)
    others = people()
    for row in others:
        if isinstance(row["age"], int) and row["age"] < 18:
            row["profile"] = {"job": "child", "pay": 1, "since": "2020-01-01", "toys": 5}
    changed = tmp_path / "people.jsonl"
    changed.write_text("".join(json.dumps(row) + "\n" for row in others))
    cli("init", "--source", changed, "--out", tmp_path / "b", "--as-of", AS_OF)
    assert (tmp_path / "a" / "features.toml").read_text() == (tmp_path / "b" / "features.toml").read_text()


HEADERLESS = {
    "people": lambda d, n: [
        f"u-{77000 + n}",
        d.choice(["Zebulon", "Maria", "Li"]),
        str(20 + d.randrange(50)),
        d.choice(["Rome", "Oslo"]),
        str(20_000 + d.randrange(9999)),
    ],
    "mails": lambda d, n: [f"anna.k{n}@mail.example", f"{1950 + d.randrange(50)}-03-0{1 + n % 9}", d.choice(["cook", "clerk"])],
    "two": lambda d, n: [f"{1000 + n}", f"{1950 + d.randrange(50)}"],
    "one": lambda d, n: [f"anna.k{n}@mail.example"],
}


@pytest.mark.parametrize("form", HEADERLESS)
@pytest.mark.parametrize("command", ["profile", "init", "plan", "run", "score"])
def test_a_file_without_a_header_is_said_without_its_first_record(form: str, command: str, tmp_path: Path) -> None:
    """In each command that reads names of columns, the error says so and shows no value."""
    draw = random.Random(4)
    path = tmp_path / "people.csv"
    rows = [HEADERLESS[form](draw, n) for n in range(300)]
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    if command == "score":
        from predict_age.errors import InputError
        from predict_age.evaluation.ab_test.truth_files import _names
        from predict_age.source.discovery import list_source
        from predict_age.source_config import SourceConfig

        with pytest.raises(InputError, match="no header") as failed:
            _names(list_source(str(path), SourceConfig()).files[0])
        said = str(failed.value)
    else:
        more = {"init": ("--out", tmp_path), "run": ("--workspace", tmp_path / "w")}.get(command, ())
        done = cli(command, "--source", path, "--as-of", AS_OF, *more, check=3)
        said = done.stdout + done.stderr
    assert "no header" in said
    assert not [value for value in rows[0] if value in said and len(value) > 2]


@pytest.mark.parametrize(
    ("names", "make"),
    [
        (["country", "1990", "1991", "1992"], lambda n: ["x", str(1900 + n), str(1950 + n), "7"]),
        (["0", "1", "2"], lambda n: [str(n % 5), str(n % 7), str(n)]),
        (["pid", "age", "job"], lambda n: [str(n), str(20 + n % 50), "cook"]),
        (["q1", "q2", "q3"], lambda n: [str(n % 3), str(n % 4), "q"]),
        (["male", "female"], lambda n: [str(n % 2), str(1 - n % 2)]),
        (["", "pid", "age"], lambda n: [str(n), str(n + 5), "31"]),
    ],
)
def test_headers_are_taken_for_headers(names: list[str], make: Any) -> None:
    """Years, numbers of columns and short names are names, whatever stands below them."""
    assert not is_record(names, [make(n) for n in range(200)])


@pytest.mark.parametrize("seed", range(200))
def test_shown_parts_hide_small_ones(seed: int) -> None:
    """The sum stays, no part is one of 1 to 19 people but 10, and no small part follows from the whole and the others."""
    draw = random.Random(seed)
    parts = {str(n): draw.choice([0, draw.randrange(1, 20), draw.randrange(20, 2000)]) for n in range(draw.randrange(1, 5))}
    shown = shown_parts(parts)
    whole = sum(parts.values())
    assert sum(shown.values()) == whole
    assert {k for k, n in shown.items() if n} == {k for k, n in parts.items() if n}
    if whole < 20 or sum(n > 0 for n in parts.values()) < 2:
        return
    small = [k for k, n in parts.items() if 0 < n < 20]
    if max(shown.values()) - min(n for n in shown.values() if n) > 1:
        assert all(shown[k] == 10 for k in small)
    if small and len(small) == 1 and parts[small[0]] != 10:
        assert shown != parts
    for part in (0, 3, 20, whole - 3, whole):
        if 0 <= part <= whole:
            words = part_in_words(part, whole) + share_in_words(part, whole)
            assert (f"{part:,} of" not in words) == (0 < part < 20 or 0 < whole - part < 20), words


@pytest.mark.parametrize("seed", range(30))
def test_a_digit_is_shared_by_twenty(seed: int) -> None:
    """A shown number agrees with at least 20 values in all its digits; the ends have 19 people beyond them."""
    draw = random.Random(seed)
    numbers = [draw.choice([draw.lognormvariate(8, 2), float(draw.randrange(90))]) for _ in range(draw.randrange(40, 800))]
    low, high = inner_ends(numbers)
    assert sum(n <= low for n in numbers) >= 20 <= sum(n >= high for n in numbers)
    for value in (low, high):
        shown = shared_number(value, numbers)
        if shown is not None:
            places = (10.0**power for power in range(12, -12, -1))
            unit = next(
                place for place in places if shown == 0 or round(shown / place) == pytest.approx(shown / place, abs=1e-9) != 0
            )
            assert sum(abs(n - shown) <= unit / 2 for n in numbers) >= 20, shown


def test_a_key_is_named_for_twenty_or_half() -> None:
    assert [fewest_sharing(n) for n in (1, 2, 3, 39, 40, 5000)] == [1, 1, 2, 20, 20, 20]


def test_profile_of_python_is_that_of_the_command(source: Path) -> None:
    """The same rule behind the object."""
    found = predict_age.profile(source, as_of=AS_OF)
    assert not [secret for secret in SECRETS if secret in json.dumps(found.as_json()) + found._repr_html_()]


def test_a_proposal_shows_no_record(source: Path, tmp_path: Path) -> None:
    """A notebook prints the last line of a cell: ``pa.init(...)`` printed all records of its sample."""
    made = predict_age.init(source, tmp_path, as_of=AS_OF)
    for shown in map(repr, (made, made.proposal, made.proposal.sample, made.proposal.ages)):
        assert not [secret for secret in (*SECRETS, "'profile': ", "'age': ") if secret in shown]
    assert repr(made).startswith(f"<WrittenProposal of {source}: ") and len(repr(made).splitlines()) == 1


@pytest.mark.parametrize("people", [25, 45, 150, 2000])
@pytest.mark.parametrize("spread", ["whole", "fine", "heavy", "negative", "one each"])
def test_numbers_for_a_file_are_shared(people: int, spread: str) -> None:
    """Ends and median have the digits that 20 people have, or are powers of ten."""
    draw = random.Random(people)
    numbers: list[float] = [
        {
            "whole": lambda n: draw.randint(0, 40),
            "fine": lambda n: draw.uniform(20, 90),
            "heavy": lambda n: draw.lognormvariate(8, 2),
            "negative": lambda n: draw.gauss(-30, 20),
            "one each": lambda n: 1 + n,
        }[spread](n)
        for n in range(people)
    ]
    for value in (*shared_ends(numbers), shared_median(numbers)):
        digits = len(f"{abs(value):g}".split("e")[0].replace(".", "").strip("0"))
        unit = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1) if value else 0.5
        is_power = bool(value) and math.log10(abs(value)).is_integer()
        assert sum(abs(n - value) <= unit / 2 for n in numbers) >= 20 or is_power, value


@pytest.mark.parametrize("middle", [0.04, 2.2, 22_000, 31_000, 32_000, 90_000])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_power_of_ten_is_near_the_median_and_beyond_the_ends(middle: float, sign: int) -> None:
    """For 60 people who share no digit: the median of salaries around 22,000 is 10,000, no 100,000; no end lies inside."""
    numbers = [sign * middle * 1.2 ** (n - 29.5) for n in range(60)]
    assert all(shared_number(value, numbers) is None for value in (median(numbers), *inner_ends(numbers)))
    assert abs(math.log10(shared_median(numbers) / (sign * middle))) <= 0.51
    (low, high), (inner_low, inner_high) = shared_ends(numbers), inner_ends(numbers)
    assert low <= inner_low < inner_high <= high
    assert all(abs(math.log10(shown / end)) < 1 for shown, end in ((low, inner_low), (high, inner_high)))


def test_nineteen_people_change_no_bound_of_a_proposal(tmp_path: Path) -> None:
    """Numbers, dates, lists, texts and decimal commas: the feature file is the same whatever values 19 people have at either end."""

    def written(name: str, pay: float, skills: int, since: str, words: int, price: str) -> str:
        draw, rows = random.Random(3), list[dict[str, Any]]()
        for n in range(400):
            profile: dict[str, Any] = {
                "pay": 1000 + draw.randrange(9000),
                "skills": ["sql"] * draw.randrange(30),
                "since": f"{1985 + draw.randrange(30)}-05-01",
                "about": " ".join(draw.choices(["red", "blue", "green"], k=1 + draw.randrange(30))),
                "price": f"{1 + draw.randrange(900)},50",
            }
            if n < 19:
                values = (pay, ["sql"] * skills, since, " ".join(["red"] * words), price)
                profile = dict(zip(("pay", "skills", "since", "about", "price"), values, strict=True))
            rows.append({"pid": 7 * n, "age": 20 + draw.randrange(50), "profile": profile})
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        cli("init", "--source", tmp_path / f"{name}.jsonl", "--out", tmp_path / name, "--as-of", AS_OF)
        text = (tmp_path / name / "features.toml").read_text()
        return "\n".join(line for line in text.splitlines() if re.match(r"\[|kind|min|max|default|path|expression", line))

    plain = written("a", 0, 90, "1930-01-01", 90, "5000,50")
    assert plain.count("[features.") >= 6
    assert written("b", -777_777, 333, "1912-01-01", 333, "99999,50") == plain

"""Configurations and feature files that nobody would write, drawn at random."""

from __future__ import annotations

import random

from predict_age.config import _sections
from predict_age.features.spec import default_text

VALUES = (
    "1",
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "1" + "0" * 40,
    "1" * 5000,
    "1e308",
    "-1e308",
    "inf",
    "-inf",
    "nan",
    "0.5",
    "1e-320",
    "true",
    "false",
    '""',
    '"x"',
    '"auto"',
    '" "',
    '"\\u0000"',
    '"\\uFFFD"',
    '"*"',
    '"a.b"',
    '"$"',
    '"\'"',
    '"\\""',
    '"\\\\"',
    '";"',
    '"{}"',
    '"%s"',
    '"%Y-%m-%d"',
    '"%Y%m%d%Q"',
    '"%"',
    '"%Y%m%d%"',
    '"base64"',
    '"hex"',
    '"rot13"',
    '"zlib"',
    '"idna"',
    '"punycode"',
    '"undefined"',
    '"utf-7"',
    '"utf-32"',
    '"mbcs"',
    '"utf-16-be"',
    '"cp037"',
    '"unicode_escape"',
    '"shift_jis"',
    '"2025q4"',
    '"2025q9"',
    "[]",
    "[1]",
    '["x"]',
    '["a", "a"]',
    "[[]]",
    "{}",
    "{a = 1}",
    '{a = "b"}',
    '{"" = ""}',
    '{"\\u0000" = "x"}',
    "{x = 0.5}",
    "1979-05-27",
    "1979-05-27T07:32:00Z",
    "07:32:00",
    '"' + "x" * 100_000 + '"',
    "[" * 60 + "]" * 60,
    "[" * 3000 + "]" * 3000,
    "{a = " * 1000 + "1" + "}" * 1000,
    "0x" + "f" * 5000,
    '"""\nlines\n"""',
    '"ü"',
    '"\\u202e"',
    '"\U0001f600"',
    "",
    "nonsense",
    "'",
    '"',
    "=",
    "1_0",
    "0b2",
)
KEYS = (
    '""',
    '"\\u0000"',
    '"a b"',
    "x",
    "1",
    '"ü"',
    '"."',
    "a.b",
    "true",
    '"' + "k" * 10_000 + '"',
    "'q'",
    '";"',
    "__class__",
    "min",
    "format",
)
FEATURE_KEYS = (
    "kind",
    "path",
    "meaning",
    "unit",
    "min",
    "max",
    "default",
    "pick",
    "levels",
    "rules",
    "otherwise",
    "expression",
    "outside",
    "scale",
    "max_values",
    "may_be_absent",
)
KINDS = ("number", "date", "ordered", "category", "boolean", "count", "text", "sql")
PATHS = (
    "tenure_months",
    "a",
    "a.b",
    "a[0]",
    "a[-1]",
    "a[*].b",
    '"a.b".c',
    "a[99999999999999999999]",
    "a[-99999999999999999999]",
    "a'b",
    '\\"a\\\\"',
    "",
    ".",
    "a..b",
    "*",
    "$",
    "a[",
    "[0]",
    "a[*][*]",
    "\\u0000",
    "ü",
    "a;b",
    "{}",
    "a b",
    "x" * 50_000,
    ".".join("a" * 2000),
    "a" + "[0]" * 500,
)
MATCHES = (
    "a",
    "(",
    "(?P<",
    "[",
    "a{99999}",
    "(a*)*",
    "\\\\",
    "'",
    "$1",
    "(?<=a)b",
    "\\\\p{L}",
    "\\u0000",
    ".",
    "a" * 50_000,
    "(" * 2000 + ")" * 2000,
    "%",
    "{}",
)
EXPRESSIONS = (
    "1",
    "NULL",
    "nonsense",
    "1 +",
    "'",
    "1; DROP TABLE x",
    "1 -- ",
    "/*",
    "(SELECT 1)",
    "sum(1)",
    "row_number() OVER ()",
    "profile",
    "as_of",
    "1/0",
    "'x'::INT",
    "random()",
    "read_text('/etc/hostname')",
    "getenv('HOME')",
    "unnest([1, 2])",
    "[1]",
    "{'a': 1}",
    "CAST('inf' AS DOUBLE)",
    "1e400",
    "*",
    "?",
    "$1",
    "1 AS x",
    "(" * 3000 + "1" + ")" * 3000,
    "1" + " + 1" * 5000,
    "\\u0000",
    "len(profile)",
    "DATE '9999-12-31'",
    "json_extract(profile, 'x')",
    "error('x')",
    "x -> x",
    "profile->>'tenure_months'",
    "(profile->>'tenure_months')::INT",
    "repeat('x', 1000000000)",
    "COLUMNS(*)",
    "TRUE",
    "9223372036854775807 + 1",
)


def config_text(draw: random.Random) -> bytes:
    """The bytes of a configuration: sections and keys that exist or not, with values of any type."""
    sections = _sections()
    lines: list[str] = []
    for _ in range(draw.choice([0, 1, 1, 1, 2, 3])):
        name = draw.choice([*sections, *sections, "nonsense"])
        shape = draw.random()
        if shape < 0.08:
            lines.insert(0, f"{name} = {draw.choice(VALUES)}")
            continue
        if shape < 0.12:
            lines += [f"[[{name}]]"]
            continue
        lines.append(f"[{name}]")
        known = list(sections[name].model_fields) if name in sections else ["x"]
        for _ in range(draw.choice([0, 1, 1, 1, 2])):
            key = draw.choice(known) if draw.random() < 0.9 else draw.choice(KEYS)
            lines.append(f"{key} = {draw.choice(VALUES)}")
    return _damaged(draw, "\n".join(lines))


def feature_text(draw: random.Random) -> bytes:
    """The bytes of a feature file: the built-in one with a damage, or features with values of any type."""
    if draw.random() < 0.2:
        lines = default_text().splitlines()
        place = draw.randrange(len(lines))
        change = draw.choice(
            ["", lines[draw.randrange(len(lines))], f"{draw.choice(FEATURE_KEYS)} = {draw.choice(VALUES)}", "[features.x]"]
        )
        lines[place : place + draw.choice([0, 1])] = [change]
        return _damaged(draw, "\n".join(lines))
    lines = [draw.choice(["format = 1"] * 8 + [f"format = {draw.choice(VALUES)}", ""])]
    for number in range(draw.choice([0, 1, 1, 1, 2, 3])):
        if draw.random() < 0.05:
            lines.append(f"features = {draw.choice(VALUES)}")
        name = draw.choice(
            [
                "x",
                f"f{number}",
                f"f{number}",
                '"x y"',
                '""',
                '"ü"',
                "select",
                "age",
                "order",
                "pid",
                "profile",
                "as_of",
                '"a\\"b"',
                "x" * 63,
            ]
        )
        kind = draw.choice(KINDS)
        lines += [f"[features.{name}]", f'kind = "{kind}"', 'meaning = "m"']
        lines += [f"{key} = {_sound(draw, key)}" for key in _keys_of(kind)]
        if draw.random() < 0.6:
            lines.append(f"{draw.choice(FEATURE_KEYS)} = {draw.choice(VALUES)}")
        elif draw.random() < 0.5 and len(lines) > 3:
            del lines[-1]
        lines += ["may_be_absent = true"] if draw.random() < 0.5 else []
    text = "\n".join(dict.fromkeys(lines)) if draw.random() < 0.1 else "\n".join(lines)
    return _damaged(draw, text)


def _keys_of(kind: str) -> tuple[str, ...]:
    return {
        "number": ("path", "min", "max", "default"),
        "date": ("path", "max", "default"),
        "ordered": ("path", "levels", "default"),
        "category": ("path",),
        "boolean": ("path",),
        "count": ("path",),
        "text": ("path", "rules", "otherwise", "default"),
        "sql": ("expression", "min", "max", "default"),
    }[kind]


def _sound(draw: random.Random, key: str) -> str:
    """A value of the right type, often an odd one."""
    if key == "path":
        return f'"{draw.choice(PATHS)}"'
    if key == "expression":
        return f'"{draw.choice(EXPRESSIONS)}"'
    if key == "rules":
        return f'[{{match = "{draw.choice(MATCHES)}", value = {draw.choice(["1", "inf", "nan", "1e308"])}}}]'
    if key == "levels":
        return draw.choice(
            [
                '["a", "b"]',
                '["", " "]',
                '[["a", "b"], "c"]',
                '[[], "a"]',
                '["a", "A"]',
                '["\\u0000", "b"]',
                '["\'", "\\\\"]',
                str([f"l{i}" for i in range(3000)]),
            ]
        )
    low = {"min": ("0", "-1e308", "-inf", "nan", "5"), "max": ("100", "1e308", "inf", "nan", "4")}.get(
        key, ("1", "0", "-0.0", "nan", "inf", "50")
    )
    return draw.choice(low[:1] * 5 + low)


def _damaged(draw: random.Random, text: str) -> bytes:
    """The text as bytes, one in five with another encoding or a damage."""
    data = text.encode("utf-8", "surrogatepass")
    place = draw.randrange(len(data) + 1)
    return draw.choice(
        [data] * 32
        + [
            b"\xef\xbb\xbf" + data,
            text.encode("utf-16"),
            data[:place],
            data[:place] + b"\xff" + data[place:],
            data[:place] + b"\0" + data[place:],
        ]
        + [
            data.replace(b"\n", b"\r"),
            data.replace(b"\n", b"\r\n"),
            data + b"\n" + data,
            b"",
            b"#" + b"x" * 2_000_000,
            b"\n" * 200_000 + data,
        ]
    )

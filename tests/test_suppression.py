"""The suppression list: who is on it, what a broken one stops, and who is hidden from runs and readers."""

from __future__ import annotations

import itertools
import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import forked
from conftest import AS_OF, cli, cli_process, run_json
from personal_traces import Watch, counted, traces
from planted_people import plant
from predict_age.errors import ConfigError
from predict_age.hashing import siphash, siphash_keys
from predict_age.kernels import kernel_switch, kernels_usable
from predict_age.pipeline.suppress import parse_ids
from predict_age.source.id_hashes import keyed_hashes
from predict_age.source.id_lines import read_id_lines
from predict_age.source.suppression import Entries, hidden_people
from predict_age.source.text_ids import pid_of
from predict_age.storage.publication import note_suppression_list
from predict_age.storage.workspace import Workspace

KEY = bytes(range(16))
# SipHash-2-4 of the bytes 0, 1, 2 ... (n of them) under the key 0, 1 ... 15: the vectors of the reference implementation
REFERENCE = """
310e0edd47db6f72 fd67dc93c539f874 5a4fa9d909806c0d 2d7efbd796666785 b7877127e09427cf 8da699cd64557618 cee3fe586e46c9cb
37d1018bf50002ab 6224939a79f5f593 b0e4a90bdf82009e f3b9dd94c5bb5d7a a7ad6b22462fb3f4 fbe50e86bc8f1e75 903d84c02756ea14
eef27a8e90ca23f7 e545be4961ca29a1 db9bc2577fcc2a3f 9447be2cf5e99a69 9cd38d96f0b3c14b bd6179a71dc96dbb 98eea21af25cd6be
c7673b2eb0cbf2d0 883ea3e395675393 c8ce5ccd8c030ca8 94af49f6c650adb8 eab8858ade92e1bc f315bb5bb835d817 adcf6b0763612e2f
a5c91da7acaa4dde 716595876650a2a6 28ef495c53a387ad 42c341d8fa92d832 ce7cf2722f512771 e37859f94623f3a7 381205bb1ab0e012
ae97a10fd434e015 b4a31508beff4d31 81396229f0907902 4d0cf49ee5d4dcca 5c73336a76d8bf9a d0a704536ba93e0e 925958fcd6420cad
a915c29bc8067318 952b79f3bc0aa6d4 f21df2e41d4535f9 87577519048f53a9 10a56cf5dfcd9adb eb75095ccd986cd0 51a9cb9ecba312e6
96afadfc2ce666c7 72fe52975a4364ee 5a1645b276d592a1 b274cb8ebf87870a 6f9bb4203de7b381 eaecb2a30b22a87f 9924a43cc1315724
bd838d3aafbf8db7 0b1a2a3265d51aea 135079a3231ce660 932b2846e4d70666 e1915f5cb1eca46c f325965ca16d629f 575ff28e60381be5
724506eb4c328a95
"""
VECTORS = REFERENCE.split()


@pytest.mark.parametrize("length", range(64))
def test_siphash_is_that_of_the_paper(length: int) -> None:
    """The kernel and its twin give the reference values, for messages of every length up to 63 bytes."""
    expected = int.from_bytes(bytes.fromhex(VECTORS[length]), "little")
    message = np.arange(length, dtype=np.uint8)
    assert int(siphash(message[None], KEY)[0]) == expected
    if kernels_usable():
        from predict_age.kernels.hashes import siphash_messages

        made = np.empty(1, np.uint64)
        siphash_messages(message if length else np.zeros(1, np.uint8), length, *siphash_keys(KEY), made)
        assert int(made[0]) == expected


def test_the_vector_printed_in_the_paper() -> None:
    """Appendix A: the bytes 0 to 14 under the key 0 to 15."""
    assert int(siphash(np.arange(15, dtype=np.uint8)[None], KEY)[0]) == 0xA129CA6149BE45E5


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=50), st.binary(min_size=16, max_size=16))
def test_kernel_and_twin_hash_pids_alike(pids: list[int], key: bytes) -> None:
    """A pid is hashed as eight bytes, little-endian."""
    several = np.array(pids, np.int64)
    try:
        kernel_switch.on = False
        slow = keyed_hashes(several, key)
    finally:
        kernel_switch.on = True
    kernels_usable()
    assert keyed_hashes(several, key).tolist() == slow.tolist()
    for pid, made in zip(pids, slow.tolist(), strict=True):
        assert int(siphash(np.frombuffer(pid.to_bytes(8, "little", signed=True), np.uint8)[None], key)[0]) == made


NO_RESULT = {"in_result": None, "hidden": None, "released": 0}


class Space:
    """A workspace and commands about its list."""

    def __init__(self, root: Path) -> None:
        self.root, self.ids = root / "work", root / "ids.txt"

    def suppress(self, ids: Any, *more: object, check: int = 0) -> dict[str, Any]:
        self.ids.write_text("".join(f"{i}\n" for i in ids))
        done = cli("suppress", "--workspace", self.root, "--pid-file", self.ids, "--json", *more, check=check)
        return json.loads(done.stdout) if check == 0 else {"error": done.stderr}

    @property
    def folder(self) -> Path:
        return self.root / "suppression"

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root)


@pytest.fixture
def space(tmp_path: Path) -> Space:
    return Space(tmp_path)


def hidden(space: Space, pids: list[int], ids: Any = "integer", made_with: int | None = None) -> list[bool]:
    """Who is hidden, by the list as it lies there; kernel and twin agree."""
    listed = space.workspace.suppression
    found = []
    for on in (True, False):
        kernel_switch.on = on
        found.append(hidden_people(np.array(pids, np.int64), listed, ids, made_with)[0].tolist())
    kernel_switch.on = True
    assert found[0] == found[1]
    return found[0]


def test_the_first_list_makes_workspace_and_key(space: Space) -> None:
    """Before the first run: a folder, a key that only its owner may read, no id anywhere."""
    found = space.suppress([71234567890123, -5, 0])
    assert found == {"generation": 1, "listed": 3, "given": 3, "changed": 3, "unchanged": 0, **NO_RESULT}
    key = space.folder / "key"
    assert (key.stat().st_size, stat.S_IMODE(key.stat().st_mode)) == (16, 0o600)
    assert hidden(space, [71234567890123, -5, 0, 5, 1]) == [True, True, True, False, False]
    document = json.loads((space.folder / "list.json").read_text())
    assert sorted(p.name for p in space.folder.iterdir()) == sorted(["key", "list.json", document["ids"]])
    content = b"".join(p.read_bytes() for p in space.root.rglob("*") if p.is_file())
    assert b"71234567890123" not in content
    assert (71234567890123).to_bytes(8, "little") not in content
    pointer = json.loads((space.root / "published.json").read_text())
    assert (pointer["suppression"], pointer["suppression_list"]) == (1, document["sha256"])


def test_ids_are_added_and_released_once(space: Space) -> None:
    """Nothing changes twice, the key stays, old hashes go, and somebody released counts for earlier runs alone."""
    space.suppress([1, 2, 3])
    key = (space.folder / "key").read_bytes()
    assert space.suppress([1, 2, 3])["generation"] == 1, "nothing to do"
    assert space.suppress([3, 4]) == {
        "generation": 2, "listed": 4, "given": 2, "changed": 1, "unchanged": 1, **NO_RESULT,
    }  # fmt: skip
    assert space.suppress([1, 9], "--remove")["changed"] == 1
    assert hidden(space, [1, 2, 3, 4, 9]) == [False, True, True, True, False]
    assert hidden(space, [1, 2, 9], made_with=2) == [True, True, False], "released in generation 3: an earlier run hides them still"
    assert space.suppress([1, 2], "--check") == {
        "generation": 3, "listed": 3, "given": 2, "changed": 1, "unchanged": 1, **NO_RESULT, "released": 1,
    }  # fmt: skip
    space.suppress([1])
    assert hidden(space, [1], made_with=4) == [True]
    assert (space.folder / "key").read_bytes() == key
    assert len(list(space.folder.glob("ids-*"))) == 1


@pytest.mark.parametrize(
    ("line", "integers", "texts"),
    [
        ("123", [123], [123]),
        (" 123 ", [123], [123]),
        ("0123", [123], [pid_of("0123")]),
        ("+7", [7], [pid_of("+7")]),
        ("12.0", [12], [pid_of("12.0")]),
        ("-0", [0], [pid_of("-0")]),
        ("A-17", [], [pid_of("A-17")]),
        ("Zoe\u0301", [], [pid_of("Zo\u00e9")]),
        ("9223372036854775807", [2**63 - 1], [2**63 - 1]),
        ("9223372036854775808", [], [pid_of("9223372036854775808")]),
    ],
)
def test_an_id_stands_for_every_pid_that_it_may_be(space: Space, line: str, integers: list[int], texts: list[int]) -> None:
    """As a whole number in a source of those, as text in one of texts; normalised as the reader does it."""
    space.suppress([line])
    assert hidden(space, [*integers, 4711]) == [True] * len(integers) + [False]
    assert hidden(space, [*texts, 4711], "text") == [True] * len(texts) + [False]
    other = set(integers) ^ set(texts)
    assert not any(hidden(space, [p for p in other if p not in integers]))
    assert not any(hidden(space, [p for p in other if p not in texts], "text"))


@pytest.mark.parametrize(
    ("data", "rule", "line"),
    [
        (b"1\n2\nA-17\n", "integer", 3),
        (b"1\n\n2\n", None, 2),
        (b"Anna\nBert\n\xff\xfe\n", "text", 3),
        (b"1\n9223372036854775808\n", "integer", 2),
        (b"1\ntrue\n", None, 2),
        (b'{"pid": 1}\n', None, 1),
        (b"pid\n1\n", "integer", 1),
        (b"1,2\n", "integer", 1),
    ],
)
def test_a_line_that_is_no_id_is_named_by_its_number(data: bytes, rule: Any, line: int) -> None:
    """Its text is never shown: it may be about a person."""
    with pytest.raises(ConfigError, match=rf"line {line} of the file is no id") as caught:
        parse_ids(data, "the file", rule)
    assert not any(word in str(caught.value) for word in ("A-17", "Bert", "true", "pid is", "1,2"))


IDS = {"integer": ["71", "-5", "12"], "text": ["A-17", "071", "Zo\u00e9"], None: ["71", "A-17", "+7"]}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]
RIGHT_FORMS = {  # how several ids may be written
    "one a line": lambda ids, end: end.join(ids) + end,
    "no end of the last line": lambda ids, end: end.join(ids),
    "quotation marks as in CSV": lambda ids, end: end.join(f'"{i}"' for i in ids) + end,
    "space around them": lambda ids, end: end.join(f" \t{i}\u00a0 " for i in ids) + end,
}
WRONG_FORMS = {  # a list of ids in a form that would stand for nobody, and the number of the line that is named
    "columns with commas": (lambda ids: [f"{i},Anna" for i in ids], 1),
    "columns with semicolons": (lambda ids: [f"{i};Anna" for i in ids], 1),
    "columns with tabs": (lambda ids: [f"{i}\tAnna" for i in ids], 1),
    "columns with bars": (lambda ids: [f"{i}|Anna" for i in ids], 1),
    "columns in quotation marks": (lambda ids: [f'"{i}","Anna"' for i in ids], 1),
    "one row": (lambda ids: [", ".join(ids)], 1),
    "header pid": (lambda ids: ["pid", *ids], 1),
    "header with columns": (lambda ids: ["pid,name", *ids], 1),
    "header user_id": (lambda ids: ["user_id", *ids], 1),
    "header patient_id": (lambda ids: ["patient_id", *ids], 1),
    "header participant_id": (lambda ids: ["participant_id", *ids], 1),
    "header Kundennummer": (lambda ids: ["Kundennummer", *ids], 1),
    "header email": (lambda ids: ["email", *ids], 1),
    "header ID": (lambda ids: ['"ID"', *ids], 1),
    "JSON lines": (lambda ids: [json.dumps({"pid": i}) for i in ids], 1),
    "JSON": (lambda ids: json.dumps({"pids": list(ids)}, indent=1).split("\n"), 1),
    "JSON array": (lambda ids: json.dumps(list(ids), indent=1).split("\n"), 1),
    "JSON with spaces": (lambda ids: [f'{{ "pid" : "{i}" }}' for i in ids], 1),
    "texts of JSON": (lambda ids: [ids[0], *(f'"{i}",' for i in ids)], 2),
    "NUL after them": (lambda ids: [ids[0], *(f"{i}\0" for i in ids)], 2),
    "NUL between them": (lambda ids: ["\0".join(ids)], 1),
    "single quotation marks": (lambda ids: [ids[0], *(f"'{i}'" for i in ids)], 2),
    "typographic quotation marks": (lambda ids: [f"\u201c{i}\u201d" for i in ids], 1),
    "half a quotation mark": (lambda ids: [*ids, f'"{ids[0]}'], 4),
    "zero-width characters": (lambda ids: [ids[0], *(f"\u200b{i}" for i in ids)], 2),
    "a byte order mark inside": (lambda ids: [*ids, f"\ufeff{ids[0]}"], 4),
    "line ends of Unicode": (lambda ids: ["\u2028".join(ids)], 1),
    "form feeds": (lambda ids: ["\x0c".join(ids)], 1),
    "groups of digits": (lambda ids: ["12 345 678"], 1),
    "groups of digits with apostrophes": (lambda ids: ["12\u2019345\u2019678"], 1),
    "digits of full width": (lambda ids: ["\uff11\uff12"], 1),
    "digits of another script": (lambda ids: ["\u0661\u0662.0"], 1),
    "numbers in a row": (lambda ids: ["11 12 13"], 1),
    "numbers of a spreadsheet": (lambda ids: [*ids, "7.41E+18"], 4),
    "a blank line": (lambda ids: [ids[0], "", *ids], 2),
}


@pytest.mark.parametrize("rule", IDS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("form", RIGHT_FORMS)
def test_every_usual_form_of_a_list_is_read(form: str, encoding: str, rule: Any) -> None:
    """Every line end, encoding and quotation mark: the same people as one id a line, UTF-8."""
    expected = parse_ids("".join(f"{i}\n" for i in IDS[rule]).encode(), "the file", rule)
    for end in ("\n", "\r\n", "\r"):
        found = parse_ids(RIGHT_FORMS[form](IDS[rule], end).encode(encoding), "the file", rule)
        for reading in ("integer", "text"):
            assert found.pids[reading].tolist() == expected.pids[reading].tolist()  # type: ignore[index]
            assert found.is_id[reading].tolist() == expected.is_id[reading].tolist()  # type: ignore[index]


@pytest.mark.parametrize("rule", IDS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("form", WRONG_FORMS)
def test_a_list_whose_form_stands_for_nobody_is_refused(form: str, encoding: str, rule: Any) -> None:
    """With the number of its first such line, and no text of it."""
    made, line = WRONG_FORMS[form]
    for end in ("\n", "\r\n", "\r"):
        with pytest.raises(ConfigError, match=rf"^line {line} of the file is no id: nothing was changed\n") as caught:
            parse_ids((end.join(made(IDS[rule])) + end).encode(encoding), "the file", rule)
        assert caught.value.found
        assert caught.value.fix
        assert not any(word in str(caught.value) for word in ("A-17", "071", "71,", "Anna", "345", "7.41"))


@pytest.mark.parametrize(
    "ids", [["A-17", "071"], ["u1@x.example", "zoe7", "li2"], ["550e8400-e29b-41d4", "6ba7b810-9dad-11d1", "", "é9"]]
)
@pytest.mark.parametrize(
    "header", ["id", "person_id", "person", "Personal-Nr.", "MRN", "identifiant", "номер", "社員番号", "사번", '"member key"']
)
def test_a_word_over_ids_with_digits_is_a_header(header: str, ids: list[str]) -> None:
    """In every language. An id that is a word is read in another line than the first."""
    read_id_lines("\n".join(ids).encode(), "the file")
    with pytest.raises(ConfigError, match="line 1 of the file is no id"):
        read_id_lines("\n".join([header, *ids]).encode(), "the file")
    assert len(read_id_lines("\n".join([*ids, header]).encode(), "the file")) == len(ids) + 1


@pytest.mark.parametrize("rule", IDS)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "cp037"])
def test_another_encoding_without_a_mark_is_refused(encoding: str, rule: Any) -> None:
    with pytest.raises(ConfigError, match="line 1 of the file is no id"):
        parse_ids("".join(f"{i}\n" for i in IDS[rule]).encode(encoding, "replace"), "the file", rule)


@pytest.mark.parametrize("text", ["a,b", "auth0|5f", "x;y", "'t Hooft", "12 345", "{a}", "id", '5" disk', "+7"])
def test_an_unusual_id_goes_into_quotation_marks(text: str) -> None:
    """Whatever an id of a source may hold can be suppressed."""
    line = '"' + text.replace('"', '""') + '"\n'
    assert parse_ids(b"A\n" + line.encode(), "f", "text").pids["text"].tolist() == [pid_of("A"), pid_of(text)]


@pytest.mark.parametrize(
    "text", ["David", "kid", "Ida", "12e5", "{3F2504E0-4F89-11D3-9A0C-0305E82C3301}", "O'Neil", "Anna Lee", "a:b/c"]
)
def test_an_usual_id_needs_no_quotation_marks(text: str) -> None:
    assert parse_ids(text.encode(), "f", "text").pids["text"].tolist() == [pid_of(text)]


@pytest.mark.parametrize("data", [b"", b"1\n", b"1", b"\xef\xbb\xbf1\r\n", b"1\r\n2\r\n", b"1\r2\r"])
def test_lines_may_end_as_they_do_anywhere(data: bytes) -> None:
    found = parse_ids(data, "the file", "integer")
    assert found.pids["integer"].tolist() == [1, 2][: found.count]


def test_a_bad_line_changes_nothing(space: Space) -> None:
    space.suppress([1])
    before = {p: p.read_bytes() for p in space.root.rglob("*") if p.is_file()}
    assert "line 2" in space.suppress([2, "no id"], "--pid-type", "integer", check=2)["error"]
    assert {p: p.read_bytes() for p in space.root.rglob("*") if p.is_file()} == before


def test_a_busy_workspace_is_left_alone(space: Space) -> None:
    space.suppress([1])
    with space.workspace.hold("a run", 60):
        before = (space.folder / "list.json").read_bytes()
        assert "a run" in space.suppress([2], check=75)["error"]
        assert (space.folder / "list.json").read_bytes() == before


def test_ids_come_from_stdin_or_a_file(space: Space, tmp_path: Path) -> None:
    done = cli("suppress", "--workspace", space.root, check=2)
    assert "--pid-file" in done.stderr
    assert "cannot be read" in cli("suppress", "--workspace", space.root, "--pid-file", tmp_path / "none", check=2).stderr
    assert not space.root.exists()
    done = forked.run(["suppress", "--workspace", space.root, "--pid-file", "-"], given=b"5\n6\n")
    assert done.returncode == 0, done.stderr
    assert "2 of 2 ids are suppressed from now on" in done.stdout
    assert hidden(space, [5, 6, 7]) == [True, True, False]
    done = forked.run(["suppress", "--workspace", space.root, "--remove", "--pid-file", "-"], given=b"5\n")
    assert done.stdout.startswith("1 of 1 id was taken off the list, 0 were not on it\n")
    assert done.stdout.endswith("suppression list, generation 2: 1 hash\n")


def _lose(space: Space) -> None:
    (space.folder / "list.json").unlink()


def _lose_all(space: Space) -> None:
    for path in space.folder.iterdir():
        path.unlink()
    space.folder.rmdir()


def _flip(name: str) -> Any:
    def damage(space: Space) -> None:
        path = next(space.folder.glob(name))
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))

    return damage


def _cut(name: str) -> Any:
    def damage(space: Space) -> None:
        path = next(space.folder.glob(name))
        path.write_bytes(path.read_bytes()[:-1])

    return damage


def _other_key(space: Space) -> None:
    (space.folder / "key").write_bytes(os.urandom(16))


def _no_key(space: Space) -> None:
    (space.folder / "key").unlink()


def _folder_for_key(space: Space) -> None:
    (space.folder / "key").unlink()
    (space.folder / "key").mkdir()


def _older(space: Space) -> None:
    """The list of yesterday, whole, as a backup brings it back."""
    kept = {p.name: p.read_bytes() for p in space.folder.iterdir()}
    space.suppress([77])
    for path in space.folder.iterdir():
        path.unlink()
    for name, data in kept.items():
        (space.folder / name).write_bytes(data)


def _branch(space: Space) -> None:
    """A list of the same generation with other people."""
    kept = {p.name: p.read_bytes() for p in space.folder.iterdir()}
    pointer = (space.root / "published.json").read_bytes()
    space.suppress([77])
    newest = (space.root / "published.json").read_bytes()
    for path in space.folder.iterdir():
        path.unlink()
    for name, data in kept.items():
        (space.folder / name).write_bytes(data)
    (space.root / "published.json").write_bytes(pointer)
    space.suppress([78])
    (space.root / "published.json").write_bytes(newest)


def _link_to_nothing(space: Space) -> None:
    _lose(space)
    (space.folder / "list.json").symlink_to("nowhere")


DAMAGES = {
    "list lost": _lose,
    "all lost": _lose_all,
    "list damaged": _flip("list.json"),
    "list cut": _cut("list.json"),
    "ids damaged": _flip("ids-*"),
    "ids cut": _cut("ids-*"),
    "ids lost": lambda space: next(space.folder.glob("ids-*")).unlink(),
    "another key": _other_key,
    "key cut": _cut("key"),
    "no key": _no_key,
    "a folder for a key": _folder_for_key,
    "older": _older,
    "another of the same generation": _branch,
    "a link to nothing": _link_to_nothing,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_list_that_cannot_be_used_stops_everything(damage: str, space: Space, quick: Path) -> None:
    """Every command about people ends with 2, writes nothing, and reads nothing: the source of the run is not even there."""
    space.suppress([1, 2, 3])
    DAMAGES[damage](space)
    before = {p: p.read_bytes() for p in space.root.rglob("*") if p.is_file()}
    here = ("--workspace", space.root)
    commands: list[tuple[object, ...]] = [
        ("run", "--source", space.root.parent / "not-there", *here, "--as-of", AS_OF, "--config", quick),
        ("resume", *here),
        ("sql", *here, "SELECT 1"),
        ("diff", "a", "b", *here),
        ("score", "current", "--truth", "not-there.csv", *here),
        ("ab", "current", "--truth", "not-there.csv", *here),
        ("verify", *here),
        ("rollback", *here),
        ("suppress", *here, "--pid-file", space.ids),
        ("suppress", *here, "--pid-file", space.ids, "--remove"),
        ("suppress", *here, "--check"),
    ]
    for command in commands:
        said = cli(*command, check=2).stderr
        assert "nothing about people was read" in said, command
        assert "--rebuild" in said
    assert {p: p.read_bytes() for p in space.root.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_lost_list_is_made_again_of_everybody(damage: str, space: Space) -> None:
    """With a new key and a higher generation than any before."""
    space.suppress([1, 2, 3])
    DAMAGES[damage](space)
    if damage == "a folder for a key":
        (space.folder / "key").rmdir()
    found = space.suppress([4, 5], "--rebuild")
    assert found["generation"] >= 2
    assert found["listed"] == 2
    assert hidden(space, [1, 4, 5]) == [False, True, True]


def test_a_list_that_the_pointer_does_not_name_yet_counts(space: Space, quick: Path) -> None:
    """A command that dies between list and pointer has suppressed people; the next one with the lease brings the pointer up."""
    space.suppress([1])
    pointer = (space.root / "published.json").read_bytes()
    space.suppress([2])
    (space.root / "published.json").write_bytes(pointer)
    assert hidden(space, [1, 2]) == [True, True]
    with space.workspace.hold("x", 60):
        space.workspace.adopt_suppression()
    assert json.loads((space.root / "published.json").read_text())["suppression"] == 2


def test_a_workspace_without_a_list_writes_what_it_wrote(space: Space) -> None:
    """No key of the pointer, none of the plan, no folder."""
    space.workspace.create()
    with space.workspace.hold("x", 60):
        assert space.workspace.adopt_suppression() is None
    assert "suppression" not in (space.root / "published.json").read_text()
    assert not space.folder.exists()
    note_suppression_list(space.workspace.documents, 3, "abc")
    note_suppression_list(space.workspace.documents, 2, "older")
    assert space.workspace.published.suppression_list == "abc"


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 12))), max_size=6))
def test_entries_are_a_set_with_a_history(changes: list[tuple[bool, set[int]]]) -> None:
    """Against a model of Python sets: who is hidden from a run of each generation."""
    from predict_age.pipeline.suppress import changed_entries

    entries, listed, released = Entries.none(), set[int](), dict[int, int]()
    for generation, (release, ids) in enumerate(changes, start=1):
        given_ids = parse_ids("".join(f"{i}\n" for i in sorted(ids)).encode(), "f", "integer")
        expected = len(ids & listed) if release else len(ids - listed)
        entries, changed = changed_entries(entries, given_ids, KEY, generation if release else 0)
        assert changed == expected
        if release:
            released |= dict.fromkeys(ids & listed, generation)
            listed -= ids
        else:
            listed |= ids
            released = {i: g for i, g in released.items() if i not in ids}
        again = Entries(entries.hashes, entries.readings, entries.ends)
        assert len(entries.as_bytes()) == 13 * len(again.hashes)
        for made_with in range(generation + 1):
            model = listed | {i for i, g in released.items() if g > made_with}
            hashes = keyed_hashes(np.array(sorted(model), np.int64), KEY)
            for reading in ("integer", "text"):
                assert sorted(entries.hiding(reading, made_with).tolist()) == sorted(hashes.tolist())  # type: ignore[arg-type]


def test_text_ids_are_checked_and_released_by_either_id() -> None:
    """The text of the source and the pid of the results are one person, whichever was listed; "0123" and "123" are two."""
    from predict_age.pipeline.suppress import changed_entries

    text = "KD-647846"
    person = {"text": text, "pid": str(pid_of(text))}
    for listed_as, released_as in itertools.product(person, person):
        by, back = (parse_ids(f"{person[name]}\n".encode(), "f", "text") for name in (listed_as, released_as))
        entries, changed = changed_entries(Entries.none(), by, KEY, 0)
        assert changed == 1
        assert by.are_suppressed(by.on_list(entries, KEY)).tolist() == [True]
        assert back.are_suppressed(back.on_list(entries, KEY)).tolist() == [True]
        assert changed_entries(entries, back, KEY, 0)[1] == 0
        entries, changed = changed_entries(entries, back, KEY, 2)
        assert (changed, int((entries.ends == 0).sum())) == (1, 0)
    entries, _ = changed_entries(Entries.none(), parse_ids(b"123\n", "f", "text"), KEY, 0)
    other = parse_ids(b"0123\n", "f", "text")
    assert other.are_suppressed(other.on_list(entries, KEY)).tolist() == [False]
    entries, changed = changed_entries(entries, other, KEY, 2)
    assert changed == 0
    assert len(entries.hiding("text", 2)) == 1


SPELLINGS = ["7", "07", "007", "+7", "7.0", "7.", "-7", "0", "-0", "00", "+0.0", "A-17"]
GIVEN_PIDS = [*(str(pid_of(text)) for text in SPELLINGS), "7", "-7", "0"]
GIVEN = st.sets(st.sampled_from([*SPELLINGS, *(str(pid_of(text)) for text in SPELLINGS)]), min_size=1, max_size=4)


@settings(deadline=None, max_examples=int(os.environ.get("RELEASE_EXAMPLES", "60")))
@example("integer", [(False, {"007"}), (False, {"00"}), (True, {"7", "0"})])  # what two commands listed, by one other spelling each
@given(st.sampled_from(["integer", "text"]), st.lists(st.tuples(st.booleans(), GIVEN), min_size=1, max_size=6))
def test_a_person_is_released_by_any_spelling_and_nothing_is_left(rule: Any, changes: list[tuple[bool, set[str]]]) -> None:
    """007, +7, 7.0 and the pid are one person or several, as the ids of the workspace say; the last one who goes leaves no entry.

    Whoever stays is also hidden if the ids turn out to be of the other type.
    """
    from predict_age.pipeline.suppress import changed_entries

    def person(text: str) -> int:
        return int(float(text)) if rule == "integer" and len(text) < 6 else int(text) if len(text) > 5 else pid_of(text)

    entries, listed = Entries.none(), dict[int, set[str]]()
    for generation, (release, chosen) in enumerate(changes, start=1):
        texts = sorted(text for text in chosen if rule == "text" or text != "A-17")
        ids = parse_ids("".join(f"{text}\n" for text in texts).encode(), "f", rule)
        expected = sum((person(text) in listed) == release for text in texts)
        entries, changed = changed_entries(entries, ids, KEY, generation if release else 0)
        assert changed == expected, (texts, release)
        for text in texts:
            if release:
                listed.pop(person(text), None)
            else:
                listed.setdefault(person(text), set()).add(text)
        hashes = keyed_hashes(np.array(sorted(listed), np.int64), KEY)
        assert sorted(entries.listed(rule).tolist()) == sorted(hashes.tolist())
        for reading in ("integer", "text"):
            others = parse_ids("".join(f"{t}\n" for some in listed.values() for t in some).encode(), "f", None)
            needed = others.hashes(reading, KEY)[others.is_id[reading]]  # type: ignore[arg-type,index]
            assert set(needed.tolist()) <= set(entries.listed(reading).tolist())  # type: ignore[arg-type]
        if not listed:
            assert entries.counts[1] == 0
            assert not len(entries.links)


def run_of(space: Space, source: Path, quick: Path, *more: object, check: int = 0) -> dict[str, Any]:
    return run_json(source, space.root, "--config", quick, *more, check=check)


def rows(space: Space, query: str) -> list[list[str]]:
    done = cli("sql", "--workspace", space.root, "--format", "csv", query)
    return [line.split(",") for line in done.stdout.splitlines()[1:]]


def published_pids(space: Space, table: str = "predict_age_final_results") -> set[int]:
    return {int(row[0]) for row in rows(space, f"SELECT pid FROM {table}")}


CASES = [("csv", True, "splits")]  # other forms: test_suppression_runs.py


@pytest.mark.parametrize(("form", "text_ids", "partition"), CASES)
def test_nothing_of_suppressed_people_is_written(
    form: str, text_ids: bool, partition: str, space: Space, quick: Path, tmp_path: Path
) -> None:
    """Suppressed before the first run: no byte of theirs below workspace, home and TMPDIR, while it runs and afterwards.

    The same source without a list: the search finds them. Other people get the rows of a source without the suppressed ones.
    """
    planted = plant(tmp_path, form, text_ids=text_ids, people=400, planted=30)
    config = tmp_path / "config.toml"
    config.write_text(quick.read_text().replace("[prediction]", f'[prediction]\npartition = "{partition}"'))
    roots = [tmp_path / name for name in ("work", "home", "tmp")]
    for root in roots[1:]:
        root.mkdir()
    texts = [text for text in planted.texts if text.startswith(("person-", "noid-"))]  # a source of numbers rejects the latter
    space.suppress(texts if text_ids else [*planted.ids, *texts])
    env = {"HOME": str(roots[1]), "TMPDIR": str(roots[2])}
    with Watch(planted.needles, roots) as watch:
        command = ("run", "--source", planted.source, "--workspace", space.root, "--as-of", AS_OF, "--config", config, "--json")
        done = cli_process(*command, env=env)
    found = json.loads(done.stdout)["rows"]
    assert found["suppressed"] == 30
    assert found["distinct"] == 400
    assert found["read"] == found["usable"] + found["set_aside"]
    assert found["usable"] == found["distinct"] + found["duplicate"]
    assert found["distinct"] == found["existing"] + found["predicted"] + found["default"] + found["withheld"] + found["suppressed"]
    assert counted([*watch.found, *traces(planted.needles, roots)], roots) == {}
    assert not traces(planted.needles, [_file(tmp_path, done.stdout + done.stderr)])
    other = Space(tmp_path / "other")
    cli("run", "--source", planted.source, "--workspace", other.root, "--as-of", AS_OF, "--config", config, "--quiet")
    shown = counted(traces(planted.needles, [other.root]), [other.root])
    assert any(place.endswith("results/part_N.parquet") for place in shown), "the search can find them"
    assert published_pids(other) - published_pids(space) == set(planted.ids)


def _file(folder: Path, text: str) -> Path:
    path = folder / "said.txt"
    path.write_text(text)
    return path

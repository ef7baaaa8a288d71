"""The commit protocol piece by piece: lease and fence, atomic publication, detection of every damaged byte, verify, rollback, prune."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from conftest import Outcome, cli, shared, tiny_run, write_jsonl
from contenders import TIMES, contend, take
from faults import call
from predict_age.cli.published_state import later_result
from predict_age.errors import BusyError, ConfigError, IntegrityError, LeaseLostError
from predict_age.pipeline.verify import verify_run
from predict_age.storage import durable_files
from predict_age.storage import lease as lease_module
from predict_age.storage.documents import ConflictError, DocumentStore, LocalDocuments, VersionedDocument
from predict_age.storage.durable_files import creating, key_of, read_hashed_json, valid_receipt, write_json, write_receipt
from predict_age.storage.lease import Holder, current_holder
from predict_age.storage.publication import Published, publish, read_published, update_pointer
from predict_age.storage.rollback import roll_back
from predict_age.storage.workspace import Workspace

Rows = list[dict[str, Any]]


@dataclass
class ObjectStore:
    """Conditional puts as an object store offers them: no rename, no lock; a tag changes with every put."""

    objects: dict[str, VersionedDocument] = field(default_factory=dict)
    puts: int = 0

    def get(self, name: str) -> VersionedDocument | None:
        return self.objects.get(name)

    def put(self, name: str, value: dict[str, Any], replaces: str | None) -> None:
        found = self.objects.get(name)
        if (found.tag if found else None) != replaces:
            raise ConflictError(name)  # 412 Precondition Failed
        self.puts += 1
        self.objects[name] = VersionedDocument(json.loads(json.dumps(value)), f"etag-{self.puts}")


@pytest.fixture(params=["disk", "object store"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> DocumentStore:
    """The same protocol over both."""
    return LocalDocuments(tmp_path) if request.param == "disk" else ObjectStore()


def test_conditional_replacement(records: DocumentStore) -> None:
    """A document is replaced only by somebody who has read this very version of it."""
    assert records.get("x") is None
    records.put("x", {"a": 1}, None)
    with pytest.raises(ConflictError):
        records.put("x", {"a": 2}, None)
    first = records.get("x")
    assert first is not None
    records.put("x", {"a": 2}, first.tag)
    with pytest.raises(ConflictError):
        records.put("x", {"a": 3}, first.tag)
    now = records.get("x")
    assert now is not None
    assert now.value == {"a": 2}


def test_second_holder_is_refused_and_told_who_has_it(records: DocumentStore) -> None:
    """One holder at a time; released, the next gets a larger token."""
    with take(records, "run one") as first:
        with pytest.raises(BusyError, match=rf"found: run one by process {os.getpid()}"):
            take(records, "run two")
        first.check()
    with take(records, "run two") as second:
        assert second.token > first.token


def test_dead_holder_is_replaced_at_once(records: DocumentStore) -> None:
    """A holder whose process is gone holds nothing, nor does a later process with its number."""
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    gone = Holder(7, "run", lease_module._machine(), int(done.stdout), "", time.time(), 600)
    assert not gone.holds()
    reused = Holder(7, "run", lease_module._machine(), os.getpid(), "another start", time.time(), 600)
    assert not reused.holds()
    elsewhere = replace(gone, machine="another machine")
    assert elsewhere.holds()
    assert not replace(elsewhere, beat=time.time() - 601).holds()
    records.put("lease", gone.__dict__, None)
    with take(records) as mine:
        assert mine.token == 8


def test_late_commit_of_a_former_holder_is_refused(records: DocumentStore) -> None:
    """A holder that was silent for too long, and wakes up after another took over, can publish nothing: not even by force."""
    first = take(records, "slow", seconds=0.2)  # never entered: it is never renewed
    time.sleep(0.3)
    with take(records, "quick") as second:
        publish(records, second.token, "B", "2025q3", "hash-b")
        with pytest.raises(LeaseLostError, match="the lease expired"):
            first.check()
        with pytest.raises(LeaseLostError, match="comes too late"):
            publish(records, first.token, "A", "2025q3", "hash-a")
    with pytest.raises(LeaseLostError, match="comes too late"):
        publish(records, first.token, "A", "2025q3", "hash-a")
    assert read_published(records).current == "B"


def test_the_fence_counts_even_before_the_new_holder_does_anything(records: DocumentStore) -> None:
    """Between reading the pointer and replacing it, a takeover makes the replacement fail: there is no moment in between."""
    old = take(records, "old", seconds=0.1)
    publish(records, old.token, "A", "2025q3", "hash-a")
    before = records.get("published")
    assert before is not None
    time.sleep(0.2)
    take(records, "new")
    with pytest.raises(ConflictError):
        records.put("published", {**before.value, "current": "late"}, before.tag)
    assert read_published(records).current == "A"


def test_lease_is_renewed_while_it_is_held(records: DocumentStore) -> None:
    """The beat of a living holder moves on, so that nobody takes over from a long run."""
    with take(records, seconds=0.4):
        first = current_holder(records)
        time.sleep(0.9)
        second = current_holder(records)
        assert first is not None
        assert second is not None
        assert second.beat > first.beat
        with pytest.raises(BusyError):
            take(records)


@pytest.mark.parametrize("processes", [2, 8])
def test_contenders_never_hold_the_same_token(processes: int, tmp_path: Path) -> None:
    """Many processes on one lease: every token is given out once."""
    context = multiprocessing.get_context("spawn")
    wins = context.Queue()
    begun = context.Barrier(processes)
    contenders = [context.Process(target=contend, args=(str(tmp_path), begun, wins)) for _ in range(processes)]
    for process in contenders:
        process.start()
    tokens = []
    while any(p.is_alive() for p in contenders) or not wins.empty():
        try:
            tokens.append(wins.get(timeout=0.2))
        except Exception:
            continue
    assert len(tokens) == TIMES * processes
    assert len(set(tokens)) == len(tokens)


@pytest.fixture(scope="module")
def two_runs(people_rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A workspace with two published runs over different people, of two quarters."""

    def make(folder: Path) -> dict[str, Any]:
        outcomes = [
            tiny_run(write_jsonl(folder / f"{n}.jsonl", people_rows[n * 100 : n * 100 + 100 + n]), folder / "w", as_of=as_of)
            for n, as_of in ((0, "2025-07-20"), (1, "2025-10-23"))
        ]
        return {"runs": [o.run["run_id"] for o in outcomes]}

    folder, made = shared(tmp_path_factory, "two-runs", make)
    return folder / "w", made["runs"]


@pytest.fixture
def copied(two_runs: tuple[Path, list[str]], tmp_path: Path) -> tuple[Path, list[str]]:
    shutil.copytree(two_runs[0], tmp_path / "w")
    return tmp_path / "w", two_runs[1]


SEEN = "SELECT count(*), count(DISTINCT pid), count(DISTINCT run_id), min(run_id) FROM predict_age_final_results_with_confidence"


def test_reader_sees_whole_runs_only(copied: tuple[Path, list[str]]) -> None:
    """A reader in a loop during 100 switches of the pointer sees one run or the other, always whole; never none."""
    workspace, (first, second) = copied
    code = f"""
import sys
from pathlib import Path
from predict_age.storage.rollback import roll_back
from predict_age.storage.workspace import Workspace
space = Workspace(Path(sys.argv[1]))
for n in range(100):
    if n % 4 == 3:  # a publication as a run does it: with a lease, and its token as the fence
        with space.hold("test", 60) as lease:
            space.publish(lease, {first!r}, "2025q2", space.run({first!r}).step("final_results").facts.manifest)
    else:
        roll_back(space, ({first!r}, {second!r})[n % 2])
"""
    from predict_age.query.tables import query, rows_of

    seen: dict[str, int] = {}
    writer = subprocess.Popen([sys.executable, "-c", code, str(workspace)], stderr=subprocess.PIPE)
    while writer.poll() is None:
        with query(Workspace(workspace), SEEN) as relation:
            [(rows, distinct, runs, run)] = list(rows_of(relation))
        assert (rows, distinct, runs) == ({first: 100, second: 101}[run], rows, 1)
        seen[run] = seen.get(run, 0) + 1
    assert writer.returncode == 0, writer.stderr and writer.stderr.read()
    assert len(Workspace(workspace).published.history) == 50
    assert set(seen) == {first, second}
    assert sum(seen.values()) > 10


@pytest.mark.parametrize("to", ["run", "quarter", "previous"])
def test_rollback(to: str, copied: tuple[Path, list[str]]) -> None:
    """By run, by quarter, or to what was current before: one command; later results stay readable; and forward again."""
    workspace, (first, second) = copied
    name = {"run": first, "quarter": "2025q2", "previous": "previous"}[to]
    code, out, said = call(["rollback", "--workspace", workspace, "--to", name])
    assert (code, said) == (0, "")
    assert first in out
    published = Workspace(workspace).published
    assert (published.current, published.quarters) == (first, {"2025q2": first, "2025q3": second})
    assert call(["rollback", "--workspace", workspace, "--to", second])[0] == 0
    assert Workspace(workspace).published.current == second
    assert Workspace(workspace).published.history[-1]["event"] == "rolled back"


@pytest.mark.parametrize(
    "trouble", ["missing run", "no such quarter", "path instead of a name", "damaged result", "damaged manifest", "being removed"]
)
def test_rollback_to_what_is_not_whole_is_refused(trouble: str, copied: tuple[Path, list[str]]) -> None:
    """Missing: 2. Damaged: 4. The pointer stays as it was."""
    workspace, (first, second) = copied
    run = workspace / "runs" / first
    to, expected = first, 2
    if trouble == "missing run":
        shutil.rmtree(run)
    elif trouble == "no such quarter":
        to = "2019q1"
    elif trouble == "path instead of a name":
        to = f"../runs/{first}"
    elif trouble == "being removed":
        update_pointer(LocalDocuments(workspace), lambda now: replace(now, removing=[first]))
    else:
        path = run / ("manifest.json" if "manifest" in trouble else "results/part_0.parquet")
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 4
        path.write_bytes(content)
        expected = 4
    code, _, said = call(["rollback", "--workspace", workspace, "--to", to])
    assert code == expected, said
    assert Workspace(workspace).published.current == second
    assert call(["sql", "--workspace", workspace, SEEN])[0] == 0


def test_rollback_mends_a_damaged_pointer(copied: tuple[Path, list[str]]) -> None:
    """A pointer that cannot be read stops readers and runs with exit code 4; a rollback makes it again from the whole runs."""
    workspace, (first, second) = copied
    (workspace / "published.json").write_text("{}")
    for command in (["sql", SEEN], ["runs"], ["verify"]):
        code, _, said = call([*command, "--workspace", workspace])
        assert (code, "published.json" in said) == (4, True)
    assert call(["rollback", "--workspace", workspace, "--to", second])[0] == 0
    published = Workspace(workspace).published
    assert (published.current, published.quarters) == (second, {"2025q2": first, "2025q3": second})
    assert call(["sql", "--workspace", workspace, SEEN])[0] == 0


def test_verify_says_what_it_looked_at(copied: tuple[Path, list[str]]) -> None:
    """A whole run: exit code 0 and what was checked, for people and as JSON; a run that is not there: 2."""
    workspace, (first, _) = copied
    code, out, _ = call(["verify", "--workspace", workspace, "--run", "2025q2"])
    assert code == 0
    assert first in out
    assert out.count("ok") >= 5
    found = json.loads(call(["verify", "--workspace", workspace, "--json"])[1])
    assert found["problems"] == []
    assert found["rows"] == 101
    assert call(["verify", "--workspace", workspace, "--run", "nothing"])[0] == 2


def test_a_result_of_an_earlier_date_is_said_to_hide_a_later_one(copied: tuple[Path, list[str]]) -> None:
    """Whoever runs an earlier quarter again makes it the current result: nothing said so, nor how to go back."""
    workspace, (first, _) = copied
    assert "Older" not in call(["status", "--workspace", workspace])[1]
    assert call(["rollback", "--workspace", workspace, "--to", first])[0] == 0
    assert later_result(workspace, first).startswith(
        "readers see ages of an earlier date than those of 2025q3; `predict-age rollback"
    )
    assert call(["rollback", "--workspace", workspace, "--to", "2025q3"])[0] == 0
    assert later_result(workspace, first) == ""


def test_the_card_of_an_earlier_quarter_is_that_of_its_result(copied: tuple[Path, list[str]]) -> None:
    """It was called "not published", although `runs` and the tables have the quarter."""
    workspace, (first, second) = copied
    out = call(["card", "--workspace", workspace, "--run", "2025q2"])[1]
    assert out.startswith(f"run {first} is the result of 2025q2, not the current one")
    assert second not in call(["card", "--workspace", workspace])[1].splitlines()[0]


@pytest.mark.parametrize(
    ("change", "problem"),
    [("a person is lost", "books do not balance"), ("somebody is a year older", "differs from predictions/batch_0.parquet")],
)
def test_verify_notices_rows_that_were_changed_with_their_hashes(change: str, problem: str, copied: tuple[Path, list[str]]) -> None:
    """Not only hashes: a result that was changed, with every hash corrected around it, is no longer what the run found."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from predict_age.storage.durable_files import file_sha256

    workspace, (_, second) = copied
    run = workspace / "runs" / second
    path = run / "results" / "part_0.parquet"
    table = pq.read_table(path)
    if change == "a person is lost":
        table = table.slice(1)
    else:
        one = pc.equal(table["pid"], pc.max(table.filter(pc.equal(table["prediction_source"], "ML_PREDICTION"))["pid"]))
        place, name = table.column_names.index("predicted_age"), table.schema.field("predicted_age")
        table = table.set_column(place, name, pc.add(table["predicted_age"], one.cast(pa.int32())).cast(name.type))
    pq.write_table(table, path)
    receipt, _ = read_hashed_json(path.with_suffix(".json"))
    write_json(path.with_suffix(".json"), {**receipt, "file_sha256": file_sha256(path)})
    manifest, _ = read_hashed_json(run / "manifest.json")
    manifest["files"]["results/part_0.parquet"] = file_sha256(path)
    content_hash = write_json(run / "manifest.json", manifest)
    update_pointer(LocalDocuments(workspace), lambda now: replace(now, manifests={**now.manifests, second: content_hash}))
    code, out, said = call(["verify", "--workspace", workspace])
    assert code == 4
    assert problem in out + said


def test_manifest_of_another_format_is_not_read(copied: tuple[Path, list[str]]) -> None:
    """A manifest that a later version has written, hashes and all: exit code 4, and which format it has."""
    workspace, (_, second) = copied
    path = workspace / "runs" / second / "manifest.json"
    content_hash = write_json(path, {**read_hashed_json(path)[0], "format": 99})
    update_pointer(LocalDocuments(workspace), lambda now: replace(now, manifests={**now.manifests, second: content_hash}))
    code, _, said = call(["sql", "--workspace", workspace, SEEN])
    assert (code, "99" in said) == (4, True)


EVERY = 97
CUTS = (0, 0.01, 0.5, 0.99)


def damages(content: bytes) -> list[bytes]:
    """Every 97th byte flipped by a bit (each of the eight in turn), the last byte too, and four truncations."""
    places = sorted({*range(0, len(content), EVERY), len(content) - 1})
    flips = [content[:i] + bytes([content[i] ^ (1 << n % 8)]) + content[i + 1 :] for n, i in enumerate(places)]
    return flips + [content[: int(len(content) * share)] for share in CUTS]


def test_every_damage_to_a_published_run_is_found(copied: tuple[Path, list[str]]) -> None:
    """Every 97th byte flipped and four truncations, of every file of a published run, pointer and lease included: found, all."""
    workspace, (_, second) = copied
    run = workspace / "runs" / second
    files = [p for p in run.rglob("*") if p.is_file()] + [workspace / "published.json", workspace / "lease.json"]
    kinds = {p.relative_to(workspace).as_posix().replace(f"runs/{second}/", "") for p in files}
    assert {
        "published.json",
        "lease.json",
        "run.json",
        "manifest.json",
        "report.html",
        "status.json",
        "attempts.json",
        "batches.json",
        "source/splits.json",
        "source/duplicates.npy",
        "model/boosted.ubj",
        "model/leaves.npz",
        "results/part_0.parquet",
        "results/part_0.json",
        "steps/training.json",
        "predictions/batch_0.parquet",
        "predictions/schema.parquet",
    } <= kinds
    space = Workspace(workspace)
    assert verify_run(space, space.resolve("current")).problems == []
    contents = {path: path.read_bytes() for path in files}
    alone = [run / "manifest.json", workspace / "published.json", workspace / "lease.json"]  # nothing below these is looked at
    tried, missed = 0, []
    for damaged in [{path: [d]} for path in alone for d in damages(contents[path])] + [
        {path: chosen for path in files if path not in alone and (chosen := damages(contents[path])[n : n + 1])}
        for n in range(max(len(damages(content)) for content in contents.values()))
    ]:
        now = {path: content for path, [content] in damaged.items() if content != contents[path]}
        for path, content in now.items():
            path.write_bytes(content)
        tried += len(now)
        missed += unnoticed(space, list(now))
        for path in now:
            path.write_bytes(contents[path])
    assert verify_run(space, space.resolve("current")).problems == []
    assert tried > 900
    assert missed == []


def unnoticed(space: Workspace, damaged: list[Path]) -> list[Path]:
    """Which of the damaged files nobody refuses who would use them."""
    try:
        if damaged and damaged[0].name == "lease.json":
            current_holder(space.documents)
            return damaged
        problems = verify_run(space, space.resolve("current")).problems
    except (IntegrityError, ConfigError) as error:
        problems = [str(error)]
    return [path for path in damaged if not any(names(problem, path) for problem in problems)]


def names(problem: str, path: Path) -> bool:
    """Whether a problem names the file: by its path, by its name inside the run's folder, or as what belongs to the report."""
    inside = path.as_posix().partition("/runs/")[2].partition("/")[2] or path.name
    report = path.name in ("report.html", "report.json") and problem.startswith("report.html is missing or damaged")
    return str(path) in problem or problem.startswith(f"{inside} ") or report


def test_every_damage_to_a_part_or_its_receipt_is_found(tmp_path: Path) -> None:
    """Before a resume keeps a part, both files are compared: any flip or truncation of either, or another key, and it is made again."""
    path = tmp_path / "batch_0.parquet"
    with creating(path) as stream:
        stream.write(os.urandom(5000))
    write_receipt(path, key_of("mine"), stream, {"rows": 3})
    assert valid_receipt(path, key_of("mine")) is not None
    assert valid_receipt(path, key_of("another")) is None
    for file in (path, path.with_suffix(".json")):
        content = file.read_bytes()
        step = 1 if file.suffix == ".json" else 97
        for place in range(0, len(content), step):
            file.write_bytes(content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :])
            assert valid_receipt(path, key_of("mine")) is None, place
        for share in CUTS:
            file.write_bytes(content[: int(len(content) * share)])
            assert valid_receipt(path, key_of("mine")) is None
        file.unlink()
        assert valid_receipt(path, key_of("mine")) is None
        file.write_bytes(content)
    assert valid_receipt(path, key_of("mine")) is not None


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """A file is whole or not there; the old content stays until the new is complete."""
    path = tmp_path / "deep" / "x.json"
    write_json(path, {"a": 1})

    def interrupted() -> None:
        with creating(path) as stream:
            stream.write(b"half")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        interrupted()
    assert read_hashed_json(path)[0] == {"a": 1}
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


def test_sql_refuses_a_damaged_table_and_reads_the_others(copied: tuple[Path, list[str]]) -> None:
    """A flipped byte in the results: exit code 4 for queries of that table, and for no others."""
    workspace, (_, second) = copied
    path = workspace / "runs" / second / "results" / "part_0.parquet"
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    for table in ("predict_age_final_results", "predict_age_final_results_2025q3", "PREDICT_AGE_final_results_with_confidence"):
        code, _, said = call(["sql", "--workspace", workspace, f"SELECT count(*) FROM {table}"])
        assert (code, "part_0.parquet is damaged" in said) == (4, True)
    for table in ("predict_age_final_results_2025q2", "predict_age_human_qa", "predict_age_predictions"):
        assert call(["sql", "--workspace", workspace, f"SELECT count(*) FROM {table}"])[0] == 0
    assert call(["report", "--workspace", workspace])[0] == 0


def test_prune(people_rows: Rows, tmp_path: Path) -> None:
    """Dry run first; then the oldest run goes, the current one stays even when it is old, quarters of removed runs are forgotten."""
    source = write_jsonl(tmp_path / "s.jsonl", people_rows[:100])
    ids = [tiny_run(source, tmp_path / "w", as_of=d).run["run_id"] for d in ("2025-01-10", "2025-04-10", "2025-07-10")]
    assert call(["rollback", "--workspace", tmp_path / "w", "--to", ids[0]])[0] == 0
    (tmp_path / "w" / "runs" / "20200101T000000Z-00000000").mkdir()
    (tmp_path / "w" / "runs" / "mine").mkdir()
    dry = json.loads(call(["prune", "--workspace", tmp_path / "w", "--keep", "1", "--dry-run", "--json"])[1])
    assert [r["run_id"] for r in dry["removed"]] == [ids[1], "20200101T000000Z-00000000"]
    assert len(Workspace(tmp_path / "w").runs()) == 3
    code, out, _ = call(["prune", "--workspace", tmp_path / "w", "--keep", "1"])
    assert code == 0
    assert ids[1] in out
    assert sorted(p.name for p in (tmp_path / "w" / "runs").iterdir()) == sorted([ids[0], ids[2], "mine"])
    published = Workspace(tmp_path / "w").published
    assert published == replace(published, current=ids[0], removing=[], quarters={"2024q4": ids[0], "2025q2": ids[2]})
    assert "Nothing to remove" in call(["prune", "--workspace", tmp_path / "w", "--keep", "1"])[1]


def test_diff(people_rows: Rows, tmp_path: Path) -> None:
    """Who came and went, how much people aged, who jumped: against counts made by hand; jumps go to a file."""
    rows = [dict(r) for r in people_rows[:140]]
    source = write_jsonl(tmp_path / "a.jsonl", rows)
    first: Outcome = tiny_run(source, tmp_path / "w", as_of="2025-07-20")
    known = [i for i, r in enumerate(rows) if r.get("approximate_age")]
    rows[known[0]]["approximate_age"] = 18 + (rows[known[0]]["approximate_age"] + 40) % 80
    source = write_jsonl(tmp_path / "b.jsonl", [*rows[3:], {"pid": -1, "approximate_age": 50}])
    second = tiny_run(source, tmp_path / "w", "--base", "current", as_of="2025-10-23")
    assert second.code == 0, second.said
    one, two = first_rows(tmp_path / "w", first.run["run_id"]), second.rows
    out = tmp_path / "jumps.csv"
    found = json.loads(call(["diff", "2025q2", "2025q3", "--workspace", tmp_path / "w", "--json", "--people", "--out", out])[1])
    quiet = json.loads(call(["diff", "2025q2", "2025q3", "--workspace", tmp_path / "w", "--json"])[1])
    assert (quiet["jumps"], quiet["jumped"]) == ([], found["jumped"]), "people are named on request alone"
    both = set(one) & set(two)
    expected = 95 / 365.25
    assert found["expected"] == pytest.approx(expected)
    assert (found["both"], found["only_before"], found["only_after"]) == (len(both), len(set(one) - both), 1)
    aged = {p for p in both if one[p][1] is not None and two[p][1] is not None}  # others are withheld
    jumped = {p for p in aged if abs(two[p][1] - one[p][1] - expected) > 5}
    assert rows[known[0]]["pid"] in jumped
    assert found["jumped"] == len(jumped) == len(out.read_text().splitlines()) - 1
    assert {j["pid"] for j in found["jumps"]} <= jumped
    assert found["jumps"]
    predicted = [p for p in both if one[p][4] == two[p][4] == "ML_PREDICTION"]
    assert found["predicted_in_both"] == len(predicted)
    assert found["mean_change"] == pytest.approx(sum(two[p][1] - one[p][1] for p in predicted) / len(predicted))
    assert found["within"]["2"] == pytest.approx(
        sum(abs(two[p][1] - one[p][1] - expected) <= 2 for p in predicted) / len(predicted)
    )
    assert sum(m["people"] for m in found["moves"]) == len(set(one) | set(two))
    text = call(["diff", "2025q2", "2025q3", "--workspace", tmp_path / "w"])[1]
    assert "+0.26 years later" in text
    assert call(["diff", "2025q2", "2025q3", "--workspace", tmp_path / "w", "--out", out])[0] == 2
    assert call(["diff", "2025q2", "1999q1", "--workspace", tmp_path / "w"])[0] == 2


def first_rows(workspace: Path, run: str) -> dict[int, tuple[Any, ...]]:
    """Rows of a run that is not current."""
    import pyarrow.parquet as pq

    rows: dict[int, tuple[Any, ...]] = {}
    for path in (workspace / "runs" / run / "results").glob("part_*.parquet"):
        table = pq.read_table(path).drop_columns(["run_id", "qa_timestamp"])
        rows |= {r[0]: r for r in zip(*(c.to_pylist() for c in table.columns), strict=True)}
    return rows


def test_unfinished_run_cannot_be_compared_or_verified(copied: tuple[Path, list[str]]) -> None:
    """A run without a result is named as such: exit code 4."""
    workspace, (_, second) = copied
    shutil.copytree(workspace / "runs" / second, workspace / "runs" / "20991231T000000Z-aaaaaaaa")
    run = workspace / "runs" / "20991231T000000Z-aaaaaaaa"
    for name in ("steps/final_results.json", "manifest.json"):
        (run / name).unlink()
    code, _, said = call(["verify", "--workspace", workspace, "--run", run.name])
    assert (code, "has no result" in said) == (4, True)


def test_empty_pointer_reads_as_nothing_published(tmp_path: Path) -> None:
    """Before the first publication there is nothing, and it is said."""
    workspace = Workspace(tmp_path)
    workspace.create()
    assert workspace.published == Published()
    said = cli("sql", "--workspace", tmp_path, "SELECT * FROM predict_age_final_results", check=2).stderr
    assert "no run has been published" in said and "Did you mean" not in said
    with pytest.raises(ConfigError, match="no previous run"):
        roll_back(workspace, "previous")


def test_a_file_that_could_not_be_created_is_closed_in_silence(tmp_path: Path) -> None:
    """Python closes it when it is forgotten; from 3.13 on an error in that is printed as a traceback."""
    file = durable_files._Hashed.__new__(durable_files._Hashed)
    with pytest.raises(FileNotFoundError):
        file.__init__(tmp_path / "missing" / "file")  # type: ignore[misc]
    file.close()
    assert file.closed

"""The search for planted people finds them in every form, and nobody who was not planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from personal_traces import Needles, Watch, counted, every_form, traces

TEXT, ID = "Quillfeather-83c1f0", 7_412_903_318_227_605_113
OTHER_TEXT, OTHER_ID = "Nightjar-5520beef", 6_904_551_200_918_334_207


def test_every_form_is_found(tmp_path: Path) -> None:
    planted = every_form(tmp_path / "planted", TEXT, ID)
    found = {trace.file.name for trace in traces(Needles.of([TEXT], [ID]), [tmp_path])}
    assert sorted(planted.keys() - found) == []
    assert len(planted) == 27


def test_nobody_else_is_found(tmp_path: Path) -> None:
    every_form(tmp_path / "planted", OTHER_TEXT, OTHER_ID)
    (tmp_path / "noise").write_bytes(np.random.default_rng(1).bytes(1 << 22))
    assert traces(Needles.of([TEXT], [ID]), [tmp_path]) == []


def test_parts_of_a_table_are_told_apart(tmp_path: Path) -> None:
    every_form(tmp_path, TEXT, ID)
    found = traces(Needles.of([TEXT], [ID]), [tmp_path / "table.parquet"])
    assert {t.layer for t in found} >= {"column pid", "column word", "column deep"}
    assert counted(found, [tmp_path]) == {"table.parquet": 2}


def test_many_needles_with_one_beginning(tmp_path: Path) -> None:
    texts = [f"canary-{n:06}-x" for n in range(5000)]
    (tmp_path / "some.txt").write_text(" ".join(texts[1000:1010]))
    found = traces(Needles.of(texts), [tmp_path])
    assert {t.value for t in found} == set(texts[1000:1010])


def test_a_file_that_is_gone_again_is_seen(tmp_path: Path) -> None:
    with Watch(Needles.of([TEXT]), [tmp_path], 0.001) as watch:
        path = tmp_path / "short.txt"
        path.write_text(TEXT)
        for _ in range(1000):
            if watch.found:
                break
            watch._end.wait(0.005)
        path.unlink()
    assert {t.file.name for t in watch.found} == {"short.txt"}


@pytest.mark.parametrize("needle", [{"texts": ["short"]}, {"ids": [4711]}])
def test_values_that_occur_by_chance_are_refused(needle: dict[str, list[int]]) -> None:
    with pytest.raises(ValueError, match="by chance"):
        Needles.of(**needle)

"""Where do people turn up? ``python benchmarks/personal_data.py [PEOPLE]``: planted people, every format, command and failure.

People with values of their own are planted in a source, every command runs, functions fail with errors that quote values, SIGKILL
ends runs. Everything written below the workspace, TMPDIR, HOME and the current folder, and everything printed, is decoded and
searched.
Prints, for each trial, how many planted values are found where none belong; 1 when there are any.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import personal_inventory as inventory
from planted_people import FORMS

FOLDER = Path("out") / "personal-data"


def main(words: list[str]) -> int:
    people = int(words[0]) if words else 2000
    shutil.rmtree(FOLDER, ignore_errors=True)
    wrong = 0
    for number, (form, text_ids) in enumerate((form, text_ids) for form in FORMS for text_ids in (False, True)):
        began = time.monotonic()
        partition = "modulo" if number % 3 == 1 else "splits"
        root = (FOLDER / f"{form}-{'text' if text_ids else 'integer'}").absolute()
        ground = inventory.Ground.prepared(root, form, text_ids=text_ids, people=people, partition=partition)
        found = {"commands": _commands(ground)}
        if number % 2 == 0:
            found |= inventory.failures(ground, inventory.PLACES)
        bad = {name: places for name, places in found.items() if places}
        wrong += len(bad)
        planted = len(ground.planted.texts) + len(ground.planted.ids)
        title = f"{form}, {'text' if text_ids else 'integer'} ids, {partition}"
        seconds = time.monotonic() - began
        print(f"{title:32} {planted:5,} values  {len(found):2} trials  {len(bad)} show people  {seconds:4.0f} s", flush=True)
        for name, places in bad.items():
            print(f"    {name}: {places}")
        shutil.rmtree(root)
    print("nobody was found outside tables" if not wrong else f"{wrong} trials show people outside tables")
    return int(wrong > 0)


def _commands(ground: inventory.Ground) -> dict[str, int]:
    while_running = inventory.watched(ground)
    shutil.rmtree(ground.root / "work")
    inventory.commands(ground, everything=True)
    return {**while_running, **ground.places(ground.outside_tables())}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

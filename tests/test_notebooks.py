"""Notebooks under examples/: their outputs are stored, and their cells run, with fewer people and smaller models."""

import json
import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SMALLER = {
    '"3000"': '"1200"',
    '"rounds": 120': '"rounds": 40, "light_rounds": 40, "network_passes": 3, "cross_fit_below_rows": 0, "refit_below_rows": 0',
    "rounds = 120\\n": "rounds = 40\\nlight_rounds = 40\\nnetwork_passes = 3\\ncross_fit_below_rows = 0\\nrefit_below_rows = 0\\n",
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_outputs_are_stored(path: Path) -> None:
    """A notebook as nbformat 4.5 has it: ids, numbered cells, outputs without errors and without paths of a machine."""
    notebook = json.loads(path.read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert len(outputs) >= len(cells) - 1
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result"}
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert "/tmp/" not in path.read_text()
    assert "/" + "home/" not in path.read_text()


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, id=p.stem, marks=[pytest.mark.soak] if p.stem == "judging-a-run" else []) for p in NOTEBOOKS],
)
def test_cells_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All cells of a notebook in one process, as refresh.py executes them; each cell that has an output has one again."""
    monkeypatch.chdir(tmp_path)
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        for large, small in SMALLER.items():
            cell["source"] = [line.replace(large, small) for line in cell["source"]]
    (tmp_path / "n.ipynb").write_text(json.dumps(notebook))
    made = runpy.run_path(str(FOLDER / "refresh.py"))["execute"](tmp_path / "n.ipynb")
    for before, after in zip(notebook["cells"], made["cells"], strict=True):
        if before["cell_type"] == "code":
            assert [o["output_type"] for o in after["outputs"]] == [o["output_type"] for o in before["outputs"]], after
    assert len(NOTEBOOKS) == 3

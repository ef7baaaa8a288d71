"""Draw docs/layers.svg from the layers contract in .importlinter and the packages' docstrings: ``python docs/layers.py``."""

from __future__ import annotations

import ast
import configparser
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "predict_age"
TARGET = ROOT / "docs" / "layers.svg"
WIDTH, HEIGHT, GAP, LETTERS = 1080, 58, 10, 7.1  # pixels; LETTERS: pixels a letter of the smaller type

RULE = "A package imports only from layers below its own. Boxes of one layer do not import each other."


def layers() -> list[list[str]]:
    """Names of the packages and modules of each layer, top first."""
    contract = configparser.ConfigParser()
    contract.read(ROOT / ".importlinter", encoding="utf-8")
    lines = contract["importlinter:contract:layers"]["layers"].split("\n")
    return [[name.strip() for name in line.replace("|", ":").split(":")] for line in lines if line.strip()]


def sentence(name: str) -> str:
    """First sentence of the docstring of a package or module."""
    path = SOURCE / name / "__init__.py"
    text = ast.get_docstring(ast.parse((path if path.exists() else SOURCE / f"{name}.py").read_text(encoding="utf-8"))) or ""
    return text.split("\n")[0].removesuffix(".").replace("``", "")


def wrapped(text: str, width: float, most: int) -> list[str]:
    """``text`` in at most ``most`` lines of ``width`` pixels; the last one ends with an ellipsis where something is left."""
    rows = [""]
    for word in text.split():
        if len(f"{rows[-1]} {word}") * LETTERS > width and rows[-1]:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return rows if len(rows) <= most else [*rows[: most - 1], rows[most - 1] + " \N{HORIZONTAL ELLIPSIS}"]


def drawing() -> str:
    """The picture as SVG text."""
    rows = layers()
    heights = [HEIGHT if len(names) > 1 else HEIGHT - 15 for names in rows]
    height = sum(heights) + (len(rows) + 1) * GAP + 26
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" font-family="sans-serif">',
        "<title>Layers of predict-age: a package imports only from packages below it</title>",
        "<style>rect{fill:#eef3f9;stroke:#51719c}text{fill:#1d2b3e}.d{font-size:13px;fill:#44546a}.n{font-size:16px;font-weight:600}</style>",
        f'<rect width="{WIDTH}" height="{height}" style="fill:#fff;stroke:none"/>',
    ]
    for level, names in enumerate(rows):
        width = (WIDTH - GAP * (len(names) + 1)) / len(names)
        top = GAP * (level + 1) + sum(heights[:level])
        for place, name in enumerate(names):
            left = GAP + place * (width + GAP)
            parts.append(f'<rect x="{left:.0f}" y="{top}" width="{width:.0f}" height="{heights[level]}" rx="5"/>')
            folder = "/" if (SOURCE / name).is_dir() else ".py"
            parts.append(f'<text class="n" x="{left + 10:.0f}" y="{top + 20}">{escape(name + folder)}</text>')
            for number, line in enumerate(wrapped(sentence(name), width - 20, 2)):
                parts.append(f'<text class="d" x="{left + 10:.0f}" y="{top + 37 + 15 * number}">{escape(line)}</text>')
    parts.append(f'<text class="d" x="{GAP}" y="{height - 9}">{RULE}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    TARGET.write_text(drawing(), encoding="utf-8")

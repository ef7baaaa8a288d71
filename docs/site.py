"""Pages of the documentation site: copies of README, guides, decisions and examples in one folder, which mkdocs turns into HTML.

``python docs/site.py FOLDER`` writes them; ``make docs`` builds the site. Folders and links are the repository's. mkdocs calls
``on_post_page`` for each page that it has built (``hooks`` in mkdocs.yml).
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE")
FOLDERS = ("docs", "examples")
LEFT_OUT = shutil.ignore_patterns("*.py[co]", "__pycache__", "layers.py", "site.py")
LIST = re.compile(r"^(?:[*-]|\d+\.) ")


def stage(folder: Path) -> None:
    """Fill the new ``folder`` with the sources of the site."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in PAGES:
        shutil.copy(ROOT / name, folder / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    titles = [(path.name, path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")) for path in decisions]
    (folder / "docs" / "adr" / "index.md").write_text(
        "# Decisions\n\n" + "".join(f"* [{title}]({name})\n" for name, title in titles), encoding="utf-8"
    )
    for page in folder.rglob("*.md"):
        page.write_text(adapted(page.read_text(encoding="utf-8")), encoding="utf-8")


def adapted(text: str) -> str:
    """A page for Python-Markdown, which wants an empty line before a list, and a page where GitHub shows a folder's files."""
    lines: list[str] = []
    fenced = False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        before = lines[-1] if lines else ""
        if not fenced and LIST.match(line) and before and not LIST.match(before) and not before.startswith((" ", "|")):
            lines.append("")
        lines.append(line)
    return re.sub(r"\]\(((?:\.\./)*docs/adr|adr)/\)", r"](\1/index.md)", "\n".join(lines) + "\n")


def on_post_page(output: str, **_: object) -> str:
    """The HTML of a page, for keyboards and screen readers: blocks that scroll can be reached, each part is a landmark."""
    output = output.replace("<pre><code", '<pre tabindex="0"><code')
    output = re.sub(r"(<table>.*?</table>)", r'<div class="wide" tabindex="0">\1</div>', output, flags=re.DOTALL)
    output = re.sub(r"<th([^>]*)></th>", r"<td\1></td>", output)
    return output.replace('<div class="navbar fixed-top', '<div role="banner" class="navbar fixed-top')


if __name__ == "__main__":
    stage(Path(sys.argv[1]))

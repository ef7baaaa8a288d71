"""Software bill of materials: a requirements file as CycloneDX 1.6; ``python .ci/sbom.py requirements-run.txt OUT.json``.

The hashes of a component are those of every file that may be installed for it. Equal input gives an equal file.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINE = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def components(text: str) -> list[dict[str, object]]:
    """Packages of a requirements file with hashes, in its order. Raises ValueError for one without an exact version or hash."""
    found: list[dict[str, object]] = []
    for line in text.splitlines():
        if hashed := HASH.search(line):
            found[-1].setdefault("hashes", []).append({"alg": "SHA-256", "content": hashed[1]})  # type: ignore[attr-defined]
        elif line.strip() and not line.startswith("#"):
            package = LINE.match(line)
            if not package:
                raise ValueError(f"no exact version: {line}")
            name, version, marker = re.sub(r"[-_.]+", "-", package[1]).lower(), package[2], package[3]
            reference = f"pkg:pypi/{name}@{version}"
            component = {"type": "library", "bom-ref": reference, "name": name, "version": version, "purl": reference}
            found.append({**component, **({"properties": [{"name": "python:marker", "value": marker}]} if marker else {})})
    if bare := [c["name"] for c in found if "hashes" not in c]:
        raise ValueError(f"no hash: {', '.join(map(str, bare))}")
    return found


def bill(text: str) -> dict[str, object]:
    """The whole document for the packages of a requirements file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = re.search(r'__version__ = "([^"]+)"', (ROOT / "src/predict_age/version.py").read_text(encoding="utf-8"))
    assert version is not None
    listed = components(text)
    direct = {re.split(r"[<>=\[ ;]", need)[0].lower() for need in project["dependencies"]}
    own = f"pkg:pypi/{project['name']}@{version[1]}"
    root = {"type": "application", "bom-ref": own, "name": project["name"], "version": version[1], "purl": own}
    root["licenses"] = [{"license": {"id": project["license"]}}]
    needed = [c["bom-ref"] for c in listed if c["name"] in direct]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, own + text).urn,
        "version": 1,
        "metadata": {"component": root},
        "components": listed,
        "dependencies": [{"ref": own, "dependsOn": needed}, *({"ref": c["bom-ref"]} for c in listed)],
    }


if __name__ == "__main__":
    made = bill(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{sys.argv[2]}: {len(made['components'])} packages\n")  # type: ignore[arg-type]

"""Software bill of materials: every package of the locked set, with version and hashes, as CycloneDX has them."""

import re
import runpy
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SBOM = runpy.run_path(str(ROOT / ".ci" / "sbom.py"))


@pytest.mark.parametrize("name", ["run", "serve", "aws", "docs"])
def test_the_bill_has_every_locked_package(name: str) -> None:
    """Names, versions, hashes and purls are those of the file; direct needs hang on the program; equal input, equal document."""
    text = (ROOT / f"requirements-{name}.txt").read_text()
    made = SBOM["bill"](text)
    assert (made["bomFormat"], made["specVersion"], made["version"]) == ("CycloneDX", "1.6", 1)
    assert uuid.UUID(made["serialNumber"].removeprefix("urn:uuid:")).version == 5
    locked = re.findall(r"^([\w.-]+)==([\w.+!-]+)", text, re.M)
    assert [(c["name"], c["version"]) for c in made["components"]] == [(n.lower().replace("_", "-"), v) for n, v in locked]
    assert sum(len(c["hashes"]) for c in made["components"]) == text.count("--hash=sha256:")
    references = [c["bom-ref"] for c in made["components"]]
    assert len(set(references)) == len(references)
    assert all(c["purl"] == f"pkg:pypi/{c['name']}@{c['version']}" for c in made["components"])
    assert {d["ref"] for d in made["dependencies"]} == {made["metadata"]["component"]["bom-ref"], *references}
    if name == "run":
        direct = {reference.split("/")[1].split("@")[0] for reference in made["dependencies"][0]["dependsOn"]}
        assert {"duckdb", "numpy", "pyarrow", "xgboost-cpu", "typer"} <= direct
        assert "narwhals" not in direct
    assert SBOM["bill"](text) == made


@pytest.mark.parametrize("text", ["numpy>=2\n", "numpy==2.0.0\n", "-e .\n"])
def test_what_is_not_locked_is_refused(text: str) -> None:
    """A package without an exact version, or without a hash, makes no bill."""
    with pytest.raises(ValueError, match=r"no (exact version|hash)"):
        SBOM["components"](text)

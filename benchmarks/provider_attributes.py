"""Do attributes of the Terraform modules exist in another version of the AWS provider? Compared with its published bindings.

``pip download --no-deps cdktf-cdktf-provider-aws==VERSION``, then ``python benchmarks/provider_attributes.py WHEEL``: HashiCorp
generated that package from the provider's schema; its description names the version. Looks at the attributes and blocks at the top
of each resource and data source, and at those that the schema requires. Applying the modules shows more, where the provider can be
had.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

MODULES = Path(__file__).parents[1] / "terraform"
BLOCK = re.compile(r'^(resource|data) "aws_(\w+)" "\w+" \{(?:\}|\n(.*?)^\})', re.M | re.S)
OF_TERRAFORM = {"count", "for_each", "depends_on", "lifecycle", "provider", "provisioner", "connection"}


def given_attributes() -> dict[str, set[str]]:
    """Attributes and blocks that the modules give, by the name of the package that has their class."""
    found: dict[str, set[str]] = {}
    for path in (*MODULES.glob("*.tf"), *(MODULES / "storage").glob("*.tf")):
        for kind, name, body in BLOCK.findall(path.read_text()):
            given = set(re.findall(r'^  (?:dynamic ")?(\w+)"?\s*[={]', body, re.M)) - OF_TERRAFORM
            found.setdefault(f"data_aws_{name}" if kind == "data" else name, set()).update(given)
    return found


def accepted_attributes(source: str) -> tuple[set[str], set[str]]:
    """Attributes that a class of the bindings takes, and those of them that it requires."""
    (arguments,) = re.findall(r"^class \w+Config\(.*?def __init__\((.*?)\) -> None", source, re.M | re.S)
    lines = re.findall(r"^ +(\w+): (.*)$", arguments, re.M)
    return {name for name, _ in lines}, {name for name, kind in lines if "Optional" not in kind and "=" not in kind}


def main(wheel: str) -> None:
    """Print what does not fit; exit code 1 then."""
    with zipfile.ZipFile(wheel) as package:
        description = next(package.read(n).decode() for n in package.namelist() if n.endswith("METADATA"))
        version = re.findall(r"provider version ([\d.]+)", description)
        problems, counted = [], 0
        given = given_attributes()
        for kind, names in sorted(given.items()):
            try:
                source = package.read(f"cdktf_cdktf_provider_aws/{kind}/__init__.py").decode()
            except KeyError:
                problems.append(f"there is no {kind}")
                continue
            accepted, required = accepted_attributes(source)
            counted += len(names)
            problems += [f"{kind} has no {name}" for name in sorted(names - accepted)]
            problems += [f"{kind} requires {name}" for name in sorted(required - names)]
    print("\n".join([*problems, f"provider {version[0]}: {len(given)} kinds, {counted} attributes, {len(problems)} problems"]))
    sys.exit(bool(problems))


if __name__ == "__main__":
    main(sys.argv[1])

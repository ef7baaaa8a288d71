"""Rules for what no plan shows: protection, the state file, and how the example calls the modules. They read the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

EXAMPLE = Path("examples") / "complete"
MODULES = {"pipeline": Path(), "storage": Path("storage")}


def text_problems(folder: Path) -> list[str]:
    """Problems of the modules in ``folder`` (a terraform/ folder), one line each."""
    rules = (unprotected, configured, state_file, defaults_differ, not_handed_on)
    return sorted({line for rule in rules for line in rule(folder)})


def unprotected(folder: Path) -> Iterator[str]:
    """Every resource of the storage module has prevent_destroy: Terraform would destroy the others."""
    for path in sorted((folder / "storage").glob("*.tf")):
        for name, body in re.findall(r'^resource "\w+" "(\w+)" \{\n(.*?)^\}', path.read_text(), re.M | re.S):
            if not re.search(r"^  lifecycle \{\n    prevent_destroy = true$", body, re.M):
                yield f"{path.name}: {name} can be destroyed"


def configured(folder: Path) -> Iterator[str]:
    """Provider and backend belong to the caller of the modules; the example has them, and locks the provider."""
    for module in MODULES.values():
        for path in (folder / module).glob("*.tf"):
            if re.search(r'^\s*(provider "|backend ")', path.read_text(), re.M):
                yield f"{path.relative_to(folder)} configures a provider or a backend"
    if "hashicorp/aws" not in (folder / EXAMPLE / ".terraform.lock.hcl").read_text():
        yield "the example does not lock its provider"


def state_file(folder: Path) -> Iterator[str]:
    """The file with Terraform's state is encrypted, and locked while it is changed."""
    found = re.search(r'^  backend "s3" \{\n(.*?)^  \}', (folder / EXAMPLE / "versions.tf").read_text(), re.M | re.S)
    backend = dict(re.findall(r"^\s+(\w+)\s*= (\w+)$", found[1], re.M)) if found else {}
    for setting in ("encrypt", "use_lockfile"):
        if backend.get(setting) != "true":
            yield f"the state file has no {setting} = true"


def variable_blocks(folder: Path) -> dict[str, str]:
    """The text of each variable of a module."""
    return dict(re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', (folder / "variables.tf").read_text(), re.M | re.S))


def default(block: str) -> str | None:
    """The default of a variable as its text; None without one."""
    found = re.search(r"^  default\s*= (.*)$", block, re.M)
    return found[1].strip() if found else None


def defaults_differ(folder: Path) -> Iterator[str]:
    """A variable of several modules has one default and one check: rules see the plan of the example alone."""
    example = variable_blocks(folder / EXAMPLE)
    modules = [variable_blocks(folder / module) for module in MODULES.values()]
    for blocks in modules:
        for name in blocks.keys() & example.keys():
            inner, outer = default(blocks[name]), default(example[name])
            if inner is not None and outer is not None and inner != outer:
                yield f"the variable {name} has the default {outer} in the example and {inner} in a module"
            checks = [re.findall(r"^  validation \{\n.*?^  \}", b, re.M | re.S) for b in (blocks[name], example[name])]
            if checks[1] and checks[0] != checks[1]:
                yield f"the variable {name} is checked in another way by the example than by a module"
    for name in modules[0].keys() & modules[1].keys():
        if default(modules[0][name]) != default(modules[1][name]):
            yield f"the variable {name} has two defaults in the modules"
        checks = [re.findall(r"^  validation \{\n.*?^  \}", blocks[name], re.M | re.S) for blocks in modules]
        if checks[0] != checks[1]:
            yield f"the variable {name} is checked in two ways by the modules"


def not_handed_on(folder: Path) -> Iterator[str]:
    """The example hands each of its variables on to the modules that have it."""
    main = (folder / EXAMPLE / "main.tf").read_text()
    calls = dict(re.findall(r'^module "(\w+)" \{\n(.*?)^\}', main, re.M | re.S))
    example = variable_blocks(folder / EXAMPLE)
    for module, place in MODULES.items():
        given = dict(re.findall(r"^  (\w+)\s*= (.+)$", calls[module], re.M))
        for name in variable_blocks(folder / place).keys() & example.keys():
            if given.get(name) != f"var.{name}":
                yield f"the example does not hand {name} on to the module {module}"


def messages_of_checks(folder: Path) -> set[str]:
    """The message of every check of a variable and every precondition in the modules and the example."""
    texts = [path.read_text() for module in (*MODULES.values(), EXAMPLE) for path in (folder / module).glob("*.tf")]
    found = {m for text in texts for m in re.findall(r'^\s+error_message = "(.*)"$', text, re.M)}
    return {m.replace('\\"', '"') for m in found}

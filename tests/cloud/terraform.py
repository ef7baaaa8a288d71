"""Terraform against the small AWS: the modules and their example as they are committed, in a scratch copy, with local state."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent / "terraform"
OVERRIDE = """
terraform {
  backend "local" {}
}

provider "aws" {
  max_retries                 = 2
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}
"""
PLACES = ("/opt", "/usr/local/share", "/usr/share", str(Path.home()))


class UnavailableError(Exception):
    """There is no Terraform here, or no provider for it."""


def mirror() -> Path | None:
    """A folder on this machine that holds the AWS provider: TERRAFORM_MIRROR, or wherever one lies."""
    if named := os.environ.get("TERRAFORM_MIRROR"):
        return Path(named)
    found: Iterable[Path] = (p for place in PLACES for p in Path(place).glob("*/*/hashicorp/aws/*/*/terraform-provider-aws*"))
    return next((p.parents[5] for p in found), None)


EXAMPLE = Path("examples") / "complete"
PROTECTED, REMOVABLE = "prevent_destroy = true", "prevent_destroy = false"


def cli_configuration(folder: Path) -> Path:
    """Write the configuration file that lets Terraform take the provider from this machine, or from the registry without one."""
    found = mirror()
    installation = f'filesystem_mirror {{\n path = "{found}"\n include = ["hashicorp/aws"]\n }}' if found else "direct {}"
    path = folder / "terraformrc"
    path.write_text(f"provider_installation {{\n {installation}\n}}\n")
    return path


def all_resources(module: dict[str, Any]) -> list[dict[str, Any]]:
    """Managed resources of a module of a state and of the modules below it."""
    below = [r for child in module.get("child_modules", []) for r in all_resources(child)]
    return [r for r in module.get("resources", []) if r["mode"] == "managed"] + below


class Stack:
    """A copy of the modules, their example as the root, and its state."""

    def __init__(self, folder: Path, endpoint: str, **variables: Any) -> None:
        if shutil.which("terraform") is None:
            raise UnavailableError("terraform is not installed")
        self.folder = folder / "terraform"
        self.root = self.folder / EXAMPLE
        shutil.copytree(ROOT, self.folder, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*"))
        (self.root / "local_override.tf").write_text(OVERRIDE)
        self.variables = {"s3_use_path_style": True, "force_destroy": True, **variables}
        self.env = {
            **os.environ,
            "TF_CLI_CONFIG_FILE": str(cli_configuration(folder)),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "root",
            "AWS_SECRET_ACCESS_KEY": "root",
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }
        if (done := self.run("init", "-input=false", check=False)).returncode:
            raise UnavailableError(f"the AWS provider cannot be had: {done.stderr[-300:]}")

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One terraform command."""
        done = subprocess.run(["terraform", *arguments], cwd=self.root, env=self.env, capture_output=True, text=True, timeout=600)
        assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        return done

    def apply(self, **changed: Any) -> None:
        """Apply, with ``changed`` variables from now on."""
        self.variables |= changed
        (self.root / "test.auto.tfvars.json").write_text(json.dumps(self.variables))
        self.run("apply", "-auto-approve", "-input=false", "-parallelism=20")

    def pending(self) -> int:
        """0 when a plan finds nothing to change, 2 when it does."""
        return self.run("plan", "-detailed-exitcode", "-input=false", check=False).returncode

    def outputs(self) -> dict[str, Any]:
        """The module's outputs."""
        return {k: v["value"] for k, v in json.loads(self.run("output", "-json").stdout).items()}

    def resources(self) -> list[dict[str, Any]]:
        """Every applied resource with its values."""
        return all_resources(json.loads(self.run("show", "-json").stdout)["values"]["root_module"])

    def destroy(self) -> None:
        """Remove everything, protected resources included: their protection is taken out of the copy first."""
        for path in (self.folder / "storage").glob("*.tf"):
            path.write_text(path.read_text().replace(PROTECTED, REMOVABLE))
        self.run("destroy", "-auto-approve", "-input=false", "-parallelism=20")

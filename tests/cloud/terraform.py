"""Terraform against the small AWS: the module as it is committed, in a scratch copy, with local state."""

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


class Stack:
    """A copy of the module and its state."""

    def __init__(self, folder: Path, endpoint: str, **variables: Any) -> None:
        if shutil.which("terraform") is None:
            raise UnavailableError("terraform is not installed")
        self.folder = folder / "terraform"
        shutil.copytree(ROOT, self.folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
        (self.folder / "local_override.tf").write_text(OVERRIDE)
        self.variables = {"s3_use_path_style": True, "force_destroy": True, **variables}
        config = folder / "terraformrc"
        found = mirror()
        installation = f'filesystem_mirror {{\n path = "{found}"\n include = ["hashicorp/aws"]\n }}' if found else "direct {}"
        config.write_text(f"provider_installation {{\n {installation}\n}}\n")
        self.env = {
            **os.environ,
            "TF_CLI_CONFIG_FILE": str(config),
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
        done = subprocess.run(["terraform", *arguments], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=600)
        assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        return done

    def apply(self, **changed: Any) -> None:
        """Apply, with ``changed`` variables from now on."""
        self.variables |= changed
        (self.folder / "test.auto.tfvars.json").write_text(json.dumps(self.variables))
        self.run("apply", "-auto-approve", "-input=false", "-parallelism=20")

    def pending(self) -> int:
        """0 when a plan finds nothing to change, 2 when it does."""
        return self.run("plan", "-detailed-exitcode", "-input=false", check=False).returncode

    def outputs(self) -> dict[str, Any]:
        """The module's outputs."""
        return {k: v["value"] for k, v in json.loads(self.run("output", "-json").stdout).items()}

    def resources(self) -> list[dict[str, Any]]:
        """Every applied resource with its values."""
        return json.loads(self.run("show", "-json").stdout)["values"]["root_module"]["resources"]

    def destroy(self) -> None:
        """Remove everything."""
        self.run("destroy", "-auto-approve", "-input=false", "-parallelism=20")
